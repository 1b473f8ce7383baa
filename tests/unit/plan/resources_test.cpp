// SPDX-License-Identifier: BSD-3-Clause
// Memory, turns and time.

#include "dlscale_catch.hpp"
#include "fake_entries.hpp"
#include "plan/machine.hpp"

using namespace dlscale;
#if DLSCALE_CATCH_MAJOR >= 3
using Catch::Approx;
#endif
using Turns = std::vector<std::vector<int>>;

namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

// `domains` NUMA domains per node, ranks spread over them round robin, cyclically placed over nodes when
// asked.
Layout layout_of(int nodes, int ranks_per_node, int domains, bool cyclic = false) {
  Layout layout = assume_layout(nodes * ranks_per_node, ranks_per_node, 8, 16 * gib);
  for (std::size_t r = 0; r < layout.ranks.size(); ++r) {
    RankPlace& place = layout.ranks[r];
    if (cyclic) {
      place.node = static_cast<int>(r) % nodes;
      place.local_rank = static_cast<int>(r) / nodes;
    }
    place.numa = place.local_rank * domains / ranks_per_node;
  }
  return layout;
}

std::string big(double memory, const std::string& tail = "") {
  return "[[case]]\nworkload = \"big\"\nmemory = " + std::to_string(static_cast<std::int64_t>(memory)) +
         "\n" + tail;
}

}  // namespace

TEST_CASE("together is one turn of all, <n> the first n of each node") {
  const Layout two = layout_of(2, 4, 2);
  CHECK(turns("together", two) == Turns{{0, 1, 2, 3, 4, 5, 6, 7}});
  CHECK(turns("1", two) == Turns{{0, 4}});
  CHECK(turns("3", two) == Turns{{0, 1, 2, 4, 5, 6}});
  CHECK(turns("9", two) == Turns{{0, 1, 2, 3, 4, 5, 6, 7}});
  CHECK(turns("2", layout_of(2, 4, 1, true)) == Turns{{0, 1, 2, 3}});
  for (const char* bad : {"", "0", "-1", "1.5", "x", "01", " 1", "99999999999"})
    CHECK(message_of([&] { turns(bad, two); }).find("unknown occupancy") == 0);
}

TEST_CASE("alone takes one rank per NUMA domain by turns, on every node at once") {
  CHECK(turns("alone", layout_of(1, 4, 1)) == Turns{{0}});
  CHECK(turns("alone", layout_of(2, 4, 1)) == Turns{{0, 4}});
  CHECK(turns("alone", layout_of(2, 4, 2)) == Turns{{0, 4}, {2, 6}});
  CHECK(turns("alone", layout_of(2, 4, 4)) == Turns{{0, 4}, {1, 5}, {2, 6}, {3, 7}});
  CHECK(turns("alone", layout_of(2, 2, 2, true)) == Turns{{0, 1}, {2, 3}});
  Layout uneven = layout_of(2, 2, 2);
  uneven.ranks[3].numa = 0;
  CHECK(turns("alone", uneven) == Turns{{0, 2}, {1}});
}

TEST_CASE("an assumed layout packs ranks on nodes") {
  const Layout layout = assume_layout(7, 3, 8, gib);
  CHECK(layout.assumed);
  CHECK(layout.nodes() == 3);
  CHECK(layout.ranks[6].node == 2);
  CHECK(layout.ranks[5].local_rank == 2);
  CHECK(layout.ranks[0].cores == 2);
  CHECK(assume_layout(1, 16, 4, gib).ranks[0].cores == 1);
  CHECK_FALSE(message_of([] { assume_layout(0, 1, 1, gib); }).empty());
}

