// SPDX-License-Identifier: BSD-3-Clause
#include "topflight_fixture.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "device/random.hpp"
#include "nn/models.hpp"

namespace dlscale::nn {
namespace {

constexpr std::uint64_t image_stream = 1000, label_stream = 1001;
constexpr std::int64_t pixels = 784;

std::uint64_t key_of(double seed, std::uint64_t stream) {
  return stream_key(static_cast<std::uint64_t>(seed), stream);
}

}  // namespace

TopflightFixture::TopflightFixture() {
  const std::string path = DLSCALE_SOURCE_DIR "/tests/golden/topflight_five_steps.bin";
  std::ifstream file(path, std::ios::binary);
  char magic[8] = {};
  if (!file.read(magic, sizeof magic) || std::memcmp(magic, "DLSFIX1\n", sizeof magic) != 0)
    throw std::runtime_error(path + ": not there, or not a fixture");
  char name[49] = {};
  std::uint64_t count = 0;
  while (file.read(name, 48) && file.read(reinterpret_cast<char*>(&count), sizeof count)) {
    std::vector<double> values(std::min<std::uint64_t>(count, 1U << 20));
    file.read(reinterpret_cast<char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(double)));
    if (!file || values.size() != count) throw std::runtime_error(path + ": cut off");
    records_[name] = std::move(values);
  }
}

const std::vector<double>& TopflightFixture::record(const std::string& name) const {
  const auto found = records_.find(name);
  if (found == records_.end()) throw std::runtime_error("the fixture has no record '" + name + "'");
  return found->second;
}

Graph TopflightFixture::graph() const {
  ModelOptions options;
  options.dropout = 0;
  return find_model("topflight-cnn")->build(options);
}

std::vector<float> TopflightFixture::uniform(std::uint64_t stream, std::int64_t count,
                                             std::int64_t first) const {
  std::vector<float> values(count);
  const std::uint64_t key = key_of(setup(0), stream);
  for (std::int64_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(uniform_at(key, static_cast<std::uint64_t>(first + i)));
  return values;
}

std::vector<float> TopflightFixture::weights(const Graph& graph, int parameter) const {
  const Parameter& p = graph.parameters().at(parameter);
  const std::uint64_t key = key_of(setup(0), static_cast<std::uint64_t>(parameter));
  std::vector<float> values(p.count());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double u = uniform_at(key, i);
    double value = u / std::sqrt(static_cast<double>(p.fan_in));
    if (p.kind == ParameterKind::gamma) value = 1 + 0.1 * u;
    if (p.kind == ParameterKind::beta) value = 0.1 * u;
    values[i] = static_cast<float>(value);
  }
  return values;
}

std::vector<float> TopflightFixture::images(int step) const {
  return uniform(image_stream, batch() * pixels, step * batch() * pixels);
}

std::vector<std::int32_t> TopflightFixture::labels(int step) const {
  std::vector<std::int32_t> values(batch());
  const std::uint64_t key = key_of(setup(0), label_stream);
  for (std::int64_t n = 0; n < batch(); ++n) {
    const double u = uniform_at(key, static_cast<std::uint64_t>(step * batch() + n));
    values[n] = static_cast<std::int32_t>(std::floor((u + 1) / 2 * 10));
  }
  return values;
}

double TopflightFixture::difference(const Graph& graph, int parameter,
                                    std::span<const double> values) const {
  const std::vector<double>& wanted = record(graph.parameters().at(parameter).name);
  double squares = 0, sum = 0;
  for (const double v : values) {
    squares += v * v;
    sum += v;
  }
  const double root = std::sqrt(static_cast<double>(values.size())), norm = wanted.at(0);
  double worst = 0;
  const auto see = [&](double difference) {
    if (!(std::fabs(difference) <= worst)) worst = std::fabs(difference);
  };
  see(std::sqrt(squares) / norm - 1);
  if (!std::isfinite(worst)) return worst;
  see((sum - wanted.at(1)) / (norm * root));
  for (std::size_t k = 3; k + 1 < wanted.size(); k += 2) {
    const double value = wanted[k + 1];
    see((values[static_cast<std::size_t>(wanted[k])] - value) / std::max(std::fabs(value), norm / root));
  }
  return worst;
}

double TopflightFixture::change(const Graph& graph, int parameter) const {
  return record(graph.parameters().at(parameter).name).at(2);
}

}  // namespace dlscale::nn
