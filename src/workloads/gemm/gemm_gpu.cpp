// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/gemm/gemm_gpu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "device/gpu_module.hpp"
#include "workloads/gpu_workload.hpp"

namespace dlscale {
namespace {

const std::vector<std::string> dtypes = {"f64", "f32", "tf32", "bf16", "f16", "int8", "fp8"};

// Types whose kernels take rows of op(A) and columns of op(B) as they lie in memory, in whole vectors.
bool is_narrow(const std::string& dtype) {
  return dtype == "int8" || dtype == "fp8";
}

bool row_major(const Params& params) {
  return params.text("layout") == "row";
}

std::vector<Key> keys() {
  std::vector<Key> list = gemm_keys(dtypes);
  list.push_back({"layout",
                  std::string("column"),
                  "of A, B and C in memory: column = column after column, row = row after row",
                  {},
                  {},
                  {"column", "row"}});
  list.push_back({"data",
                  std::string("random"),
                  "of A and B; zeros show how much power, and so speed, random bits cost",
                  {},
                  {},
                  {"random", "zeros"}});
  return list;
}

std::string validate(const Params& params) {
  if (std::string problem = gemm_validate(params); !problem.empty()) return problem;
  const std::string& dtype = params.text("dtype");
  if (!is_narrow(dtype)) return {};
  const GemmShape s = gemm_shape(params);
  const bool row = row_major(params);
  if (s.trans_a == row || s.trans_b != row)
    return sentence(
        fmt::format("dtype {} can't be multiplied so", dtype),
        "its tensor cores read both operands along k",
        row ? "use trans_a = \"N\", trans_b = \"T\"" : "use trans_a = \"T\", trans_b = \"N\"");
  const std::int64_t multiple = dtype == "fp8" ? 16 : 4;
  if (s.m % multiple != 0 || s.n % multiple != 0 || s.k % multiple != 0)
    return sentence(fmt::format("dtype {} needs m, n and k that are multiples of {}", dtype, multiple),
                    fmt::format("m={} n={} k={}", s.m, s.n, s.k), "choose such sizes");
  if (dtype != "int8") return {};
  constexpr std::int64_t most_k = 2147483647 / (127 * 127);
  if (s.k > most_k)
    return sentence(fmt::format("k={} is too large for int8", s.k),
                    "sums of products of up to 127·127 must fit into 32 bits",
                    fmt::format("choose k up to {}", most_k));
  if (s.alpha != 1 || s.beta != 0)
    return sentence("int8 takes alpha = 1 and beta = 0 only", "its sums are integers", "leave both out");
  return {};
}

std::vector<Params> examples() {
  std::vector<Params> list = gemm_examples({"f64", "f32", "tf32", "bf16", "f16"});
  for (const char* dtype : {"int8", "fp8"})
    for (const auto& [m, n, k] : {std::tuple{16, 16, 16}, {48, 32, 80}, {128, 96, 256}}) {
      Params p = gemm_examples({"f32"}).front();
      p.set("m", std::int64_t{m});
      p.set("n", std::int64_t{n});
      p.set("k", std::int64_t{k});
      p.set("dtype", std::string(dtype));
      p.set("trans_a", std::string("T"));
      p.set("trans_b", std::string("N"));
      list.push_back(p);
    }
  const std::size_t plain = list.size();
  for (std::size_t i = 0; i < plain; ++i) {
    list[i].set("layout", std::string("column"));
    list[i].set("data", std::string("random"));
  }
  for (std::size_t i = 0; i < plain; i += 5) {
    Params row = list[i];
    row.set("layout", std::string("row"));
    if (is_narrow(row.text("dtype"))) {
      row.set("trans_a", std::string("N"));
      row.set("trans_b", std::string("T"));
    }
    list.push_back(row);
    Params zeros = list[i];
    zeros.set("data", std::string("zeros"));
    list.push_back(zeros);
  }
  return list;
}

// Of the first rank's GPUs: those of one launch are alike.
std::string unavailable(const Params& params) {
  const std::vector<GpuDevice>& gpus = probe_gpus().devices;
  return gpus.empty() ? std::string() : gemm_gpu_problem(params.text("dtype"), gpus.front().capability);
}

Cost cost(const Params& params, int ranks, int threads) {
  Cost cost = gemm_cost(params, ranks, threads);
  cost.memory_bytes *= gemm_operand_sets(params);
  return cost;
}

// Their own roof is what the data sheet says at the clock seen; results() has it.
std::vector<Roof> roofs(const Params& params) {
  const std::string& dtype = params.text("dtype");
  if (dtype == "f64" || dtype == "f32") return gemm_roofs(params);
  return {Roof{"triad", {}}};
}

}  // namespace

int gemm_operand_sets(const Params& params) {
  if (params.number("beta") != 0) return 1;
  const double bytes = gemm_cost(params, 1, 1).memory_bytes;
  return static_cast<int>(std::clamp(std::ceil(gemm_rotation_bytes / bytes), 1.0, 1.0 * gemm_most_sets));
}

std::string gemm_gpu_problem(const std::string& dtype, int capability) {
  constexpr int first_with_fp8 = 89;
  if (dtype != "fp8" || capability >= first_with_fp8) return {};
  return sentence(
      "fp8 can't be multiplied on this GPU",
      fmt::format("its compute capability is {}.{}, fp8 needs 8.9", capability / 10, capability % 10),
      "use another dtype");
}

GemmPrecision gemm_gpu_precision(const std::string& dtype) {
  if (dtype == "f64") return {0x1p-53, 0x1p-53};
  if (dtype == "f32") return {0x1p-24, 0x1p-24};
  // Tensor cores cut the sum's last bit off instead of rounding it (Fasi et al. 2021, doi
  // 10.7717/peerj-cs.330).
  if (dtype == "tf32") return {0x1p-23, 0x1p-10};
  if (dtype == "bf16") return {0x1p-23, 0x1p-8};
  if (dtype == "f16") return {0x1p-23, 0x1p-11};
  if (dtype == "fp8") return {0x1p-13, 0x1p-8};
  return {0, 0};
}

Entry gemm_cuda_entry() {
  Entry entry;
  entry.name = "gemm";
  entry.variant = "cuda";
  entry.description = "C = alpha*op(A)*op(B) + beta*C on every GPU by itself, through cuBLASLt";
  entry.rate = RateKind::flops;
  entry.keys = keys();
  entry.examples = examples;
  entry.validate = validate;
  entry.unavailable = unavailable;
  entry.cost = cost;
  entry.roofs = roofs;
  entry.make = [](const WorkContext& context) { return make_on_gpu("gemm", context); };
  return entry;
}

}  // namespace dlscale