TEST_CASE("a case that can't fit is skipped with both numbers, on the tightest node") {
  Layout layout = layout_of(2, 4, 1);
  layout.ranks[5].host = layout.ranks[4].host = "n3";
  layout.node_memory_bytes[1] = 8 * gib;
  const auto status = [&](double memory, const std::string& tail = "") {
    return asked_of(plan_of(big(memory, tail), layout))[0];
  };
  CHECK(status(2 * gib).status == CaseStatus::planned);
  const Case skipped = status(2.5 * gib);
  CHECK(skipped.status == CaseStatus::skipped);
  CHECK(skipped.message == "needs 2.5 GiB per rank, 2 GiB available (node n3: 8 GiB shared by 4 ranks)");
  CHECK(skipped.budget_s == 0);
  // What the check allocates must fit as well.
  CHECK(status(1 * gib, "check = 1073741824\n").status == CaseStatus::planned);
  CHECK(status(2 * gib, "check = 536870912\n").message.find("needs 2.5 GiB per rank") == 0);
  CHECK(status(8 * gib, "occupancy = \"alone\"\n").status == CaseStatus::planned);
  CHECK(status(8.5 * gib, "occupancy = \"alone\"\n").message ==
        "needs 8.5 GiB per rank, 8 GiB available (node n3: 8 GiB shared by 1 rank)");
  CHECK(status(4 * gib, "occupancy = \"2\"\n").status == CaseStatus::planned);
  CHECK(status(4.5 * gib, "occupancy = \"2\"\n").message.find("shared by 2 ranks") != std::string::npos);
  // Ranks of all turns hold their data at the same time.
  for (RankPlace& place : layout.ranks) place.numa = place.local_rank;
  CHECK(status(4 * gib, "occupancy = \"alone\"\n").message.find("shared by 4 ranks") !=
        std::string::npos);
  layout.node_memory_bytes = {0, 0};  // unknown
  CHECK(status(1e15).status == CaseStatus::planned);
}

TEST_CASE("a rank has the memory of its own GPU, however few ranks of the node take part") {
  Layout layout = layout_of(1, 4, 1);
  layout.node_memory_bytes = {320 * gib};
  layout.device = "cuda";
  Team one;
  one.occupancy = "1";
  CHECK(Machine(layout).participants(one).memory_bytes == 80 * gib);
  layout.device = "cpu";
  CHECK(Machine(layout).participants(one).memory_bytes == 320 * gib);
}

TEST_CASE("cases without a variant or without enough ranks per node are skipped with the reason") {
  const Case gpu = asked_of(plan_of("[[case]]\nworkload = \"gpu_only\"\n"))[0];
  CHECK(gpu.status == CaseStatus::skipped);
  CHECK(gpu.message == "gpu_only has no variant for device 'cpu' in this build; use --device cuda");
  Layout layout = small_layout();
  layout.device = "cuda";
  const Plan plan =
      plan_of("[[case]]\nworkload = \"gemm\"\n[[case]]\nworkload = \"gpu_only\"\n", layout);
  CHECK(plan.cases[0].status == CaseStatus::planned);  // noop runs everywhere
  CHECK(plan.cases[0].device == "cpu");
  CHECK(asked_of(plan)[0].status == CaseStatus::skipped);
  CHECK(asked_of(plan)[0].device == "cuda");
  CHECK(asked_of(plan)[1].status == CaseStatus::planned);
  const Case many = asked_of(plan_of("[[case]]\nworkload = \"gemm\"\noccupancy = \"3\"\n"))[0];
  CHECK(many.message ==
        "occupancy \"3\" needs 3 ranks on a node, at most 2 run on one; start more ranks per node");
}

TEST_CASE("participants are all ranks of all turns") {
  const Layout layout = layout_of(3, 4, 2);
  const auto ranks = [&](const std::string& tail) {
    return asked_of(plan_of("[[case]]\nworkload = \"gemm\"\n" + tail, layout))[0].ranks;
  };
  CHECK(ranks("") == 12);
  CHECK(ranks("occupancy = \"alone\"\n") == 6);
  CHECK(ranks("occupancy = \"3\"\n") == 9);
  const Case spread = asked_of(plan_of("[[case]]\nworkload = \"spread\"\n", layout))[0];
  CHECK(spread.ranks == 12);
  CHECK(spread.placement == "packed");
  CHECK(spread.cost.memory_bytes == Approx(1e9 / 12));
}

