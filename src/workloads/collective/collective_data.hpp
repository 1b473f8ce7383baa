// SPDX-License-Identifier: BSD-3-Clause
/// What every rank puts in and must get out: functions of (seed, index, rank), and the judgement.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "comm/bf16_sum.hpp"
#include "comm/f16.hpp"
#include "workloads/collective/collective.hpp"

namespace dlscale {

/// What the checks need to know of an element type.
template <class T>
struct ElementTraits;
template <>
struct ElementTraits<float> {
  static constexpr double roundoff = 0x1p-24;
  static constexpr std::int64_t exact = std::int64_t{1} << 24;  ///< integers up to here are exact
  static float from(double value) { return static_cast<float>(value); }
  static double value(float element) { return static_cast<double>(element); }
};
template <>
struct ElementTraits<double> {
  static constexpr double roundoff = 0x1p-53;
  static constexpr std::int64_t exact = std::int64_t{1} << 53;
  static double from(double value) { return value; }
  static double value(double element) { return element; }
};
template <>
struct ElementTraits<Bf16> {
  static constexpr double roundoff = 0x1p-8;
  static constexpr std::int64_t exact = std::int64_t{1} << 8;
  static Bf16 from(double value) { return to_bf16(static_cast<float>(value)); }
  static double value(Bf16 element) { return static_cast<double>(to_float(element)); }
};
template <>
struct ElementTraits<F16> {
  static constexpr double roundoff = 0x1p-11;
  static constexpr std::int64_t exact = std::int64_t{1} << 11;
  static F16 from(double value) { return to_f16(static_cast<float>(value)); }
  static double value(F16 element) { return static_cast<double>(to_float(element)); }
};

constexpr int collective_classes = 16;

/// Inputs and expected outputs. Indices are global: of the whole message S.
///
/// Sums: even elements are integers, so small that every partial sum is exact in T; odd ones are
/// random reals. A rank r draws like all of its class r mod 16 and differs from those by what costs
/// nothing to add up (integers: + a number; reals: × a power of two), so that a sum over any number of
/// ranks takes 16 draws. Where p exceeds the largest exact integer (bf16: 256), an integer element is
/// contributed to by every ⌈p/256⌉-th rank only, the others put in 0.
///
/// Moves: random reals, a sequence of its own for every rank.
template <class T>
class CollectiveData {
 public:
  CollectiveData(const CollectiveShape& shape, std::uint64_t seed);

  /// Input of `rank` from its element `first` on.
  void fill(int rank, std::int64_t first, std::span<T> out) const;
  T input(int rank, std::int64_t index) const;

  /// Judges the output of `rank`; error is relative to what is allowed, tolerance 1: integers and moved
  /// elements bit for bit (else ≥ 2), reals |error| ≤ (p−1)·u·Σ|x|, which holds for any order of the
  /// additions (Jeannerod, Rump 2013). NaN stays NaN.
  Check check(int rank, std::span<const T> output) const;

 private:
  struct Expected {
    long double sum = 0;        ///< or the moved element's value
    long double magnitude = 0;  ///< Σ|x|
    bool exact = true;
  };
  T summand(int rank, std::int64_t index) const;
  T moved(int source, std::int64_t index) const;
  double real_of(int of_class, std::int64_t index) const;
  std::int64_t integer_of(int of_class, std::int64_t index) const;
  bool contributes(int rank, std::int64_t index) const;
  Expected expected(int rank, std::int64_t at) const;

  CollectiveShape shape_;
  std::uint64_t seed_;
  std::array<std::uint64_t, collective_classes> class_keys_{};
  std::int64_t stride_ = 1;             ///< every how many ranks contribute to an integer element
  std::int64_t largest_ = 1, add_ = 0;  ///< of the drawn integer, and of what a rank adds
  std::array<double, collective_classes> scales_{};  ///< Σ of the ranks' factors, by class
  std::vector<std::array<std::int64_t, collective_classes>>
      counts_;                       ///< [index mod stride] ranks by class
  std::vector<std::int64_t> added_;  ///< [index mod stride] Σ of what ranks add
};

}  // namespace dlscale
