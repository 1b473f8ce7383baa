// SPDX-License-Identifier: BSD-3-Clause
// gemm through cuBLASLt. A row-major product is the column-major one of the transposed matrices: Cᵀ =
// op(B)ᵀ·op(A)ᵀ, with the operands exchanged.
#include <cublasLt.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "cuda/current_device.hpp"
#include "cuda/matmul.hpp"
#include "cuda/nvml.hpp"
#include "workloads/gemm/gemm_gpu.hpp"

namespace dlscale {
namespace {

using cuda::DeviceBuffer;
using cuda::Element;

template <Element type>
double stored(std::uint64_t key, std::uint64_t index) {
  return cuda::uniform_rounded(type, key, index);
}

class GemmCuda final : public Workload {
 public:
  explicit GemmCuda(const WorkContext& context)
      : shape_(gemm_shape(context.params)),
        dtype_(context.params.text("dtype")),
        zeros_(context.params.text("data") == "zeros"),
        seed_(context.seed),
        types_(cuda::product_types(dtype_)),
        sets_(static_cast<std::size_t>(gemm_operand_sets(context.params))) {
    if (context.params.text("layout") != "row") return;
    std::swap(shape_.m, shape_.n);
    std::swap(shape_.trans_a, shape_.trans_b);
  }

  void prepare() override {
    const auto m = static_cast<std::size_t>(shape_.m), n = static_cast<std::size_t>(shape_.n),
               k = static_cast<std::size_t>(shape_.k);
    const std::size_t in = cuda::element_bytes(types_.input), out = cuda::element_bytes(types_.output);
    for (std::size_t i = 0; i < sets_; ++i) {
      Operands& o = operands_.emplace_back();
      o.a = DeviceBuffer<std::byte>(cuda::bytes_for(m * k, in));
      o.b = DeviceBuffer<std::byte>(cuda::bytes_for(k * n, in));
      o.c = DeviceBuffer<std::byte>(cuda::bytes_for(m * n, out));
      fill(o.a, m * k, GemmOperand::a, i);
      fill(o.b, k * n, GemmOperand::b, i);
      // β = 0 must not read C: NaN (all bits set) shows an implementation that does, and every tile left
      // unwritten.
      o.c.set_bytes(0xff, stream_);
    }
    product_.emplace(cuda::ProductShape{.m = shape_.m,
                                        .n = shape_.n,
                                        .k = shape_.k,
                                        .trans_a = shape_.trans_a,
                                        .trans_b = shape_.trans_b},
                     types_, shape_.alpha, shape_.beta);
    const Operands& first = operands_.front();
    product_->choose(first.a.data(), first.b.data(), first.c.data(), stream_);
    first_set_poisoned();
    reset();
  }

  void reset() override {
    if (shape_.beta == 0) return;
    cuda::fill_uniform(types_.output, operands_.front().c.data(), elements_of_c(), seed_,
                       static_cast<std::uint64_t>(GemmOperand::c), stream_);
    stream_.wait();
    repetitions_ = 0;
  }

  void run() override {
    last_ = (last_ + 1) % sets_;
    const Operands& o = operands_[last_];
    product_->run(o.a.data(), o.b.data(), o.c.data(), stream_);
    ++repetitions_;
  }

  void finish() override { stream_.wait(); }

  Check verify() override {
    return types_.output == Element::f64 || types_.output == Element::i32 ? judge<double>()
                                                                          : judge<float>();
  }

  std::string results() const override {
    const cuda::AlgorithmFacts& f = product_->facts();
    const cuda::DeviceFacts& gpu = cuda::device_facts();
    nlohmann::json facts = {{"library", "cuBLASLt " + std::to_string(cublasLtGetVersion())},
                            {"operand_sets", sets_},
                            {"algorithm",
                             {{"id", f.id},
                              {"tile", f.tile},
                              {"stages", f.stages},
                              {"split_k", f.split_k},
                              {"workspace_bytes", f.workspace_bytes},
                              {"seconds_alone", f.seconds},
                              {"candidates_timed", f.candidates}}}};
    const double rate = cuda::operations_per_clock(gpu.major, gpu.minor, dtype_) * gpu.multiprocessors;
    if (rate > 0) {
      facts["peak_operations_per_clock"] = rate;
      if (gpu.boost_hz > 0) facts["peak_at_boost_clock"] = rate * gpu.boost_hz;
      if (const double clock = cuda::sensors().clock_hz; clock > 0)
        facts["peak_at_last_clock"] = rate * clock;
    }
    return facts.dump();
  }

 private:
  struct Operands {
    DeviceBuffer<std::byte> a, b, c;
  };

  std::size_t elements_of_c() const {
    return static_cast<std::size_t>(shape_.m) * static_cast<std::size_t>(shape_.n);
  }

  // Every set has data of its own: a result in the wrong set is wrong.
  void fill(DeviceBuffer<std::byte>& to, std::size_t count, GemmOperand operand, std::size_t set) {
    if (zeros_)
      to.set_bytes(0, stream_);
    else
      cuda::fill_uniform(types_.input, to.data(), count, seed_,
                         static_cast<std::uint64_t>(operand) + 16 * set, stream_);
  }

  // What choosing an algorithm computed must not pass for the result of a timed run.
  void first_set_poisoned() {
    operands_.front().c.set_bytes(0xff, stream_);
    stream_.wait();
  }

  template <class T>
  Check judge() {
    const Operands& o = operands_[last_];
    const auto a = cuda::read_widened<T>(types_.input, o.a, stream_);
    const auto b = cuda::read_widened<T>(types_.input, o.b, stream_);
    const auto c = cuda::read_widened<T>(types_.output, o.c, stream_);
    GemmShape shape = shape_;
    if (types_.scale_type != CUDA_R_64F) {  // what the library was given
      shape.alpha = static_cast<double>(static_cast<float>(shape.alpha));
      shape.beta = static_cast<double>(static_cast<float>(shape.beta));
    }
    const GemmResult<T> result{shape, seed_, shape_.beta == 0 ? 1 : repetitions_, a, b, c, stored_c0()};
    const GemmPrecision precision = gemm_gpu_precision(dtype_);
    const Check residual = gemm_check(result, precision);
    if (!residual.passed() || !gemm_checks_elements(shape_, result.repetitions)) return residual;
    const Check elements = gemm_check_elements(result, precision);
    return elements.passed() ? residual : elements;
  }

  double (*stored_c0() const)(std::uint64_t, std::uint64_t) {
    switch (types_.output) {
      case Element::bf16:
        return stored<Element::bf16>;
      case Element::f16:
        return stored<Element::f16>;
      case Element::i32:
        return stored<Element::i32>;
      default:
        return nullptr;
    }
  }

  GemmShape shape_;
  std::string dtype_;
  bool zeros_;
  std::uint64_t seed_;
  cuda::ProductTypes types_;
  std::size_t sets_, last_ = 0;
  std::int64_t repetitions_ = 0;
  cuda::Stream stream_;
  std::vector<Operands> operands_;
  std::optional<cuda::Product> product_;
};

}  // namespace

std::unique_ptr<Workload> make_gemm_cuda(const WorkContext& context) {
  return std::make_unique<GemmCuda>(context);
}

}  // namespace dlscale
