// SPDX-License-Identifier: BSD-3-Clause
// pdgemm on GPUs: while cuBLASLt multiplies one pair of panels, NCCL brings the next one.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <type_traits>

#include "base/clock.hpp"
#include "comm/agreement.hpp"
#include "cuda/matmul.hpp"
#include "cuda/nccl.hpp"
#include "workloads/gemm/gemm_gpu.hpp"
#include "workloads/pdgemm/pdgemm_check.hpp"
#include "workloads/pdgemm/pdgemm_gpu.hpp"
#include "workloads/together_mpi.hpp"

namespace dlscale {
namespace {

using cuda::DeviceBuffer;

// Runs longer than this are not repeated for the comparison of moving, multiplying and both.
constexpr double longest_compared_s = 0.5;

cuda::ProductTypes types_of(const std::string& dtype) {
  cuda::ProductTypes types = cuda::product_types(dtype);
  // Every step adds to C: rounded to bf16 each time it would lose what float32 sums keep.
  if (types.output == cuda::Element::f64) return types;
  types.output = cuda::Element::f32;
  types.output_type = CUDA_R_32F;
  return types;
}

/// This rank's blocks of one matrix on the device, column-major and dense.
struct Held {
  Dealt rows, cols;
  DeviceBuffer<std::byte> data;
  std::int64_t height() const { return rows.local(); }
  std::int64_t width() const { return cols.local(); }
};

cuda::DealtHere here(const Dealt& d) {
  return {.count = d.local(), .block = d.block, .parts = d.parts, .part = d.part};
}

template <class T>  // of C, and of what is checked
class PdgemmCuda final : public Workload {
 public:
  explicit PdgemmCuda(const WorkContext& context)
      : seed_(context.seed),
        dtype_(context.params.text("dtype")),
        types_(types_of(dtype_)),
        in_(static_cast<std::int64_t>(cuda::element_bytes(types_.input))),
        participants_(*context.participants),
        case_(pdgemm_case(context.params, participants_.size())),
        row_(participants_.rank() / case_.grid.cols),
        col_(participants_.rank() % case_.grid.cols),
        panels_(pdgemm_panels(case_, context.params.integer("logical_block"))) {}

  void prepare() override {
    const int rank = participants_.rank();
    const bool works = rank < case_.grid.size();
    together(participants_, [&] {
      if (works) allocate();
    });
    grid_ = participants_.split(works ? 0 : -1, rank);
    if (!grid_) return;
    connect();
    together(grid_, [this] {
      fill(a_, GemmOperand::a);
      fill(b_, GemmOperand::b);
      choose();
    });
    // β = 0 must not read C: NaN (all bits set) shows that, and every tile left unwritten.
    c_.data.set_bytes(0xff, multiplying_);
    reset();
    multiplying_.wait();
  }

  void reset() override {
    if (!grid_ || case_.shape.beta == 0) return;
    fill(c_, GemmOperand::c);
    multiplying_.wait();
    repetitions_ = 0;
  }

  void run() override { run(true, true); }

  void finish() override {
    for (const cuda::Stream* stream : {&moving_, &multiplying_})
      cuda::wait_for(*stream,
                     {along_row_ ? &*along_row_ : nullptr, along_col_ ? &*along_col_ : nullptr});
  }

  Check verify() override {
    if (!grid_) return {.error = 0, .tolerance = 0, .method = "holds no part of C"};
    std::vector<T> a, b, c;
    together(grid_, [&] {
      a = cuda::read_widened<T>(types_.input, a_.data, multiplying_);
      b = cuda::read_widened<T>(types_.input, b_.data, multiplying_);
      c = cuda::read_widened<T>(types_.output, c_.data, multiplying_);
    });
    PdgemmResult<T> result{case_.shape,
                           seed_,
                           case_.shape.beta == 0 ? 1 : repetitions_,
                           {a_.rows, a_.cols, a},
                           {b_.rows, b_.cols, b},
                           {c_.rows, c_.cols, c}};
    result.shape.alpha =
        static_cast<double>(static_cast<T>(result.shape.alpha));  // what cuBLAS was given
    result.shape.beta = static_cast<double>(static_cast<T>(result.shape.beta));
    GemmPrecision precision = gemm_gpu_precision(dtype_);
    precision.output = unit_roundoff<T>;
    Check check = pdgemm_check(result, precision, grid_);
    // A single element's own loop draws operands as the seed gives them, not rounded to bf16.
    if (check.passed() && dtype_ != "bf16" && gemm_checks_elements(case_.shape, result.repetitions))
      if (const Check elements = pdgemm_check_elements(result, precision); !elements.passed())
        check = elements;
    compare_overlap();
    return check;
  }

