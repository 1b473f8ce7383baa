// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/pdgemm/pdgemm_gpu.hpp"

#include <algorithm>

#include "workloads/gpu_workload.hpp"

namespace dlscale {
namespace {

const std::vector<std::string> dtypes = {"f64", "f32", "bf16"};

// Every step reads and writes all of C: 2·1024/8 FLOP per byte of it in bf16 with C in f32 are beyond
// what an H200's memory (4.8 TB/s) can hold up at about 800 TFLOP/s, 512 are not.
constexpr std::int64_t usual_block_of_k = 1024;

// What is asked of the device in one piece while the check reads the matrices.
constexpr double check_bytes = 64.0 * 1024 * 1024;
// The library's, of the first, the other and the last step.
constexpr double workspace_bytes = 3 * 32.0 * 1024 * 1024;

std::vector<Key> keys() {
  std::vector<Key> list = pdgemm_keys();
  for (Key& key : list) {
    if (key.name == "dtype") {
      key.choices = dtypes;
      key.help = "type of A, B and C; with bf16 C is f32, since every step adds to it";
    }
    if (key.name == "kb") key.default_value = usual_block_of_k;
    if (key.name == "logical_block")
      key.help = "columns of A multiplied in one step, within a block of k; 0 or -1 = the whole block";
    if (key.name == "engine") {
      key.default_value = std::string("summa");
      key.choices = {"summa"};
      key.help = "summa: panels broadcast by NCCL along rows and columns, multiplied by cuBLASLt";
    }
  }
  return list;
}

std::string validate(const Params& params) {
  if (std::string problem = pdgemm_validate(params); !problem.empty()) return problem;
  for (const char* key : {"trans_a", "trans_b"})
    if (params.text(key) != "N")
      return sentence(std::string(key) + " can't be \"T\" on GPUs",
                      "a transposed operand would have to be dealt out anew in every step",
                      "leave it out, or use --device cpu");
  return {};
}

std::vector<Params> examples() {
  std::vector<Params> list;
  for (Params p : pdgemm_examples()) {
    p.set("engine", std::string("summa"));
    if (!validate(p).empty()) continue;
    list.push_back(p);
    if (p.text("dtype") != "f32") continue;
    p.set("dtype", std::string("bf16"));
    list.push_back(p);
  }
  return list;
}

Cost cost(const Params& params, int ranks, int) {
  const PdgemmCase c = pdgemm_case(params, ranks);
  const GemmShape& s = c.shape;
  const std::string& dtype = params.text("dtype");
  const double in = dtype == "f64" ? 8 : dtype == "f32" ? 4 : 2, out = dtype == "f64" ? 8 : 4;
  const auto m = static_cast<double>(s.m), n = static_cast<double>(s.n), k = static_cast<double>(s.k);
  const auto rows = static_cast<double>(c.rows_of(GemmOperand::c, 0).local()),
             cols = static_cast<double>(c.cols_of(GemmOperand::c, 0).local());
  const auto a_cols = static_cast<double>(c.cols_of(GemmOperand::a, 0).local()),
             b_rows = static_cast<double>(c.rows_of(GemmOperand::b, 0).local());
  const auto width =
      static_cast<double>(pdgemm_panels(c, params.integer("logical_block")).front().width);
  const double panels = 2 * width * ((c.grid.cols > 1 ? rows : 0) + (c.grid.rows > 1 ? cols : 0));
  return {.flops = 2 * m * n * k,
          .bytes_touched = in * (m * k + k * n) + out * (s.beta == 0 ? 1 : 2) * m * n,
          .bytes_sent = in * summa_elements(s, c.grid),
          .memory_bytes =
              in * (rows * a_cols + b_rows * cols + panels) + out * rows * cols + workspace_bytes,
          .check_bytes = check_bytes};
}

// As for gemm: the plain units are no roof of what the tensor cores multiply.
std::vector<Roof> roofs(const Params& params) {
  if (params.text("dtype") != "bf16") return gemm_roofs(params);
  return {Roof{"triad", {}}};
}

}  // namespace

std::vector<Panel> pdgemm_panels(const PdgemmCase& c, std::int64_t widest) {
  const std::int64_t k = c.shape.k, kb = c.kb;
  if (widest <= 0) widest = kb;
  std::vector<Panel> panels;
  for (std::int64_t first = 0; first < k;) {
    const std::int64_t block = first / kb, inside = first % kb;
    Panel p;
    p.first = first;
    p.width = std::min({widest, kb - inside, k - first});
    p.a_at = static_cast<int>(block % c.grid.cols);
    p.b_at = static_cast<int>(block % c.grid.rows);
    p.a_column = block / c.grid.cols * kb + inside;
    p.b_row = block / c.grid.rows * kb + inside;
    panels.push_back(p);
    first += p.width;
  }
  return panels;
}

Entry pdgemm_cuda_entry() {
  Entry entry;
  entry.name = "pdgemm";
  entry.variant = "cuda";
  entry.description =
      "one product C = alpha*A*B + beta*C on a grid of GPUs, through NCCL and cuBLASLt (SUMMA)";
  entry.rate = RateKind::flops;
  entry.distributed = [](const Params&) { return true; };
  entry.keys = keys();
  entry.examples = examples;
  entry.validate = validate;
  entry.unsuited = pdgemm_unsuited;
  entry.cost = cost;
  entry.roofs = roofs;
  entry.make = [](const WorkContext& context) { return make_on_gpu("pdgemm", context); };
  return entry;
}

}  // namespace dlscale
