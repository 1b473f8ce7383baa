// SPDX-License-Identifier: BSD-3-Clause
// The pure half of collective: keys, examples, validation, cost.
#include "workloads/collective/collective.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"

namespace dlscale {
namespace {

struct Name {
  const char* text;
  CollectiveOp op;
};
constexpr std::array<Name, 5> names = {{{"allreduce", CollectiveOp::allreduce},
                                        {"reduce_scatter", CollectiveOp::reduce_scatter},
                                        {"allgather", CollectiveOp::allgather},
                                        {"broadcast", CollectiveOp::broadcast},
                                        {"alltoall", CollectiveOp::alltoall}}};

// MPI counts elements in 32 bits; what is left is for rounding up to a multiple of the ranks.
constexpr std::int64_t most_elements = 2'000'000'000;

CollectiveOp op_of(const std::string& text) {
  for (const Name& name : names)
    if (text == name.text) return name.op;
  throw Error(ExitCode::bad_input, fmt::format("unknown op '{}'", text));
}

Params example(const char* op, const std::string& dtype, std::int64_t elements, bool in_place,
               const std::string& implementation) {
  Params p;
  p.set("op", std::string(op));
  p.set("bytes", elements * element_bytes(dtype));
  p.set("dtype", dtype);
  p.set("in_place", in_place);
  p.set("implementation", implementation);
  return p;
}

}  // namespace

std::string_view to_string(CollectiveOp op) {
  for (const Name& name : names)
    if (op == name.op) return name.text;
  return "unknown";
}

std::int64_t element_bytes(const std::string& dtype) {
  return dtype == "f64" ? 8 : dtype == "f32" ? 4 : 2;
}

CollectiveShape collective_shape(const Params& params, int ranks) {
  CollectiveShape shape{.op = op_of(params.text("op")),
                        .count = params.integer("bytes") / element_bytes(params.text("dtype")),
                        .ranks = ranks,
                        .in_place = params.boolean("in_place")};
  if (shape.in_blocks()) shape.count = (shape.count + ranks - 1) / ranks * ranks;
  return shape;
}

double bus_factor(CollectiveOp op, int ranks) {
  const double p = ranks;
  if (ranks < 2) return 0;  // nothing moves
  if (op == CollectiveOp::broadcast) return 1;
  return (op == CollectiveOp::allreduce ? 2 : 1) * (p - 1) / p;
}

std::vector<Key> collective_keys(std::vector<std::string> implementations) {
  std::vector<std::string> ops;
  for (const Name& name : names) ops.emplace_back(name.text);
  const std::string first = implementations.front();
  return {
      {"op", std::string("allreduce"), "what the ranks do together; reductions sum", {}, {}, ops},
      {"bytes",
       std::int64_t{4194304},
       "message size S, B: the larger of a rank's input and output; rounded up to whole blocks of equal "
       "size where every rank has one",
       2.0,
       16e9,
       {}},
      {"dtype", std::string("f32"), "type of the elements", {}, {}, {"f32", "f64", "bf16"}},
      {"in_place", false, "input and output in one buffer", {}, {}, {}},
      {"implementation", first, "who carries it out", {}, {}, std::move(implementations)},
  };
}

// One element on any number of ranks, a prime number of them, and a message of many pieces.
std::vector<Params> collective_examples(const std::string& implementation) {
  std::vector<Params> list;
  for (const Name& name : names) {
    for (const char* dtype : {"f32", "f64", "bf16"}) {
      list.push_back(example(name.text, dtype, 1, false, implementation));
      list.push_back(
          example(name.text, dtype, 1009, name.op != CollectiveOp::broadcast, implementation));
    }
    list.push_back(example(name.text, "f32", 100'003, false, implementation));
  }
  return list;
}

std::string collective_validate(const Params& params) {
  const std::string& dtype = params.text("dtype");
  const std::int64_t bytes = params.integer("bytes"), size = element_bytes(dtype);
  if (bytes % size != 0)
    return sentence(fmt::format("bytes = {} is no whole number of {} elements", bytes, dtype),
                    fmt::format("one has {} B", size),
                    fmt::format("choose {}", (bytes + size - 1) / size * size));
  if (bytes / size > most_elements)
    return sentence(
        fmt::format("bytes = {} is more than {} elements of {}", bytes, most_elements, dtype),
        "MPI counts in 32 bits", "choose fewer");
  if (params.boolean("in_place") && params.text("op") == "broadcast")
    return sentence("in_place can't be true with op = broadcast", "it has one buffer anyway",
                    "leave in_place out, or give broadcast a [[case]] of its own");
  return {};
}

std::vector<Roof> collective_roofs() {
  std::vector<Roof> roofs;
  for (const std::int64_t bytes : {1'048'576, 8}) {
    Roof roof{"pairwise", {}};
    roof.params.set("bytes", bytes);
    roof.params.set("rounds", std::int64_t{4});
    roofs.push_back(roof);
  }
  return roofs;
}

Cost collective_cost(const Params& params, int ranks, int) {
  const CollectiveShape shape = collective_shape(params, ranks);
  const auto size = static_cast<double>(element_bytes(params.text("dtype")));
  const double p = ranks, s = size * static_cast<double>(shape.count);
  const double in = size * static_cast<double>(shape.input_count());
  const double out = size * static_cast<double>(shape.output_count());
  // The additions of a reduction are the library's affair: no FLOP are counted. In place reduce-scatter
  // and all-gather need the larger buffer only; of a broadcast the root reads and the others write.
  return {.flops = 0,
          .bytes_touched = shape.op == CollectiveOp::broadcast ? p * s : p * (in + out),
          .bytes_sent = p * bus_factor(shape.op, ranks) * s,
          .memory_bytes = shape.one_buffer() ? s : in + out};
}

}  // namespace dlscale