  std::string results() const override {
    const ProcessGrid& g = case_.grid;
    nlohmann::json json = {{"grid", std::to_string(g.rows) + "x" + std::to_string(g.cols)},
                           {"m", case_.shape.m},
                           {"n", case_.shape.n},
                           {"k", case_.shape.k},
                           {"library", "cuBLASLt " + std::to_string(cublasLtGetVersion())},
                           {"nccl", cuda::nccl_version()},
                           {"steps", panels_.size()},
                           {"panel", panels_.front().width}};
    if (!products_.empty()) json["algorithm"] = products_.begin()->second.facts().id;
    if (whole_s_ > 0) {
      json["whole_s"] = whole_s_;
      json["moving_alone_s"] = moving_s_;
      json["multiplying_alone_s"] = multiplying_s_;
      json["moving_hidden"] = std::clamp((moving_s_ + multiplying_s_ - whole_s_) / moving_s_, 0.0, 1.0);
    }
    return json.dump();
  }

 private:
  /// Panels of A and B on their way; the other slot's are being multiplied meanwhile.
  struct Slot {
    DeviceBuffer<std::byte> a, b;
    cuda::Event filled, free;
  };
  /// Steps that differ in nothing that the library asks.
  struct Kind {
    std::int64_t width = 0;
    bool first = false;  ///< multiplies C by β; the others add to it
    auto operator<=>(const Kind&) const = default;
  };
  static Kind kind_of(const Panel& p) { return {p.width, p.first == 0}; }

  bool moves_a() const { return case_.grid.cols > 1; }
  bool moves_b() const { return case_.grid.rows > 1; }
  std::size_t bytes(std::int64_t elements) const { return static_cast<std::size_t>(elements * in_); }

  void allocate() {
    const auto hold = [&](Held& held, GemmOperand operand, cuda::Element type) {
      held.rows = case_.rows_of(operand, row_);
      held.cols = case_.cols_of(operand, col_);
      held.data = DeviceBuffer<std::byte>(cuda::bytes_for(
          static_cast<std::size_t>(held.height() * held.width()), cuda::element_bytes(type)));
    };
    hold(a_, GemmOperand::a, types_.input);
    hold(b_, GemmOperand::b, types_.input);
    hold(c_, GemmOperand::c, types_.output);
    std::int64_t widest = 0;
    for (const Panel& p : panels_) widest = std::max(widest, p.width);
    for (Slot& slot : slots_) {
      if (moves_a()) slot.a = DeviceBuffer<std::byte>(bytes(c_.height() * widest));
      if (moves_b()) slot.b = DeviceBuffer<std::byte>(bytes(c_.width() * widest));
    }
  }

  // Row by row and column by column of the grid, all of them at once.
  void connect() {
    const Communicator row = grid_.split(row_, col_), col = grid_.split(col_, row_);
    together(grid_, [&] {
      if (moves_a()) along_row_.emplace(row);
    });
    together(grid_, [&] {
      if (moves_b()) along_col_.emplace(col);
    });
  }

  void choose() {
    if (c_.height() == 0 || c_.width() == 0) return;
    // As the timed steps find them: zeros and NaN are faster.
    fill(c_, GemmOperand::c);
    for (Slot& slot : slots_) {
      cuda::fill_uniform(types_.input, slot.a.data(), slot.a.bytes() / bytes(1), seed_, 1, multiplying_);
      cuda::fill_uniform(types_.input, slot.b.data(), slot.b.bytes() / bytes(1), seed_, 2, multiplying_);
    }
    for (const Panel& p : panels_) {
      const Kind kind = kind_of(p);
      if (products_.contains(kind)) continue;
      const cuda::ProductShape shape{.m = c_.height(),
                                     .n = c_.width(),
                                     .k = p.width,
                                     .lda = c_.height(),
                                     .ldb = moves_b() ? p.width : b_.height(),
                                     .ldc = c_.height()};
      auto& product =
          products_
              .try_emplace(kind, shape, types_, case_.shape.alpha, kind.first ? case_.shape.beta : 1.0)
              .first->second;
      product.choose(a_of(p, slots_[0]), b_of(p, slots_[0]), c_.data.data(), multiplying_, alignment());
    }
  }

  // Of every panel's address, where it is multiplied in its place.
  std::size_t alignment() const {
    std::size_t common = 256;
    for (const Panel& p : panels_)
      common =
          std::gcd(common, std::gcd(bytes(p.a_column * c_.height()), moves_b() ? 0 : bytes(p.b_row)));
    return common;
  }

