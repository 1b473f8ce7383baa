// SPDX-License-Identifier: BSD-3-Clause
// The layers between ScaLAPACK, MPI and BLAS: they see every call while switched on, and none else.
#include <dlfcn.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/clock.hpp"
#include "comm/agreement.hpp"
#include "comm/mpi_meter.hpp"
#include "device/blas.hpp"
#include "dlscale_catch.hpp"
#include "pdgemm_cases.hpp"
#include "workloads/pdgemm/logical_block.hpp"

using namespace dlscale;

extern "C" int pilaenv_(const int*, const char*);

namespace {

struct Parts {
  double blas = 0, pack = 0, mpi = 0, sum = 0, run = 0;
};

template <class T>
Parts parts_of_run(PdgemmCpu<T>& product) {
  std::array<double, 3> s{};
  product.take_parts(s);
  const std::int64_t start = now_ns();
  product.run();
  const double run = seconds_since(start);
  product.take_parts(s);
  return {s[0], s[1], s[2], s[0] + s[1] + s[2], run};
}

}  // namespace

TEST_CASE("MPI meter: counts while on, this thread's, not inside itself", "[pdgemm]") {
  const Communicator& world = test_session().world();
  MpiMeter::take();
  int value = 1, sum = 0;
  DLSCALE_MPI(MPI_Allreduce(&value, &sum, 1, MPI_INT, MPI_SUM, world.get()));
  CHECK(MpiMeter::take().calls == 0);
  {
    const MpiMeter outer;
    DLSCALE_MPI(MPI_Allreduce(&value, &sum, 1, MPI_INT, MPI_SUM, world.get()));
    {
      const MpiMeter inner;
      DLSCALE_MPI(MPI_Barrier(world.get()));
    }
    DLSCALE_MPI(MPI_Bcast(&sum, 1, MPI_INT, 0, world.get()));
  }
  DLSCALE_MPI(MPI_Barrier(world.get()));
  const MpiTime spent = MpiMeter::take();
  CHECK(spent.calls == 3);
  CHECK(spent.ns > 0);
  CHECK(sum == world.size());
  CHECK(MpiMeter::take().ns == 0);
}

TEST_CASE("the program's symbols win, and its dgemm_ goes to the BLAS that is linked", "[pdgemm]") {
  CHECK(dlsym(RTLD_DEFAULT, "pilaenv_") == reinterpret_cast<void*>(&pilaenv_));
  const std::string blas = forwarded_blas();
  CAPTURE(blas, blas_facts().library);
  CHECK(blas.find("mpi_tests") == std::string::npos);
  CHECK(blas.find(".so") != std::string::npos);
  CHECK(blas_facts().library.find("mpi_tests") == std::string::npos);
  char real[4096] = {};
  CHECK((realpath(blas.c_str(), real) != nullptr && blas_facts().library == real));
}

TEST_CASE("pdgemm: parts are disjoint and sum to the run", "[pdgemm]") {
  const int ranks = test_session().world().size();
  PdgemmCpu<double> product(pdgemm_context(pdgemm_params(400, 400, 400, "f64")));
  product.prepare();
  product.run();
  double nearest = INFINITY;
  for (int i = 0; i < 5; ++i) {
    const Parts p = parts_of_run(product);
    CHECK(p.blas > 0);
    CHECK(p.pack >= 0);
    CHECK((p.mpi > 0) == (ranks > 1));
    CHECK(p.sum <= p.run);
    nearest = std::min(nearest, p.run - p.sum);
  }
  CHECK(nearest < 50e-6);
  const Check check = product.verify();
  CHECK(check.passed());
  const auto facts = nlohmann::json::parse(product.results());
  CAPTURE(facts.dump());
  CHECK(facts.at("blas_calls").get<double>() >= 1);
  CHECK((facts.at("mpi_calls").get<double>() > 0) == (ranks > 1));
}

TEST_CASE("pdgemm: the logical block is the one that was asked for", "[pdgemm]") {
  if (test_session().world().size() == 1) return;  // a single rank multiplies in one piece
  for (const std::int64_t block : {40, 100, -1}) {
    Params params = pdgemm_params(300, 300, 300, "f64");
    params.set("logical_block", block);
    PdgemmCpu<double> product(pdgemm_context(params));
    product.prepare();
    product.run();
    std::array<double, 3> seconds{};
    product.take_parts(seconds);
    CHECK(product.verify().passed());
    const auto facts = nlohmann::json::parse(product.results());
    CAPTURE(facts.dump());
    CHECK(facts.at("library_logical_block") == 32);
    CHECK(facts.at("logical_block_asked_for") == true);
    const std::int64_t expected = block > 0 ? block : 32;
    CHECK(facts.at("logical_block") == expected);
    const auto product_text = facts.at("largest_product").get<std::string>();
    CHECK(std::stoi(product_text.substr(product_text.rfind('x') + 1)) == expected);
    CHECK(facts.contains("library_block_costs") == (block > 0));
  }
}

TEST_CASE("pdgemm: a delay of every MPI call of one rank is that rank's MPI time", "[pdgemm]") {
  const Communicator& world = test_session().world();
  if (world.size() == 1) return;  // nothing is sent
  constexpr std::int64_t delay_ns = 5'000'000;
  PdgemmCpu<double> product(pdgemm_context(pdgemm_params(200, 200, 200, "f64")));
  product.prepare();
  plant_mpi_delay(world.rank() == 1 ? delay_ns : 0);
  const Parts p = parts_of_run(product);
  plant_mpi_delay(0);
  const auto facts = nlohmann::json::parse(product.results());
  const double calls = facts.at("mpi_calls").get<double>();
  CAPTURE(world.rank(), p.blas, p.pack, p.mpi, p.run, calls);
  CHECK(calls >= 1);
  if (world.rank() == 1) CHECK(p.mpi >= 1e-9 * static_cast<double>(delay_ns) * calls);
  CHECK(p.blas + p.pack < 0.05);  // the others wait in MPI: nobody's own work grows
}
