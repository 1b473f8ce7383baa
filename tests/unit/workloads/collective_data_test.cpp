// SPDX-License-Identifier: BSD-3-Clause
// Collectives without MPI: the results are made by plain loops in several orders, and wrong must fail.
#include "workloads/collective/collective_data.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "dlscale_catch.hpp"

using namespace dlscale;

namespace {

constexpr std::uint64_t data_seed = 11;

CollectiveShape shape_of(CollectiveOp op, int ranks, std::int64_t blocks_of) {
  CollectiveShape shape{.op = op, .count = blocks_of, .ranks = ranks};
  if (shape.in_blocks()) shape.count = blocks_of * ranks;
  return shape;
}

// Adds as the type does.
float add(float a, float b) {
  return a + b;
}
double add(double a, double b) {
  return a + b;
}
Bf16 add(Bf16 a, Bf16 b) {
  std::uint16_t sum = a.bits;
  available_bf16_sum_kernels().front().add(&b.bits, &sum, 1);
  return {sum};
}

F16 add(F16 a, F16 b) {
  return to_f16(to_float(a) + to_float(b));  // 24 bits between are enough to round once
}

// Sum over the ranks in the given order.
template <class T>
T sum_in_order(const CollectiveData<T>& data, const std::vector<int>& order, std::int64_t index) {
  T sum = data.input(order.front(), index);
  for (std::size_t i = 1; i < order.size(); ++i) sum = add(sum, data.input(order[i], index));
  return sum;
}

// What `rank` gets out.
template <class T>
std::vector<T> output_of(const CollectiveData<T>& data, const CollectiveShape& shape, int rank,
                         const std::vector<int>& order) {
  std::vector<T> out(static_cast<std::size_t>(shape.output_count()));
  const std::int64_t block = shape.block();
  for (std::size_t u = 0; u < out.size(); ++u) {
    const auto i = static_cast<std::int64_t>(u);
    switch (shape.op) {
      case CollectiveOp::allreduce:
        out[u] = sum_in_order(data, order, i);
        break;
      case CollectiveOp::reduce_scatter:
        out[u] = sum_in_order(data, order, rank * block + i);
        break;
      case CollectiveOp::allgather:
        out[u] = data.input(static_cast<int>(i / block), i % block);
        break;
      case CollectiveOp::broadcast:
        out[u] = data.input(0, i);
        break;
      case CollectiveOp::alltoall:
        out[u] = data.input(static_cast<int>(i / block), rank * block + i % block);
        break;
    }
  }
  return out;
}

constexpr CollectiveOp all_ops[] = {CollectiveOp::allreduce, CollectiveOp::reduce_scatter,
                                    CollectiveOp::allgather, CollectiveOp::broadcast,
                                    CollectiveOp::alltoall};

template <class T>
void clean_passes(int ranks, std::int64_t elements) {
  std::vector<int> up(static_cast<std::size_t>(ranks)), down, shuffled;
  std::iota(up.begin(), up.end(), 0);
  down.assign(up.rbegin(), up.rend());
  shuffled = up;
  std::sort(shuffled.begin(), shuffled.end(), [](int a, int b) {
    return std::pair(a * 7919 % 104729, a) < std::pair(b * 7919 % 104729, b);
  });
  for (const CollectiveOp op : all_ops) {
    const CollectiveShape shape = shape_of(op, ranks, elements);
    const CollectiveData<T> data(shape, data_seed);
    for (const auto& order : {up, down, shuffled})
      for (const int rank : {0, ranks / 2, ranks - 1}) {
        const std::vector<T> out = output_of(data, shape, rank, order);
        const Check check = data.check(rank, out);
        CAPTURE(to_string(op), ranks, rank, check.error, check.message);
        CHECK(check.passed());
      }
  }
}

template <class T>
void planted_fails(CollectiveOp op, int ranks) {
  const CollectiveShape shape = shape_of(op, ranks, 64);
  const CollectiveData<T> data(shape, data_seed);
  std::vector<int> order(static_cast<std::size_t>(ranks));
  std::iota(order.begin(), order.end(), 0);
  const int rank = ranks - 1;
  const std::vector<T> good = output_of(data, shape, rank, order);
  REQUIRE(data.check(rank, good).passed());
  using E = ElementTraits<T>;
  const auto planted = [&](const char* what, const std::function<void(std::vector<T>&)>& damage) {
    std::vector<T> out = good;
    damage(out);
    const Check check = data.check(rank, out);
    CAPTURE(to_string(op), ranks, what, check.error);
    CHECK_FALSE(check.passed());
    CHECK_FALSE(check.message.empty());
  };
  const T nan = E::from(std::numeric_limits<double>::quiet_NaN());
  const std::size_t last = good.size() - 1;
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}, last - 1, last}) {
    planted("NaN", [&](auto& out) { out[at] = nan; });
    planted("infinity", [&](auto& out) { out[at] = E::from(HUGE_VAL); });
    planted("wrong by one", [&](auto& out) { out[at] = E::from(E::value(out[at]) + ranks); });
  }
  planted("unwritten tail", [&](auto& out) { std::fill(out.end() - 3, out.end(), nan); });
  planted("all zero", [&](auto& out) { std::fill(out.begin(), out.end(), E::from(0)); });
  planted("swapped halves", [&](auto& out) { std::rotate(out.begin(), out.begin() + 2, out.end()); });
  planted("own input only", [&](auto& out) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = data.input(rank, static_cast<std::int64_t>(i));
    if (shape.op == CollectiveOp::alltoall) return;
    if (shape.op == CollectiveOp::reduce_scatter)
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = data.input(rank, rank * shape.block() + static_cast<std::int64_t>(i));
  });
  if (!shape.sums()) return;
  planted("one rank left out", [&](auto& out) {
    const std::vector<int> fewer(order.begin() + 1, order.end());
    out = output_of(data, shape, rank, fewer);
  });
  planted("one rank twice instead of another", [&](auto& out) {
    std::vector<int> twice = order;
    twice[0] = twice[1];
    out = output_of(data, shape, rank, twice);
  });
}

}  // namespace

