// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/pdgemm/pdgemm_check.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "comm/agreement.hpp"
#include "device/random.hpp"
#include "workloads/together_mpi.hpp"

namespace dlscale {
namespace {

constexpr int columns = gemm_probe_columns;

std::uint64_t operand_key(std::uint64_t seed, GemmOperand operand) {
  return stream_key(seed, static_cast<std::uint64_t>(operand));
}

// One row of four numbers for every index of a dimension.
template <class W>
std::vector<W> thin(std::int64_t count) {
  return std::vector<W>(static_cast<std::size_t>(count) * columns);
}

// out += factor · op(own blocks) · in, with `at(local index, global row, global column)` for the
// elements. Both vectors have the length of the whole dimension.
template <class W, class T, class At>
void multiply(const LocalBlocks<T>& s, bool transposed, W factor, const std::vector<W>& in,
              std::vector<W>& out, At at) {
  const std::vector<std::int64_t> rows = s.rows.globals(), cols = s.cols.globals();
  std::size_t index = 0;
  for (const std::int64_t col : cols) {
    const auto column_at = static_cast<std::size_t>(col) * columns;
    W sum[columns] = {}, x[columns];
    for (int c = 0; c < columns; ++c)
      x[c] = transposed ? W{0} : factor * in[column_at + static_cast<std::size_t>(c)];
    for (const std::int64_t row : rows) {
      const auto value = static_cast<W>(at(index++, row, col));
      const auto row_at = static_cast<std::size_t>(row) * columns;
      if (transposed)
        for (int c = 0; c < columns; ++c) sum[c] += value * in[row_at + static_cast<std::size_t>(c)];
      else
        for (int c = 0; c < columns; ++c) out[row_at + static_cast<std::size_t>(c)] += value * x[c];
    }
    if (transposed)
      for (int c = 0; c < columns; ++c) out[column_at + static_cast<std::size_t>(c)] += factor * sum[c];
  }
}

// Sum over the grid, in place; asleep, since ranks may be more than cores.
template <class W>
void add_over(const Communicator& grid, std::vector<W>& values) {
  constexpr std::size_t piece = std::size_t{1} << 26;  // MPI counts with 32 bits
  const MPI_Datatype type = std::is_same_v<W, double> ? MPI_DOUBLE : MPI_LONG_DOUBLE;
  for (std::size_t at = 0; at < values.size(); at += piece) {
    MPI_Request request = MPI_REQUEST_NULL;
    DLSCALE_MPI(MPI_Iallreduce(MPI_IN_PLACE, &values[at],
                               static_cast<int>(std::min(piece, values.size() - at)), type, MPI_SUM,
                               grid.get(), &request));
    wait_asleep(request);
  }
}

template <class W>
struct Vectors {
  std::vector<W> x, y, r;  // X, op(B)·X, R
};

// The memory of the check on all ranks, or an exception on all.
template <class W>
Vectors<W> make_vectors(const GemmShape& s, const Communicator& grid) {
  Vectors<W> v;
  together(grid, [&] { v = {thin<W>(s.n), thin<W>(s.k), thin<W>(s.m)}; });
  return v;
}

}  // namespace

template <class T>
T pdgemm_element(std::uint64_t key, const LocalBlocks<T>& matrix, std::int64_t i, std::int64_t j) {
  return static_cast<T>(uniform_at(key, static_cast<std::uint64_t>(i + j * matrix.rows.count)));
}

template <class T>
Check pdgemm_check(const PdgemmResult<T>& r, GemmPrecision precision, const Communicator& grid) {
  // Wider than the data, so that the check's own rounding does not count.
  using W = std::conditional_t<std::is_same_v<T, double>, long double, double>;
  const GemmShape& s = r.shape;
  auto [x, y, residual] = make_vectors<W>(s, grid);
  const std::uint64_t x_key = stream_key(r.seed, gemm_probe_stream);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<W>(sign_at(x_key, i));

  const auto stored = [](const LocalBlocks<T>& m) {
    return [&m](std::size_t index, std::int64_t, std::int64_t) { return m.data[index]; };
  };
  multiply<W>(r.b, s.trans_b, 1, x, y, stored(r.b));
  add_over(grid, y);
  const auto [sum, power] = gemm_factors<W>(s.beta, r.repetitions);
  multiply<W>(r.a, s.trans_a, -static_cast<W>(s.alpha) * sum, y, residual, stored(r.a));
  multiply<W>(r.c, false, 1, x, residual, stored(r.c));
  if (s.beta != 0) {
    const std::uint64_t key = operand_key(r.seed, GemmOperand::c);
    multiply<W>(r.c, false, -power, x, residual, [&](std::size_t, std::int64_t i, std::int64_t j) {
      return pdgemm_element(key, r.c, i, j);
    });
  }
  add_over(grid, residual);

  double worst = 0;
  for (const std::int64_t row : r.c.rows.globals())
    for (int c = 0; c < columns && !std::isnan(worst); ++c) {
      const auto error = static_cast<double>(
          std::fabs(residual[static_cast<std::size_t>(row) * columns + static_cast<std::size_t>(c)]));
      if (!(error <= worst)) worst = error;  // NaN comes in, and nothing gets it out
    }
  return {.error = worst,
          .tolerance = gemm_residual_tolerance(s, r.repetitions, precision),
          .method = "residual C·X − (αA(B·X) + βC0·X), X of four ±1 columns, own rows"};
}

template <class T>
Check pdgemm_check_elements(const PdgemmResult<T>& r, GemmPrecision precision) {
  const GemmShape& s = r.shape;
  const std::uint64_t a_key = operand_key(r.seed, GemmOperand::a),
                      b_key = operand_key(r.seed, GemmOperand::b),
                      c_key = operand_key(r.seed, GemmOperand::c);
  Check worst{.error = 0, .tolerance = 0, .method = "every own element against a float64 loop"};
  double worst_ratio = -1;
  std::size_t index = 0;
  for (const std::int64_t j : r.c.cols.globals())
    for (const std::int64_t i : r.c.rows.globals()) {
      double product = 0;
      for (std::int64_t l = 0; l < s.k; ++l) {
        const T a = s.trans_a ? pdgemm_element(a_key, r.a, l, i) : pdgemm_element(a_key, r.a, i, l);
        const T b = s.trans_b ? pdgemm_element(b_key, r.b, j, l) : pdgemm_element(b_key, r.b, l, j);
        product += static_cast<double>(a) * static_cast<double>(b);
      }
      const GemmElementError element = gemm_element_error(
          s, r.repetitions, precision, product, static_cast<double>(pdgemm_element(c_key, r.c, i, j)),
          static_cast<double>(r.c.data[index++]));
      if (!(element.ratio() <= worst_ratio)) {
        worst_ratio = element.ratio();
        worst.error = element.error;
        worst.tolerance = element.tolerance;
        if (std::isnan(worst_ratio)) return worst;
      }
    }
  return worst;
}

template double pdgemm_element(std::uint64_t, const LocalBlocks<double>&, std::int64_t, std::int64_t);
template float pdgemm_element(std::uint64_t, const LocalBlocks<float>&, std::int64_t, std::int64_t);
template Check pdgemm_check(const PdgemmResult<double>&, GemmPrecision, const Communicator&);
template Check pdgemm_check(const PdgemmResult<float>&, GemmPrecision, const Communicator&);
template Check pdgemm_check_elements(const PdgemmResult<double>&, GemmPrecision);
template Check pdgemm_check_elements(const PdgemmResult<float>&, GemmPrecision);

}  // namespace dlscale
