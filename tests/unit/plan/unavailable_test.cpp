// SPDX-License-Identifier: BSD-3-Clause
// What a host can't run is skipped with the reason and costs no other case.
#include "dlscale_catch.hpp"
#include "fake_entries.hpp"

using namespace dlscale;

namespace {

const char* const job = R"(
[[case]]
workload = "gemm"
dtype = ["f64", "f32"]
)";

/// The fake gemm on a processor without f32.
std::vector<Entry> entries_without_f32() {
  std::vector<Entry> entries = fake_entries();
  for (Entry& entry : entries)
    if (entry.name == "gemm")
      entry.unavailable = [](const Params& p) -> std::string {
        return p.text("dtype") == "f32" ? "f32 needs another processor" : "";
      };
  return entries;
}

std::vector<Case> cases_on(const Layout& layout) {
  return asked_of(make_plan(parse_job(job, "job.toml", "."), layout, entries_without_f32()));
}

}  // namespace

TEST_CASE("a case that this host can't run is skipped with the reason") {
  Layout here = small_layout();
  here.assumed = false;
  const std::vector<Case> cases = cases_on(here);
  REQUIRE(cases.size() == 2);
  CHECK(cases[0].status == CaseStatus::planned);
  CHECK(cases[0].message.empty());
  CHECK(cases[1].status == CaseStatus::skipped);
  CHECK(cases[1].message == "f32 needs another processor");
  CHECK(cases[1].budget_s == 0);
}

TEST_CASE("for a machine one does not have, this host's processor says nothing") {
  const Layout elsewhere = small_layout();
  REQUIRE(elsewhere.assumed);
  for (const Case& c : cases_on(elsewhere)) CHECK(c.status == CaseStatus::planned);
}

TEST_CASE("too little memory is said before what the host lacks") {
  Layout here = small_layout();
  here.assumed = false;
  here.node_memory_bytes = {1e6, 1e6};
  for (const Case& c : cases_on(here)) CHECK(c.message.find("needs") == 0);
}

TEST_CASE("ranks that a distributed case can't use are skipped with the reason, the others are not") {
  std::vector<Entry> entries = fake_entries();
  for (Entry& entry : entries)
    entry.unsuited = [](const Params&, int ranks) -> std::string {
      return 64 % ranks == 0 ? "" : "64 does not divide by " + std::to_string(ranks);
    };
  const std::string text =
      "[[case]]\nworkload = \"spread\"\nranks = [1, 2, 3]\n[[case]]\nworkload = \"gemm\"\n";
  const std::vector<Case> cases =
      asked_of(make_plan(parse_job(text, "job.toml", "."), assume_layout(3, 3, 4, 8e9), entries));
  REQUIRE(cases.size() == 4);
  CHECK(cases[0].status == CaseStatus::planned);
  CHECK(cases[1].status == CaseStatus::planned);
  CHECK(cases[2].status == CaseStatus::skipped);
  CHECK(cases[2].message == "64 does not divide by 3");
  CHECK(cases[3].status == CaseStatus::planned);  // every rank by itself
}
