// SPDX-License-Identifier: BSD-3-Clause
/// Five SGD steps of the Top Flight CNN by PyTorch (tests/golden/pytorch_topflight.py): the same weights
/// and images, and the figures to compare with.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "nn/graph.hpp"

namespace dlscale::nn {

class TopflightFixture {
 public:
  /// Reads the file; throws std::runtime_error.
  TopflightFixture();

  std::int64_t batch() const { return static_cast<std::int64_t>(setup(1)); }
  int steps() const { return static_cast<int>(setup(2)); }
  double lr() const { return setup(3); }
  double momentum() const { return setup(4); }

  /// Without dropout.
  Graph graph() const;
  /// Of Graph::parameters()[parameter], canonical layout.
  std::vector<float> weights(const Graph& graph, int parameter) const;
  /// Of one step (from 0): batch × 1 × 28 × 28, and batch.
  std::vector<float> images(int step) const;
  std::vector<std::int32_t> labels(int step) const;
  /// u(stream, i) of the script.
  std::vector<float> uniform(std::uint64_t stream, std::int64_t count, std::int64_t first = 0) const;

  /// A record as stored: "loss64", "bn1.running_mean", "adam", …
  const std::vector<double>& record(const std::string& name) const;
  const std::vector<double>& losses() const { return record("loss64"); }

  /// Largest relative difference of a parameter after the last step: its norm, its sum (relative to
  /// norm · √count), 16 elements (relative to the larger of the element and the root mean square).
  double difference(const Graph& graph, int parameter, std::span<const double> values) const;
  /// Norm of the change over all steps, as PyTorch has it.
  double change(const Graph& graph, int parameter) const;

 private:
  double setup(std::size_t i) const { return record("setup").at(i); }
  std::map<std::string, std::vector<double>> records_;
};

}  // namespace dlscale::nn
