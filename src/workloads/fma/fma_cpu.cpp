// SPDX-License-Identifier: BSD-3-Clause
/// The FLOP roof of a rank's cores: independent multiply-add chains in registers, nothing from memory.
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.hpp"
#include "device/team.hpp"
#include "workloads/contract.hpp"
#include "workloads/fma/fma_kernels.hpp"

namespace dlscale {
namespace {

// A multiple of 2 × chains of every kernel; about 4 ms at 50 GFLOP/s.
constexpr std::int64_t flops_per_thread = 201'326'592;
// v ← v·x + y from 0 gives y·(1 − xᴺ)/(1 − x); x so near 1 that the result tells how many steps were
// made. Both exact.
constexpr double x_f64 = 1 - 0x1p-20, y_f64 = 0x1p-20;
constexpr double x_f32 = 1 - 0x1p-10, y_f32 = 0x1p-10;

double x_of(const std::string& dtype) {
  return dtype == "f64" ? x_f64 : dtype == "f32" ? x_f32 : 1;
}
double y_of(const std::string& dtype) {
  return dtype == "f64" ? y_f64 : dtype == "f32" ? y_f32 : 1;
}

class Fma final : public Workload {
 public:
  explicit Fma(const WorkContext& context)
      : dtype_(context.params.text("dtype")),
        wanted_(context.params.text("instructions")),
        threads_(context.threads) {}

  void prepare() override {
    for (const FmaKernel& kernel : available_fma_kernels(dtype_))
      if (kernel.run != nullptr && (wanted_ == "auto" || wanted_ == kernel.name)) {
        kernel_ = kernel;
        break;
      }
    if (kernel_.run == nullptr)
      throw Error(ExitCode::case_failed, "fma: instructions '" + wanted_ + "' are not available",
                  "this processor does not execute them", "use instructions = auto");
    iterations_ = flops_per_thread / (std::int64_t{2} * kernel_.chains);
    sums_.assign(static_cast<std::size_t>(threads_), std::nan(""));
    team_.emplace(threads_);
  }

  void run() override {
    const double x = x_of(dtype_), y = y_of(dtype_);
    team_->run(
        [&](int worker) { sums_[static_cast<std::size_t>(worker)] = kernel_.run(iterations_, x, y); });
  }

  Check verify() override {
    const double x = x_of(dtype_), y = y_of(dtype_);
    const auto steps = static_cast<double>(iterations_);
    // bf16 products are summed up: below 2²⁴, so exact.
    const bool summed = dtype_ == "bf16";
    const double expected = summed ? steps * x * y : y * (1 - std::pow(x, steps)) / (1 - x);
    double worst = 0;
    for (const double sum : sums_) {
      const double error = std::fabs(sum / kernel_.chains / expected - 1);
      if (!(error <= worst)) worst = error;
    }
    // Rounding errors decay with xⁱ, so at most 1/(1 − x) of them count: u/(1 − x), doubled where mul
    // and add round.
    const double u = dtype_ == "f64" ? 0x1p-53 : 0x1p-24;
    if (summed) return {.error = worst, .tolerance = 0, .method = "exact sum of products"};
    return {
        .error = worst, .tolerance = 4 * u / (1 - x) + 1e-9, .method = "closed form of the recurrence"};
  }

  std::span<std::byte> last_result() override { return std::as_writable_bytes(std::span(sums_)); }

  std::string results() const override {
    return nlohmann::json{{"instructions", kernel_.name}, {"chains", kernel_.chains}}.dump();
  }

 private:
  std::string dtype_, wanted_;
  int threads_;
  FmaKernel kernel_;
  std::int64_t iterations_ = 0;
  std::vector<double> sums_;
  std::optional<ThreadTeam> team_;
};

std::vector<Params> examples() {
  std::vector<Params> list;
  for (const char* dtype : {"f64", "f32", "bf16"}) {
    if (available_fma_kernels(dtype).empty()) continue;
    Params p;
    p.set("dtype", std::string(dtype));
    p.set("instructions", std::string("auto"));
    list.push_back(p);
  }
  return list;
}

Cost cost(const Params&, int, int threads) {
  return {.flops = static_cast<double>(flops_per_thread) * threads,
          .bytes_touched = 0,
          .bytes_sent = 0,
          .memory_bytes = 0};
}

}  // namespace

Entry fma_cpu_entry() {
  Entry entry;
  entry.name = "fma";
  entry.variant = "cpu";
  entry.description = "multiply-add chains in registers: the FLOP roof of the cores";
  entry.rate = RateKind::flops;
  entry.is_roof = true;
  entry.keys = {
      {"dtype", std::string("f64"), "type of the chains", {}, {}, {"f64", "f32", "bf16"}},
      {"instructions",
       std::string("auto"),
       "instruction set; auto = the best this processor has",
       {},
       {},
       {"auto", "avx512", "avx2", "sse2", "portable"}},
  };
  entry.examples = examples;
  entry.validate = [](const Params&) { return std::string(); };
  entry.unavailable = [](const Params& params) {
    return available_fma_kernels(params.text("dtype")).empty()
               ? std::string("this processor has no multiply-add for bf16 (AVX512_BF16)")
               : std::string();
  };
  entry.cost = cost;
  entry.roofs = [](const Params&) { return std::vector<Roof>{}; };
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<Fma>(context);
  };
  return entry;
}

}  // namespace dlscale
