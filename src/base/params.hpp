// SPDX-License-Identifier: BSD-3-Clause
/// Values of a case's keys: what a job file may hold, and what a workload reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace dlscale {

/// A value as TOML or the command line gives it. Integers are 64 bits everywhere.
using Scalar = std::variant<bool, std::int64_t, double, std::string>;

/// "true", "42", "1.5", "NN": as written on a command line; doubles keep every digit and stay doubles.
std::string to_text(const Scalar& value);

/// "boolean", "integer", "number", "string".
std::string_view kind_name(const Scalar& value);

/// Keys with typed values, in the order of the workload's key table. Small: looked up linearly.
class Params {
 public:
  void set(std::string_view key, Scalar value);
  bool has(std::string_view key) const;
  const Scalar& at(std::string_view key) const;  ///< throws std::out_of_range naming the key

  std::int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;  ///< integers are widened
  bool boolean(std::string_view key) const;
  const std::string& text(std::string_view key) const;

  const std::vector<std::pair<std::string, Scalar>>& items() const { return items_; }
  bool operator==(const Params&) const = default;

 private:
  std::vector<std::pair<std::string, Scalar>> items_;
};

}  // namespace dlscale
