// SPDX-License-Identifier: BSD-3-Clause
#include "summary/requirements.hpp"

#include "dlscale_catch.hpp"
#include "example_run.hpp"

using namespace dlscale;

namespace {

std::vector<std::string> missed_by(const Example& run, const Case& c) {
  std::vector<std::string> names;
  for (const MissedRequirement& m : missed_requirements(c, run.plan, run.layout, run.outcomes, false))
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
  const auto missed = missed_requirements(c, run.plan, run.layout, run.outcomes, false);
  CHECK(missed[0].sentence.find("require max_time = 1.999 missed (slowest rank: 2)") == 0);
}

TEST_CASE("what is unknown meets nothing") {
  Example run(1);
  Case& c = run.add("gemm", "f64", 0, {not_a_number});
  c.require = {{"min_rate", 0.1}, {"min_flops", 1}, {"max_time", 1e9}};
  CHECK(missed_by(run, c) == std::vector<std::string>{"max_time", "min_flops", "min_rate"});
}

TEST_CASE("efficiency is judged against the baseline that is known, and again when there is another") {
  Example run(4);
  const auto add = [&](int ranks, double seconds) {
    const std::vector<double> all(static_cast<std::size_t>(ranks), seconds);
    Case& c = run.add("pdgemm", "f64", 8e9, all);
    c.placement = "packed";
    c.require = {{"min_efficiency", 0.8}};
    return static_cast<std::size_t>(c.id);
  };
  const auto sentence = [&](std::size_t id, bool resumed = false) -> std::string {
    const auto missed =
        missed_requirements(run.plan.cases[id], run.plan, run.layout, run.outcomes, resumed);
    return missed.empty() ? "" : missed.at(0).sentence;
  };
  const std::size_t four = add(4, 0.4);
  CHECK(sentence(four).find("missed (it was measured with one number of ranks)") != std::string::npos);
  const std::size_t two = add(2, 0.7);
  CHECK(sentence(four).empty());  // 0.7 / 0.4 / 2 = 0.875
  CHECK(sentence(two).empty());   // the baseline itself
  const std::size_t one = add(1, 1.0);
  CHECK(sentence(one).empty());
  CHECK(sentence(two).find("require min_efficiency = 0.8 missed (0.714 [") == 0);
  CHECK(sentence(four).find("] from 1 to 4 ranks)") != std::string::npos);
  run.outcomes[two].seconds.median = not_a_number;
  CHECK_FALSE(sentence(two).empty());
  CHECK(sentence(one, true).find("in one launch") != std::string::npos);
  run.plan.cases[four].placement.clear();
  CHECK(sentence(four).find("its ranks work by themselves") != std::string::npos);
  CHECK(depends_on_others(run.plan.cases[one]));
  run.plan.cases[one].require = {{"max_time", 5}};
  CHECK_FALSE(depends_on_others(run.plan.cases[one]));
}

TEST_CASE("a skipped case misses all that is required of it, and says why") {
  Example run(1);
  Case& c = run.add("gemm", "f64", 1e9, {1.0});
  run.outcomes[0].status = c.status = CaseStatus::skipped;
  CHECK(missed_by(run, c).empty());
  c.require = {{"max_time", 5}};
  const auto missed = missed_requirements(c, run.plan, run.layout, run.outcomes, false);
  REQUIRE(missed.size() == 1);
  CHECK(missed[0].sentence.find("require max_time = 5 missed (the case was skipped)") == 0);
}

TEST_CASE("a later launch reads from the results what was missed") {
  CHECK(with_missed("{\"roofs\":[]}", {}) == "{\"roofs\":[]}");
  CHECK(with_missed("", {{"max_time", ""}}) == "{\"missed\":[\"max_time\"]}");
  CHECK(names_missed(with_missed("{\"roofs\":[1]}", {{"min_rate", ""}})));
  CHECK(with_missed("{\"missed\":[\"min_rate\"],\"roofs\":[1]}", {}) == "{\"roofs\":[1]}");  // met now
  for (const char* none : {"", "{}", "{\"roofs\":[]}", "{\"missed\":[\"max", "[]"})
    CHECK_FALSE(names_missed(none));
}