TEST_CASE("times are predicted from the assumed rates, shared fairly") {
  Layout layout = layout_of(2, 4, 1);  // 2 cores per rank
  const auto predicted = [&](const std::string& keys) {
    return asked_of(plan_of("[[case]]\n" + keys, layout))[0].predicted_s;
  };
  CHECK(predicted("workload = \"big\"\nwork = 32e9\n") == Approx(1.0));
  CHECK(predicted("workload = \"big\"\nwork = 32e9\nthreads = 1\n") == Approx(2.0));
  CHECK(predicted("workload = \"big\"\nwork = 32e9\nthreads = 64\n") ==
        Approx(1.0));  // no more cores than there are
  CHECK(predicted("workload = \"big\"\ntraffic = 10e9\n") == Approx(4.0));  // four share a node's memory
  CHECK(predicted("workload = \"big\"\ntraffic = 10e9\noccupancy = \"alone\"\n") == Approx(1.0));
  CHECK(predicted("workload = \"big\"\ntraffic = 10e9\nwork = 160e9\noccupancy = \"alone\"\n") ==
        Approx(5.0));
  CHECK(predicted("workload = \"spread\"\nwork = 256e9\n") == Approx(1.0 + 0.256e9 / 20e9));
  const double f64 = predicted("workload = \"gemm\"\nm = 4096\nn = 4096\nk = 4096\n");
  CHECK(predicted("workload = \"gemm\"\nm = 4096\nn = 4096\nk = 4096\ndtype = \"f32\"\n") ==
        Approx(f64 / 2));
}

namespace {

// Two cases of so many FLOP on one core of 16 GFLOP/s.
Plan plan_of_two(double budget_s, double first, double second) {
  Layout layout = layout_of(1, 1, 1);
  layout.ranks[0].cores = 1;
  std::string job = "run.time_budget = " + std::to_string(budget_s) + "\n";
  for (const double work : {first, second})
    job += "[[case]]\nworkload = \"big\"\nwork = " + std::to_string(work) + "\n";
  return plan_of(job, layout);
}

}  // namespace

TEST_CASE("the budget covers every case's need first, the rest is shared equally") {
  const auto plan = plan_of_two(100, 16e9, 32e9);
  const auto asked = asked_of(plan);
  CHECK(plan.cases[0].budget_s == Approx(2));                 // noop
  CHECK(asked[1].budget_s - asked[0].budget_s == Approx(8));  // (6 + 2) repetitions of 1 s and 2 s
  CHECK(asked[0].budget_s == Approx(8 + (98 - 24) / 2.0));
  CHECK(plan.warnings.empty());
  CHECK(plan.predicted_s == Approx(24).margin(0.01));
}

TEST_CASE("words for numbers of ranks") {
  const auto counts = [](const char* word, const Layout& layout) {
    std::vector<int> list;
    const std::string job = std::string("[[case]]\nworkload = \"spread\"\nranks = ") + word + "\n";
    for (const Case& c : asked_of(plan_of(job, layout))) list.push_back(c.ranks);
    return list;
  };
  using List = std::vector<int>;
  CHECK(counts("\"sweep\"", layout_of(1, 6, 1)) == List{1, 2, 4, 6});
  CHECK(counts("\"sweep\"", layout_of(3, 6, 1)) == List{1, 2, 4, 6, 8, 16, 18});  // 6: a full node
  CHECK(counts("\"ends\"", layout_of(1, 6, 1)) == List{1, 6});
  CHECK(counts("\"ends\"", layout_of(3, 6, 1)) == List{1, 6, 18});
  CHECK(counts("\"ends\"", layout_of(1, 1, 1)) == List{1});  // nothing twice
  CHECK(counts("\"nodes\"", layout_of(3, 6, 1)) == List{3});
  CHECK(counts("[2, \"ends\"]", layout_of(1, 6, 1)) == List{2, 1, 6});
  const std::string refused = message_of([&] { counts("\"end\"", layout_of(1, 6, 1)); });
  CHECK(refused.find("\"ends\" or \"nodes\"") != std::string::npos);
}

