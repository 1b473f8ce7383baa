// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/gemm/gemm_cpu.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "device/blas.hpp"
#include "device/random.hpp"

// Fortran BLAS, 32-bit integers; hidden string lengths as gfortran passes them.
extern "C" {
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
            const int*, const double*, const int*, const double*, double*, const int*, std::size_t,
            std::size_t);
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
            const int*, const float*, const int*, const float*, float*, const int*, std::size_t,
            std::size_t);
}

namespace dlscale {
template <class T>
GemmCpu<T>::GemmCpu(const WorkContext& context)
    : shape_(gemm_shape(context.params)), seed_(context.seed), threads_(context.threads) {}

template <class T>
void GemmCpu<T>::prepare() {
  if (!set_blas_threads(threads_))
    throw Error(ExitCode::case_failed, "can't set the threads of the BLAS",
                blas_facts().vendor + " offers no way", "use threads = 1 or another BLAS");
  a_ = Buffer<T>(static_cast<std::size_t>(shape_.m) * static_cast<std::size_t>(shape_.k));
  b_ = Buffer<T>(static_cast<std::size_t>(shape_.k) * static_cast<std::size_t>(shape_.n));
  c_ = Buffer<T>(static_cast<std::size_t>(shape_.m) * static_cast<std::size_t>(shape_.n));
  fill_uniform(a_.span(), seed_, static_cast<std::uint64_t>(GemmOperand::a));
  fill_uniform(b_.span(), seed_, static_cast<std::uint64_t>(GemmOperand::b));
  // β = 0 must not read C (BLAS standard): NaN shows an implementation that does, and every tile left
  // unwritten.
  if (shape_.beta == 0)
    for (T& element : c_.span()) element = std::numeric_limits<T>::quiet_NaN();
  reset();
}

template <class T>
void GemmCpu<T>::reset() {
  set_blas_threads(threads_);  // cases with other thread counts may have run in between
  if (shape_.beta == 0) return;
  fill_uniform(c_.span(), seed_, static_cast<std::uint64_t>(GemmOperand::c));
  repetitions_ = 0;
}

template <class T>
void GemmCpu<T>::run() {
  const char ta = shape_.trans_a ? 'T' : 'N', tb = shape_.trans_b ? 'T' : 'N';
  const int m = static_cast<int>(shape_.m), n = static_cast<int>(shape_.n),
            k = static_cast<int>(shape_.k);
  const int lda = static_cast<int>(shape_.a_rows()), ldb = static_cast<int>(shape_.b_rows());
  const T alpha = static_cast<T>(shape_.alpha), beta = static_cast<T>(shape_.beta);
  if constexpr (std::is_same_v<T, double>)
    dgemm_(&ta, &tb, &m, &n, &k, &alpha, a_.data(), &lda, b_.data(), &ldb, &beta, c_.data(), &m, 1, 1);
  else
    sgemm_(&ta, &tb, &m, &n, &k, &alpha, a_.data(), &lda, b_.data(), &ldb, &beta, c_.data(), &m, 1, 1);
  ++repetitions_;
}

template <class T>
Check GemmCpu<T>::verify() {
  const GemmPrecision precision{unit_roundoff<T>, unit_roundoff<T>};
  GemmShape shape = shape_;
  shape.alpha = static_cast<double>(static_cast<T>(shape.alpha));  // what BLAS was given
  shape.beta = static_cast<double>(static_cast<T>(shape.beta));
  const GemmResult<T> result{shape,     seed_,     shape_.beta == 0 ? 1 : repetitions_,
                             a_.span(), b_.span(), c_.span()};
  const Check residual = gemm_check(result, precision);
  if (!residual.passed() || !gemm_checks_elements(shape_, result.repetitions)) return residual;
  const Check elements = gemm_check_elements(result, precision);
  return elements.passed() ? residual : elements;
}

template <class T>
std::string GemmCpu<T>::results() const {
  const BlasFacts facts = blas_facts();
  return nlohmann::json{
      {"blas", facts.vendor}, {"blas_kernels", facts.core_name}, {"blas_threads", facts.threads}}
      .dump();
}

template class GemmCpu<double>;
template class GemmCpu<float>;

Entry gemm_cpu_entry() {
  static const std::vector<std::string> dtypes = {"f64", "f32"};
  Entry entry;
  entry.name = "gemm";
  entry.variant = "cpu";
  entry.description =
      "C = alpha*op(A)*op(B) + beta*C on every rank by itself, column-major, through BLAS";
  entry.rate = RateKind::flops;
  entry.keys = gemm_keys(dtypes);
  entry.examples = [] { return gemm_examples(dtypes); };
  entry.validate = gemm_validate;
  entry.cost = gemm_cost;
  entry.roofs = gemm_roofs;
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    if (context.params.text("dtype") == "f64") return std::make_unique<GemmCpu<double>>(context);
    return std::make_unique<GemmCpu<float>>(context);
  };
  return entry;
}

}  // namespace dlscale
