// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/pdgemm/pdgemm_cpu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/clock.hpp"
#include "comm/agreement.hpp"
#include "comm/mpi_meter.hpp"
#include "device/blas.hpp"
#include "device/random.hpp"
#include "workloads/pdgemm/logical_block.hpp"
#include "workloads/pdgemm/scalapack.hpp"
#include "workloads/together_mpi.hpp"

namespace dlscale {
namespace {

// The library's own logical block is tried in pairs with ours for about a second in all; not where a
// pair takes longer, since no plan has this time.
constexpr double comparison_s = 1, longest_compared_s = comparison_s / 2;

template <class T>
DealtMatrix<T> make_matrix(const PdgemmCase& c, GemmOperand operand, int row, int col) {
  DealtMatrix<T> m;
  m.rows = c.rows_of(operand, row);
  m.cols = c.cols_of(operand, col);
  m.data =
      Buffer<T>(static_cast<std::size_t>(m.rows.local()) * static_cast<std::size_t>(m.cols.local()));
  return m;
}

template <class T>
void describe(DealtMatrix<T>& matrix, int context) {
  const int rows = static_cast<int>(matrix.rows.count), cols = static_cast<int>(matrix.cols.count),
            row_block = static_cast<int>(matrix.rows.block),
            col_block = static_cast<int>(matrix.cols.block), first = 0,
            lld = static_cast<int>(std::max<std::int64_t>(1, matrix.rows.local()));
  int info = 0;
  descinit_(matrix.descriptor, &rows, &cols, &row_block, &col_block, &first, &first, &context, &lld,
            &info);
  if (info != 0)
    throw Error(ExitCode::case_failed, "ScaLAPACK refuses a matrix",
                fmt::format("descinit: argument {} of {}x{} in blocks of {}x{}", -info, rows, cols,
                            row_block, col_block),
                "choose other blocks");
}

template <class T>
void fill(DealtMatrix<T>& matrix, std::uint64_t seed, GemmOperand operand) {
  const std::uint64_t key = stream_key(seed, static_cast<std::uint64_t>(operand));
  const LocalBlocks<T> blocks = matrix.blocks();
  const std::vector<std::int64_t> rows = matrix.rows.globals();
  T* out = matrix.data.data();
  for (const std::int64_t col : matrix.cols.globals())
    for (const std::int64_t row : rows) *out++ = pdgemm_element(key, blocks, row, col);
}

}  // namespace

template <class T>
PdgemmCpu<T>::PdgemmCpu(const WorkContext& context)
    : seed_(context.seed), threads_(context.threads), participants_(context.participants) {
  if (participants_ == nullptr)
    throw Error(ExitCode::case_failed, "pdgemm has no participants", "it works on one problem together");
  if (const std::string problem = pdgemm_unsuited(context.params, participants_->size());
      !problem.empty())
    throw Error(ExitCode::case_failed, problem);
  case_ = pdgemm_case(context.params, participants_->size());
}

template <class T>
DealtMatrix<T>& PdgemmCpu<T>::matrix(GemmOperand operand) {
  return operand == GemmOperand::a ? a_ : operand == GemmOperand::b ? b_ : c_;
}

template <class T>
void PdgemmCpu<T>::allocate() {
  if (!set_blas_threads(threads_))
    throw Error(ExitCode::case_failed, "can't set the threads of the BLAS",
                blas_facts().vendor + " offers no way", "use threads = 1 or another BLAS");
  const int rank = participants_->rank();
  if (rank >= case_.grid.size()) return;
  const int row = rank / case_.grid.cols, col = rank % case_.grid.cols;
  for (const GemmOperand operand : {GemmOperand::a, GemmOperand::b, GemmOperand::c})
    matrix(operand) = make_matrix<T>(case_, operand, row, col);
}

template <class T>
void PdgemmCpu<T>::prepare() {
  together(*participants_, [this] { allocate(); });
  const int rank = participants_->rank();
  grid_comm_ = participants_->split(rank < case_.grid.size() ? 0 : -1, rank);
  if (!grid_comm_) return;
  grid_ = std::make_unique<BlacsGrid>(grid_comm_, case_.grid);
  for (DealtMatrix<T>* m : {&a_, &b_, &c_}) describe(*m, grid_->context());
  fill(a_, seed_, GemmOperand::a);
  fill(b_, seed_, GemmOperand::b);
  // As in gemm: with β = 0 C must not be read, and what is left unwritten must be seen.
  if (case_.shape.beta == 0)
    std::fill(c_.data.span().begin(), c_.data.span().end(), std::numeric_limits<T>::quiet_NaN());
  reset();
}

template <class T>
void PdgemmCpu<T>::reset() {
  set_blas_threads(threads_);  // cases with other thread counts may have run in between
  if (!grid_ || case_.shape.beta == 0) return;
  fill(c_, seed_, GemmOperand::c);
  repetitions_ = 0;
}

template <class T>
void PdgemmCpu<T>::multiply(std::int64_t logical_block) {
  const GemmShape& s = case_.shape;
  const char ta = s.trans_a ? 'T' : 'N', tb = s.trans_b ? 'T' : 'N';
  const int m = static_cast<int>(s.m), n = static_cast<int>(s.n), k = static_cast<int>(s.k), one = 1;
  const T alpha = static_cast<T>(s.alpha), beta = static_cast<T>(s.beta);
  const LogicalBlockScope block(logical_block);
  const std::int64_t questions = logical_block_questions();
  if constexpr (std::is_same_v<T, double>)
    pdgemm_(&ta, &tb, &m, &n, &k, &alpha, a_.data.data(), &one, &one, a_.descriptor, b_.data.data(),
            &one, &one, b_.descriptor, &beta, c_.data.data(), &one, &one, c_.descriptor);
  else
    psgemm_(&ta, &tb, &m, &n, &k, &alpha, a_.data.data(), &one, &one, a_.descriptor, b_.data.data(),
            &one, &one, b_.descriptor, &beta, c_.data.data(), &one, &one, c_.descriptor);
  // A vendor's library that never asks can't be told.
  asks_for_block_ = logical_block_questions() > questions;
  ++repetitions_;
}

template <class T>
void PdgemmCpu<T>::run() {
  if (!grid_) return;
  const std::int64_t start = now_ns();
  {
    const MpiMeter mpi;
    const BlasMeter blas;
    multiply(case_.logical_block);
  }
  last_run_ns_ = now_ns() - start;
  run_ns_ += last_run_ns_;
  ++runs_;
}

// Whatever a run does outside BLAS and MPI is copying: panels are packed, sent on and unpacked.
template <class T>
void PdgemmCpu<T>::take_parts(std::span<double> seconds) {
  const MpiTime mpi = MpiMeter::take();
  const BlasTime blas = BlasMeter::take();
  seconds[0] = 1e-9 * static_cast<double>(blas.ns);
  seconds[2] = 1e-9 * static_cast<double>(mpi.ns);
  seconds[1] = 1e-9 * static_cast<double>(std::max<std::int64_t>(0, run_ns_ - blas.ns - mpi.ns));
  run_ns_ = 0;
  mpi_calls_ += mpi.calls;
  blas_calls_ += blas.calls;
  if (blas.calls > 0) largest_ = blas;
}

template <class T>
Check PdgemmCpu<T>::verify() {
  const GemmPrecision precision{unit_roundoff<T>, unit_roundoff<T>};
  if (!grid_) return {.error = 0, .tolerance = 0, .method = "holds no part of C"};
  PdgemmResult<T> result{case_.shape, seed_,       case_.shape.beta == 0 ? 1 : repetitions_,
                         a_.blocks(), b_.blocks(), c_.blocks()};
  result.shape.alpha = static_cast<double>(static_cast<T>(result.shape.alpha));  // what PBLAS was given
  result.shape.beta = static_cast<double>(static_cast<T>(result.shape.beta));
  Check check = pdgemm_check(result, precision, grid_comm_);
  if (check.passed() && gemm_checks_elements(case_.shape, result.repetitions))
    if (const Check elements = pdgemm_check_elements(result, precision); !elements.passed())
      check = elements;
  compare_with_librarys_block();
  return check;
}

// The slowest rank's time of one untimed run.
template <class T>
double PdgemmCpu<T>::slowest_s(std::int64_t logical_block) {
  max_over_ranks(grid_comm_, 0);  // together
  const std::int64_t start = now_ns();
  multiply(logical_block);
  return max_over_ranks(grid_comm_, seconds_since(start));
}

// What a program gets that does not know of pilaenv_. Once per case, after the check has judged C.
template <class T>
void PdgemmCpu<T>::compare_with_librarys_block() {
  const int usual = librarys_logical_block(grid_->context(), std::is_same_v<T, double>);
  if (librarys_block_s_ > 0 || !asks_for_block_ || usual <= 0 || case_.logical_block == usual ||
      case_.logical_block == librarys_own_block || case_.grid.size() == 1)
    return;
  const double run_s = max_over_ranks(grid_comm_, 1e-9 * static_cast<double>(last_run_ns_));
  if (!(run_s > 0 && run_s < longest_compared_s)) return;
  own_block_s_ = librarys_block_s_ = std::numeric_limits<double>::infinity();
  block_pairs_ = std::clamp(static_cast<int>(std::min(5.0, comparison_s / (2 * run_s))), 1, 5);
  for (int i = 0; i < block_pairs_; ++i) {
    librarys_block_s_ = std::min(librarys_block_s_, slowest_s(librarys_own_block));
    own_block_s_ = std::min(own_block_s_, slowest_s(case_.logical_block));
  }
}

template <class T>
std::string PdgemmCpu<T>::results() const {
  const BlasFacts facts = blas_facts();
  const ProcessGrid& g = case_.grid;
  nlohmann::json json = {{"grid", fmt::format("{}x{}", g.rows, g.cols)},
                         {"m", case_.shape.m},
                         {"n", case_.shape.n},
                         {"k", case_.shape.k},
                         {"blas", facts.vendor},
                         {"blas_kernels", facts.core_name},
                         {"blas_threads", facts.threads}};
  if (g.size() > 2 && std::min(g.rows, g.cols) == 1)
    json["grid_note"] = sentence(
        fmt::format("grid {}x{} is flat", g.rows, g.cols),
        "all of one operand goes to every rank, and the volume grows with the ranks, not their root",
        "use a number of ranks with near-square factors");
  if (!grid_) return json.dump();
  const int usual = librarys_logical_block(grid_->context(), std::is_same_v<T, double>);
  if (usual > 0) json["library_logical_block"] = usual;
  json["logical_block"] = case_.logical_block == librarys_own_block ? usual : case_.logical_block;
  if (g.size() > 1) json["logical_block_asked_for"] = asks_for_block_;
  if (librarys_block_s_ > 0) {
    json["library_block_s"] = librarys_block_s_;
    json["own_block_s"] = own_block_s_;
    json["library_block_pairs"] = block_pairs_;
    json["library_block_costs"] = librarys_block_s_ / own_block_s_;
  }
  if (blas_calls_ > 0) {
    json["mpi_calls"] = static_cast<double>(mpi_calls_) / static_cast<double>(runs_);
    json["blas_calls"] = static_cast<double>(blas_calls_) / static_cast<double>(runs_);
    json["largest_product"] = fmt::format("{}x{}x{}", largest_.m, largest_.n, largest_.k);
  }
  return json.dump();
}

template class PdgemmCpu<double>;
template class PdgemmCpu<float>;

Entry pdgemm_cpu_entry() {
  Entry entry;
  entry.name = "pdgemm";
  entry.variant = "cpu";
  entry.description = "one product C = alpha*op(A)*op(B) + beta*C on a grid of ranks, through ScaLAPACK";
  entry.rate = RateKind::flops;
  entry.distributed = [](const Params&) { return true; };
  entry.keys = pdgemm_keys();
  entry.parts = {"blas", "pack", "mpi"};
  entry.examples = pdgemm_examples;
  entry.validate = pdgemm_validate;
  entry.unsuited = pdgemm_unsuited;
  entry.cost = pdgemm_cost;
  entry.roofs = gemm_roofs;
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    if (context.params.text("dtype") == "f64") return std::make_unique<PdgemmCpu<double>>(context);
    return std::make_unique<PdgemmCpu<float>>(context);
  };
  return entry;
}

}  // namespace dlscale