TEST_CASE("results of correct collectives pass, whatever the order of the additions") {
  for (const int ranks : {1, 2, 3, 7, 16, 17, 64}) {
    clean_passes<float>(ranks, 50);
    clean_passes<double>(ranks, 50);
    clean_passes<Bf16>(ranks, 50);
    clean_passes<F16>(ranks, 50);
  }
  clean_passes<Bf16>(300, 40);  // more ranks than bf16 counts exactly
  clean_passes<Bf16>(1025, 20);
  clean_passes<F16>(2100, 20);
  clean_passes<float>(1025, 20);
}

TEST_CASE("planted errors are caught in every operation and type") {
  for (const CollectiveOp op : all_ops)
    for (const int ranks : {2, 5, 40}) {
      planted_fails<float>(op, ranks);
      planted_fails<double>(op, ranks);
      planted_fails<Bf16>(op, ranks);
      planted_fails<F16>(op, ranks);
    }
}

TEST_CASE("a sum with one rank taken twice is caught within its class of data, too") {
  // Ranks 3, 19 and 35 draw alike and differ by what they add alone.
  const CollectiveShape shape = shape_of(CollectiveOp::allreduce, 40, 64);
  const CollectiveData<float> data(shape, data_seed);
  std::vector<int> order(40);
  std::iota(order.begin(), order.end(), 0);
  REQUIRE(data.check(0, output_of(data, shape, 0, order)).passed());
  order[3] = 19;
  CHECK_FALSE(data.check(0, output_of(data, shape, 0, order)).passed());
}

TEST_CASE("integers are as large as the type sums exactly, and no larger") {
  const auto largest = [](auto element, int ranks) {
    using T = decltype(element);
    const CollectiveData<T> data(shape_of(CollectiveOp::allreduce, ranks, 2000), data_seed);
    double most = 0;
    for (std::int64_t i = 0; i < 2000; i += 2) {
      double sum = 0;
      for (int r = 0; r < ranks; ++r) sum += std::fabs(ElementTraits<T>::value(data.input(r, i)));
      most = std::max(most, sum);
    }
    return most;
  };
  for (const int ranks : {2, 3, 20, 256, 257, 1000}) {
    CAPTURE(ranks);
    CHECK(largest(Bf16{}, ranks) <= 256);
    CHECK(largest(Bf16{}, ranks) >= 32);
    CHECK(largest(1.0F, ranks) <= 0x1p24);
    CHECK(largest(1.0F, ranks) >= 0x1p22);
    CHECK(largest(1.0, ranks) <= 0x1p53);
  }
}

TEST_CASE("bf16: rounds to nearest even, keeps NaN and infinity; every kernel alike") {
  CHECK(to_bf16(1.0F).bits == 0x3f80);
  CHECK(to_bf16(1.0F + 0x1p-8F).bits == 0x3f80);            // a tie: to even
  CHECK(to_bf16(1.0F + 0x1p-7F + 0x1p-8F).bits == 0x3f82);  // a tie: to even
  CHECK(to_bf16(1.0F + 0x1p-8F + 0x1p-20F).bits == 0x3f81);
  CHECK(to_bf16(std::numeric_limits<float>::max()).bits == 0x7f80);         // rounds to infinity
  CHECK(std::isnan(to_float(to_bf16(std::bit_cast<float>(0x7f800001U)))));  // not cut to infinity
  CHECK(std::isnan(to_float(to_bf16(std::bit_cast<float>(0xffffffffU)))));
  std::vector<std::uint16_t> in(65536), start(65536);
  for (std::size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<std::uint16_t>(i);
    start[i] = static_cast<std::uint16_t>(i * 40503 + 17);
  }
  for (const Bf16SumKernel& kernel : available_bf16_sum_kernels()) {
    CAPTURE(kernel.name);
    for (const std::int64_t count : {std::int64_t{65536}, std::int64_t{13}}) {
      std::vector<std::uint16_t> sums = start;
      kernel.add(in.data(), sums.data(), count);
      std::int64_t wrong = 0;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const bool summed = static_cast<std::int64_t>(i) < count;
        const float exact = to_float(Bf16{start[i]}) + to_float(Bf16{in[i]});
        const bool both_nan = std::isnan(exact) && std::isnan(to_float(Bf16{sums[i]}));
        wrong += summed ? !both_nan && sums[i] != to_bf16(exact).bits : sums[i] != start[i];
      }
      CHECK(wrong == 0);
    }
  }
}
