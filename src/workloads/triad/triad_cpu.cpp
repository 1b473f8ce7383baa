// SPDX-License-Identifier: BSD-3-Clause
/// a[i] = b[i] + s·c[i] on float64 arrays larger than the caches: the memory bandwidth roof (McCalpin's
/// STREAM triad, with streaming stores, so that the 24 bytes counted per element are the bytes moved).
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "device/buffer.hpp"
#include "device/random.hpp"
#include "device/team.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

constexpr double scale = 3.0;
constexpr std::size_t line = 8;  // doubles in a cache line: shares of threads begin on one

void triad_range(double* a, const double* b, const double* c, std::size_t begin, std::size_t end) {
#if defined(__SSE2__)
  const __m128d s = _mm_set1_pd(scale);
  for (std::size_t i = begin; i + 2 <= end; i += 2)
    _mm_stream_pd(a + i, _mm_add_pd(_mm_load_pd(b + i), _mm_mul_pd(s, _mm_load_pd(c + i))));
  if ((end - begin) % 2 != 0) a[end - 1] = b[end - 1] + scale * c[end - 1];
  _mm_sfence();
#else
  for (std::size_t i = begin; i < end; ++i) a[i] = b[i] + scale * c[i];
#endif
}

class Triad final : public Workload {
 public:
  explicit Triad(const WorkContext& context)
      : count_(static_cast<std::size_t>(context.params.integer("bytes")) / sizeof(double)),
        seed_(context.seed),
        threads_(context.threads) {}

  void prepare() override {
    team_.emplace(threads_);
    a_ = Buffer<double>(count_);
    b_ = Buffer<double>(count_);
    c_ = Buffer<double>(count_);
    // Filled by the threads that will use it: first touch places the pages.
    team_->run([this](int worker) {
      const auto [begin, end] = share(worker);
      for (std::size_t i = begin; i < end; ++i) a_.data()[i] = std::nan("");
      fill_uniform(b_.span().subspan(begin, end - begin), seed_, 1, begin);
      fill_uniform(c_.span().subspan(begin, end - begin), seed_, 2, begin);
    });
  }

  void run() override {
    team_->run([this](int worker) {
      const auto [begin, end] = share(worker);
      triad_range(a_.data(), b_.data(), c_.data(), begin, end);
    });
  }

  Check verify() override {
    double worst = 0;
    const std::uint64_t b_key = stream_key(seed_, 1), c_key = stream_key(seed_, 2);
    for (std::size_t i = 0; i < count_; ++i) {
      const double expected = uniform_at(b_key, i) + scale * uniform_at(c_key, i);
      const double error = std::fabs(a_.data()[i] - expected);
      if (!(error <= worst)) worst = error;
      if (std::isnan(worst)) break;
    }
    // One multiplication and one addition of values up to 4, fused or not.
    return {.error = worst, .tolerance = 8 * 0x1p-53, .method = "every element against the formula"};
  }

  std::span<std::byte> last_result() override { return std::as_writable_bytes(a_.span()); }

  std::string results() const override {
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    nlohmann::json facts = {{"array_bytes", count_ * sizeof(double)}};
    if (cache > 0) {
      facts["last_level_cache_bytes"] = cache;
      facts["in_cache"] =
          3.0 * static_cast<double>(count_ * sizeof(double)) < 4.0 * static_cast<double>(cache);
    }
    return facts.dump();
  }

 private:
  std::pair<std::size_t, std::size_t> share(int worker) const {
    const auto lines = (count_ + line - 1) / line, workers = static_cast<std::size_t>(threads_);
    const auto w = static_cast<std::size_t>(worker);
    return {std::min(count_, lines * w / workers * line),
            std::min(count_, lines * (w + 1) / workers * line)};
  }

  std::size_t count_;
  std::uint64_t seed_;
  int threads_;
  std::optional<ThreadTeam> team_;
  Buffer<double> a_, b_, c_;
};

std::vector<Params> examples() {
  std::vector<Params> list;
  for (const std::int64_t bytes : {8, 56, 4096, 1000000}) {
    Params p;
    p.set("bytes", bytes);
    list.push_back(p);
  }
  return list;
}

Cost cost(const Params& params, int, int) {
  const double bytes = std::floor(params.number("bytes") / 8) * 8;
  return {
      .flops = 2 * bytes / 8, .bytes_touched = 3 * bytes, .bytes_sent = 0, .memory_bytes = 3 * bytes};
}

}  // namespace

Entry triad_cpu_entry() {
  Entry entry;
  entry.name = "triad";
  entry.variant = "cpu";
  entry.description = "a = b + s*c in float64 beyond the caches: the memory bandwidth roof";
  entry.rate = RateKind::bytes;
  entry.is_roof = true;
  entry.keys = {
      {"bytes", std::int64_t{134217728}, "size of each of the three arrays, per rank", 8.0, 1e15, {}}};
  entry.examples = examples;
  entry.validate = [](const Params&) { return std::string(); };
  entry.cost = cost;
  entry.roofs = [](const Params&) { return std::vector<Roof>{}; };
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<Triad>(context);
  };
  return entry;
}

}  // namespace dlscale