  void fill(Held& held, GemmOperand operand) {
    const cuda::Element type = operand == GemmOperand::c ? types_.output : types_.input;
    cuda::fill_dealt(type, held.data.data(), here(held.rows), here(held.cols), held.rows.count, seed_,
                     static_cast<std::uint64_t>(operand), multiplying_);
  }

  std::byte* a_of(const Panel& p, const Slot& slot) const {
    return p.a_at == col_ ? a_.data.data() + bytes(p.a_column * c_.height()) : slot.a.data();
  }
  std::byte* b_of(const Panel& p, const Slot& slot) const {
    return moves_b() ? slot.b.data() : b_.data.data() + bytes(p.b_row);
  }

  // Both broadcasts of a step are in one stream, in the same order on all ranks: two communicators never
  // wait for each other in a circle.
  void bring(const Panel& p, Slot& slot) {
    const ncclDataType_t type = cuda::nccl_type(types_.input);
    if (moves_a() && c_.height() > 0) {
      // A panel of A is dense where it lies: nothing is copied there.
      std::byte* place = a_of(p, slot);
      DLSCALE_CUDA(ncclBroadcast(place, place, static_cast<std::size_t>(c_.height() * p.width), type,
                                 p.a_at, along_row_->get(), moving_.get()));
    }
    if (moves_b() && c_.width() > 0) {
      if (p.b_at == row_)
        DLSCALE_CUDA(cudaMemcpy2DAsync(slot.b.data(), bytes(p.width), b_.data.data() + bytes(p.b_row),
                                       bytes(b_.height()), bytes(p.width),
                                       static_cast<std::size_t>(c_.width()), cudaMemcpyDeviceToDevice,
                                       moving_.get()));
      DLSCALE_CUDA(ncclBroadcast(slot.b.data(), slot.b.data(),
                                 static_cast<std::size_t>(c_.width() * p.width), type, p.b_at,
                                 along_col_->get(), moving_.get()));
    }
  }

  void run(bool move, bool multiply) {
    if (!grid_) return;
    for (std::size_t step = 0; step < panels_.size(); ++step) {
      const Panel& p = panels_[step];
      Slot& slot = slots_[step % slots_.size()];
      if (move) {
        slot.free.hold(moving_);
        bring(p, slot);
        slot.filled.record(moving_);
      }
      if (!multiply || products_.empty()) continue;
      slot.filled.hold(multiplying_);
      products_.at(kind_of(p)).run(a_of(p, slot), b_of(p, slot), c_.data.data(), multiplying_);
      slot.free.record(multiplying_);
    }
    if (multiply) ++repetitions_;
  }

  // The slowest rank's shortest of three.
  double shortest_s(bool move, bool multiply) {
    double shortest = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 3; ++i) {
      max_over_ranks(grid_, 0);  // together
      const std::int64_t start = now_ns();
      run(move, multiply);
      finish();
      shortest = std::min(shortest, max_over_ranks(grid_, seconds_since(start)));
    }
    return shortest;
  }

  // How much of the moving is behind the multiplying. Once, after the check has judged C.
  void compare_overlap() {
    if (whole_s_ > 0 || (!moves_a() && !moves_b())) return;
    if (const double once = shortest_s(true, true); once < longest_compared_s) {
      whole_s_ = once;
      moving_s_ = shortest_s(true, false);
      multiplying_s_ = shortest_s(false, true);
    }
  }

  std::uint64_t seed_;
  std::string dtype_;
  cuda::ProductTypes types_;
  std::int64_t in_;  ///< bytes of an element of A and B
  const Communicator& participants_;
  PdgemmCase case_;
  int row_, col_;  ///< this rank's place in the grid
  std::vector<Panel> panels_;
  Communicator grid_;  ///< ranks of the grid; null on those that wait
  Held a_, b_, c_;
  std::array<Slot, 2> slots_;
  cuda::Stream moving_{cuda::Priority::first}, multiplying_;
  std::map<Kind, cuda::Product> products_;  ///< none where this rank holds no part of C
  std::optional<cuda::NcclCommunicator> along_row_, along_col_;
  std::int64_t repetitions_ = 0;
  double whole_s_ = 0, moving_s_ = 0, multiplying_s_ = 0;
};

}  // namespace

std::unique_ptr<Workload> make_pdgemm_cuda(const WorkContext& context) {
  if (context.params.text("dtype") == "f64") return std::make_unique<PdgemmCuda<double>>(context);
  return std::make_unique<PdgemmCuda<float>>(context);
}

}  // namespace dlscale