TEST_CASE("a case predicted to cost nothing gets time all the same, however little there is") {
  const auto plan = plan_of_two(10, 32e9, 1e3);
  const auto asked = asked_of(plan);
  CHECK(asked[0].budget_s == Approx(16));  // more than there is
  CHECK(asked[1].budget_s > 0.1 * 10);
  CHECK(asked[1].budget_s < 0.25 * 10 / 2);
}

TEST_CASE("shares of roofs and noop stay small") {
  const auto plan = plan_of("run.time_budget = 10\n[[case]]\nworkload = \"gemm\"\nm = 64\n");
  double sum = 0;
  for (const Case& c : plan.cases) {
    if (c.order == 0) CHECK(c.budget_s <= 0.5);
    CHECK(c.budget_s > 0);
    sum += c.budget_s;
  }
  CHECK(sum <= 10);
  CHECK(sum > 8);  // preparing takes the rest
}

TEST_CASE("min_time, max_time and turns are respected") {
  Layout layout = layout_of(1, 4, 4);
  const auto plan = plan_of(
      "run.time_budget = 1000\n[[case]]\nworkload = \"big\"\nmin_time = 20\nmax_time = 30\n"
      "occupancy = [\"alone\", \"together\"]\n[[case]]\nworkload = \"big\"\nmemory = 2\n",
      layout);
  const auto asked = asked_of(plan);
  CHECK(asked[0].budget_s == Approx(80));  // four turns of 20 s come before max_time
  CHECK(asked[1].budget_s == Approx(30));
  CHECK(asked[2].budget_s == Approx(998 - 110).epsilon(0.001));  // what the others can't take
  CHECK(plan.predicted_s == Approx(100).margin(0.1));
}

TEST_CASE("a budget that can't hold the need is warned about with both numbers, and all cases stay") {
  Layout layout = layout_of(1, 1, 1);
  layout.ranks[0].cores = 1;
  const auto plan =
      plan_of("run.time_budget = 5\n[[case]]\nworkload = \"big\"\nwork = [16e9, 32e9]\n", layout);
  CHECK(asked_of(plan).size() == 2);
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].find("24 s") != std::string::npos);
  CHECK(plan.warnings[0].find("5 s") != std::string::npos);
  CHECK(asked_of(plan)[1].budget_s == Approx(16));
  const auto unlimited = plan_of(
      "run.time_budget = 0\n[[case]]\nworkload = \"big\"\nmax_time = [0, 9]\nmemory = [1, 2]\n"
      "zip = [\"max_time\", \"memory\"]\n",
      layout);
  CHECK(unlimited.warnings.empty());
  CHECK(unlimited.cases[0].budget_s == 2);
  CHECK(asked_of(unlimited)[0].budget_s == 60);
  CHECK(asked_of(unlimited)[1].budget_s == 9);
}

TEST_CASE("interleaved cases share a group while half of the memory holds them") {
  const auto orders = [](const std::string& head) {
    std::vector<int> result;
    const std::string job = head +
                            "[[case]]\nworkload = \"big\"\nmemory = [1000000000, 900000000, 500000000, "
                            "3000000000, 1, 4000000000000]\n";
    for (const Case& c : plan_of(job, assume_layout(2, 2, 2, 8e9)).cases) result.push_back(c.order);
    return result;
  };
  CHECK(orders("") == std::vector<int>{0, 1, 1, 2, 3, 4, 4});  // the last is skipped and holds nothing
  CHECK(orders("sampling.interleave = false\n") == std::vector<int>{0, 1, 2, 3, 4, 5, 6});
}

TEST_CASE("a plan for very many ranks is made and printed") {
  const Layout layout = assume_layout(100000, 128, 128, 512 * gib);
  const auto plan = plan_of(
      "[[case]]\nworkload = \"gemm\"\nm = [1024, 400000]\nn = [1024, 400000]\n"
      "occupancy = [\"alone\", \"4\", \"together\"]\n[[case]]\nworkload = \"spread\"\n",
      layout);
  CHECK(asked_of(plan).size() == 13);
  CHECK(asked_of(plan)[2].ranks == 100000);
  const std::string text = render_plan(plan, layout);
  CHECK(text.find("100000 ranks on 782 nodes") != std::string::npos);
}
