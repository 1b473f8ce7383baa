// SPDX-License-Identifier: BSD-3-Clause
#include "summary/requirements.hpp"

#include "dlscale_catch.hpp"
#include "example_run.hpp"

using namespace dlscale;

namespace {

std::vector<std::string> missed_by(const Example& run, const Case& c) {
  std::vector<std::string> names;
  for (const MissedRequirement& m : missed_requirements(c, run.plan.cases, run.outcomes))
    names.push_back(m.name);
  return names;
}

}  // namespace

TEST_CASE("the slowest rank must meet what is required, and equality does") {
  Example run(2);
  Case& c = run.add("gemm", "f64", 2e9, {1.0, 2.0});
  c.require = {{"min_flops", 1e9}, {"max_time", 2}};
  CHECK(missed_by(run, c).empty());
  c.require = {{"min_flops", 1.001e9}, {"max_time", 1.999}};
  CHECK(missed_by(run, c) == std::vector<std::string>{"max_time", "min_flops"});
  const auto missed = missed_requirements(c, run.plan.cases, run.outcomes);
  CHECK(missed[0].sentence.find("require max_time = 1.999 missed (slowest rank: 2)") == 0);
}

TEST_CASE("what is unknown meets nothing") {
  Example run(1);
  Case& c = run.add("gemm", "f64", 0, {not_a_number});
  c.require = {{"min_rate", 0.1}, {"min_flops", 1}, {"max_time", 1e9}};
  CHECK(missed_by(run, c) == std::vector<std::string>{"max_time", "min_flops", "min_rate"});
}

TEST_CASE("a skipped case misses all that is required of it, and says why") {
  Example run(1);
  Case& c = run.add("gemm", "f64", 1e9, {1.0});
  run.outcomes[0].status = c.status = CaseStatus::skipped;
  CHECK(missed_by(run, c).empty());
  c.require = {{"max_time", 5}};
  const auto missed = missed_requirements(c, run.plan.cases, run.outcomes);
  REQUIRE(missed.size() == 1);
  CHECK(missed[0].sentence.find("require max_time = 5 missed (the case was skipped)") == 0);
}

TEST_CASE("a later launch reads from the results what was missed") {
  CHECK(with_missed("{\"roofs\":[]}", {}) == "{\"roofs\":[]}");
  CHECK(with_missed("", {{"max_time", ""}}) == "{\"missed\":[\"max_time\"]}");
  CHECK(names_missed(with_missed("{\"roofs\":[1]}", {{"min_rate", ""}})));
  for (const char* none : {"", "{}", "{\"roofs\":[]}", "{\"missed\":[\"max", "[]"})
    CHECK_FALSE(names_missed(none));
}
