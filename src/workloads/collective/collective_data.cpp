// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/collective/collective_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "base/error.hpp"
#include "device/random.hpp"

namespace dlscale {
namespace {

constexpr std::uint64_t class_stream = 0x100, moved_stream = 0x1000;
constexpr int classes = collective_classes;

template <class T>
bool same_bits(T a, T b) {
  if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
  else if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  else
    return a.bits == b.bits;
}

// How ranks of one class differ.
std::int64_t addend_of(int rank, std::int64_t most) {
  return rank / classes % (most + 1);
}
double factor_of(int rank) {
  return std::ldexp(1.0, -(rank / classes % 8));
}

}  // namespace

template <class T>
CollectiveData<T>::CollectiveData(const CollectiveShape& shape, std::uint64_t seed)
    : shape_(shape), seed_(seed) {
  for (int c = 0; c < classes; ++c)
    class_keys_[static_cast<std::size_t>(c)] =
        stream_key(seed, class_stream + static_cast<std::uint64_t>(c));
  if (!shape_.sums()) return;
  const std::int64_t p = shape_.ranks, exact = ElementTraits<T>::exact;
  stride_ = (p + exact - 1) / exact;
  const std::int64_t contributors = (p + stride_ - 1) / stride_;
  const std::int64_t top = exact / contributors;
  add_ = std::min(top - 1, (p - 1) / classes);
  largest_ = top - add_;
  counts_.resize(static_cast<std::size_t>(stride_));
  added_.resize(static_cast<std::size_t>(stride_));
  for (int rank = 0; rank < shape_.ranks; ++rank) {
    const auto c = static_cast<std::size_t>(rank % classes);
    const auto k = static_cast<std::size_t>(rank % stride_);
    scales_[c] += factor_of(rank);
    ++counts_[k][c];
    added_[k] += addend_of(rank, add_);
  }
}

template <class T>
double CollectiveData<T>::real_of(int of_class, std::int64_t index) const {
  const double drawn =
      uniform_at(class_keys_[static_cast<std::size_t>(of_class)], static_cast<std::uint64_t>(index));
  return ElementTraits<T>::value(ElementTraits<T>::from(drawn));
}

template <class T>
std::int64_t CollectiveData<T>::integer_of(int of_class, std::int64_t index) const {
  const std::uint64_t bits =
      bits_at(class_keys_[static_cast<std::size_t>(of_class)], static_cast<std::uint64_t>(index));
  const auto size = 1 + static_cast<std::int64_t>((bits >> 1) % static_cast<std::uint64_t>(largest_));
  return (bits & 1U) != 0 ? size : -size;
}

template <class T>
bool CollectiveData<T>::contributes(int rank, std::int64_t index) const {
  return rank % stride_ == index / 2 % stride_;
}

template <class T>
T CollectiveData<T>::summand(int rank, std::int64_t index) const {
  const int c = rank % classes;
  if (index % 2 != 0) return ElementTraits<T>::from(real_of(c, index) * factor_of(rank));
  if (!contributes(rank, index)) return ElementTraits<T>::from(0);
  return ElementTraits<T>::from(static_cast<double>(integer_of(c, index) + addend_of(rank, add_)));
}

template <class T>
T CollectiveData<T>::moved(int source, std::int64_t index) const {
  const std::uint64_t key = stream_key(seed_, moved_stream + static_cast<std::uint64_t>(source));
  return ElementTraits<T>::from(uniform_at(key, static_cast<std::uint64_t>(index)));
}

template <class T>
T CollectiveData<T>::input(int rank, std::int64_t index) const {
  return shape_.sums() ? summand(rank, index) : moved(rank, index);
}

template <class T>
void CollectiveData<T>::fill(int rank, std::int64_t first, std::span<T> out) const {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = input(rank, first + static_cast<std::int64_t>(i));
}

template <class T>
typename CollectiveData<T>::Expected CollectiveData<T>::expected(int rank, std::int64_t at) const {
  const std::int64_t block = shape_.block();
  switch (shape_.op) {
    case CollectiveOp::broadcast:
      return {.sum = ElementTraits<T>::value(moved(0, at))};
    case CollectiveOp::allgather:
      return {.sum = ElementTraits<T>::value(moved(static_cast<int>(at / block), at % block))};
    case CollectiveOp::alltoall:
      return {.sum = ElementTraits<T>::value(
                  moved(static_cast<int>(at / block), rank * block + at % block))};
    case CollectiveOp::allreduce:
    case CollectiveOp::reduce_scatter:
      break;
  }
  const std::int64_t index = shape_.op == CollectiveOp::reduce_scatter ? rank * block + at : at;
  const int drawn = std::min(classes, shape_.ranks);
  if (index % 2 == 0) {
    const auto k = static_cast<std::size_t>(index / 2 % stride_);
    std::int64_t sum = added_[k];
    for (int c = 0; c < drawn; ++c)
      if (const std::int64_t n = counts_[k][static_cast<std::size_t>(c)]; n > 0)
        sum += n * integer_of(c, index);
    return {.sum = static_cast<long double>(sum)};
  }
  Expected e{.exact = false};
  for (int c = 0; c < drawn; ++c) {
    const long double part = static_cast<long double>(scales_[static_cast<std::size_t>(c)]) *
                             static_cast<long double>(real_of(c, index));
    e.sum += part;
    e.magnitude += std::fabs(part);
  }
  return e;
}

template <class T>
Check CollectiveData<T>::check(int rank, std::span<const T> output) const {
  using E = ElementTraits<T>;
  const double terms = shape_.ranks - 1;
  Check check{.error = 0,
              .tolerance = 1,
              .method = shape_.sums() ? "integers bit for bit, reals within (p-1)·u·Σ|x|"
                                      : "every element bit for bit"};
  for (std::size_t i = 0; i < output.size(); ++i) {
    const Expected e = expected(rank, static_cast<std::int64_t>(i));
    const auto off =
        static_cast<double>(std::fabs(static_cast<long double>(E::value(output[i])) - e.sum));
    double ratio = 0;
    if (e.exact) {
      if (same_bits(output[i], E::from(static_cast<double>(e.sum)))) continue;
      ratio = 2 + off;
    } else {
      ratio = off == 0 ? 0 : off / (terms * E::roundoff * static_cast<double>(e.magnitude));
    }
    if (ratio <= check.error) continue;
    check.error = ratio;  // NaN gets here as well
    if (!check.passed())
      check.message = sentence(
          fmt::format("element {} of {} is {}, must be {}{}", i, output.size(), E::value(output[i]),
                      static_cast<double>(e.sum), e.exact ? "" : " within rounding"),
          fmt::format("{} over {} ranks", to_string(shape_.op), shape_.ranks),
          "distrust the library that carried it out, its settings, or the memory and network");
    if (std::isnan(ratio)) break;
  }
  return check;
}

template class CollectiveData<float>;
template class CollectiveData<double>;
template class CollectiveData<Bf16>;
template class CollectiveData<F16>;

}  // namespace dlscale
