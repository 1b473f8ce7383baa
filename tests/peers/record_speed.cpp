// SPDX-License-Identifier: BSD-3-Clause
// Run file against plain write(2) of the same bytes in the same pieces, neither with fsync. Target:
// ratio ≤ 1.5.
//
//   record_speed [--ranks N] [--repeats N] [--folder PATH]   measure, alternating; medians and their
//   ratio record_speed OUT.h5 [--ranks N]                          only leave a run file, for trying the
//   analysis on it
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "record/lock_file.hpp"
#include "record/provenance.hpp"
#include "record/run_file.hpp"

namespace {

constexpr int cases = 12, samples = 100, block_samples = 16, ranks_per_node = 64;

struct Options {
  int ranks = 10240, repeats = 5;
  std::string folder = "/tmp", out;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&] {
      if (++i >= argc) throw std::invalid_argument(word + " needs a value");
      return std::string(argv[i]);
    };
    if (word == "--ranks")
      options.ranks = std::max(1, std::stoi(value()));
    else if (word == "--repeats")
      options.repeats = std::max(1, std::stoi(value()));
    else if (word == "--folder")
      options.folder = value();
    else if (word.starts_with("-"))
      throw std::invalid_argument("unknown option " + word);
    else
      options.out = word;
  }
  return options;
}

std::string node_of(int rank) {
  return "node" + std::to_string(1000 + rank / ranks_per_node);
}

dlscale::CaseLayout make_case(int id, int ranks) {
  dlscale::CaseLayout layout;
  const int size = 512 * (1 + id);
  layout.row.id = id;
  layout.row.workload = id == 0 ? "noop" : "gemm";
  layout.row.variant = layout.row.device = "cpu";
  layout.row.dtype = id == 0 ? "" : "f64";
  layout.row.occupancy = "together";
  layout.row.mode = "isolated";
  layout.row.ranks = ranks;
  layout.row.threads = 1;
  layout.row.status = "planned";
  layout.row.flops = id == 0 ? 0 : 2.0 * size * size * size;
  layout.row.params_json = id == 0 ? "{}" : "{\"m\":" + std::to_string(size) + "}";
  layout.row.repro = layout.row.workload + (id == 0 ? "" : " m=" + std::to_string(size) + " dtype=f64");
  layout.ranks.resize(static_cast<std::size_t>(ranks));
  std::iota(layout.ranks.begin(), layout.ranks.end(), 0);
  return layout;
}

dlscale::FileSpec make_spec(int ranks) {
  dlscale::FileSpec spec;
  spec.dlscale_version = dlscale::version();
  spec.git_hash = dlscale::git_hash();
  spec.build_id = dlscale::executable_build_id();
  spec.ranks = ranks;
  spec.job_text = spec.resolved_text = "# simulated durations: tests/peers/record_speed.cpp\n";
  spec.command_line = "record_speed";
  spec.launch = {"2026-01-01T00:00:00Z", "", "first"};
  spec.environment_json = "{\"simulated\":true}";
  for (int rank = 0; rank < ranks; ++rank) {
    dlscale::RankRow row;
    row.rank = rank;
    row.host = node_of(rank);
    row.local_rank = rank % ranks_per_node;
    row.cpus = std::to_string(row.local_rank);
    row.device = "cpu";
    row.network_switch = "leaf" + std::to_string(rank / ranks_per_node / 16);
    if (row.local_rank == 0) spec.launch.hosts += (rank > 0 ? "," : "") + row.host;
    spec.rank_rows.push_back(row);
  }
  for (int id = 0; id < cases; ++id) spec.cases.push_back(make_case(id, ranks));
  return spec;
}

/// Durations around a millisecond per case and size, 1 % noise, rank 7 some 10 % slow, rare outliers.
dlscale::SampleRows make_rows(int case_id, int first, int count, int ranks, std::mt19937_64& random) {
  std::normal_distribution<double> noise(0, 0.01);
  std::uniform_real_distribution<double> uniform(0, 1);
  const double base_ns = case_id == 0 ? 2000 : 1e6 * case_id * case_id;
  dlscale::SampleRows rows;
  rows.samples = count;
  for (int sample = first; sample < first + count; ++sample) {
    const auto begin = static_cast<std::int64_t>(5e9 * case_id + 1.5 * base_ns * sample);
    for (int rank = 0; rank < ranks; ++rank) {
      double factor = std::max(0.5, 1 + noise(random)) * (rank == 7 ? 1.1 : 1.0);
      if (uniform(random) < 1e-4) factor *= 3;
      rows.start.push_back(begin + static_cast<std::int64_t>(300 * uniform(random)));
      rows.stop.push_back(rows.start.back() + static_cast<std::int64_t>(base_ns * factor));
      rows.phase.push_back(sample < 4 ? 0 : 1);
    }
    rows.block.push_back(sample < 4 ? -1 : (sample - 4) / block_samples);
    rows.repeats.push_back(1);
  }
  return rows;
}

/// One batch per block and case, blocks of the cases alternating as in a run; made before anything is
/// timed.
struct Batch {
  int case_id;
  dlscale::SampleRows rows;
};

std::vector<Batch> make_batches(int ranks) {
  std::mt19937_64 random(1);
  std::vector<Batch> batches;
  for (int first = 0; first < samples; first += block_samples)
    for (int id = 0; id < cases; ++id)
      batches.push_back(
          {id, make_rows(id, first, std::min(block_samples, samples - first), ranks, random)});
  return batches;
}

/// Seconds for the whole life of a run file: create, append with a flush and a row update per block,
/// close.
double write_run_file(const std::string& path, const dlscale::FileSpec& spec,
                      const std::vector<Batch>& batches) {
  const std::int64_t begin = dlscale::now_ns();
  auto file = dlscale::RunFile::create(path, spec);
  std::vector<dlscale::CaseRow> rows;
  for (const auto& layout : spec.cases) rows.push_back(layout.row);
  for (const Batch& batch : batches) {
    file->append(batch.case_id, batch.rows);
    auto& row = rows[static_cast<std::size_t>(batch.case_id)];
    row.samples += batch.rows.samples;
    ++row.blocks;
    row.status = row.samples == samples ? "completed" : "running";
    file->update_case(row);
    file->flush();
  }
  file->close("completed");
  return dlscale::seconds_since(begin);
}

void write_all(int descriptor, const void* data, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t written = write(descriptor, static_cast<const char*>(data) + done, bytes - done);
    if (written < 0) throw std::runtime_error("write: " + dlscale::system_reason());
    done += static_cast<std::size_t>(written);
  }
}

double write_raw(const std::string& path, const std::vector<Batch>& batches) {
  const std::int64_t begin = dlscale::now_ns();
  {
    const dlscale::Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file) throw std::runtime_error(path + ": " + dlscale::system_reason());
    const auto put = [&](const auto& values) {
      write_all(file.get(), values.data(), values.size() * sizeof(values[0]));
    };
    for (const Batch& batch : batches) {
      put(batch.rows.start);
      put(batch.rows.stop);
      put(batch.rows.phase);
      put(batch.rows.repeats);
      put(batch.rows.block);
    }
  }
  return dlscale::seconds_since(begin);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

int compare(const Options& options) {
  const dlscale::FileSpec spec = make_spec(options.ranks);
  const std::vector<Batch> batches = make_batches(options.ranks);
  const std::string name = options.folder + "/record_speed-" + std::to_string(getpid());
  std::vector<double> ours, raw;
  for (int i = -1; i < options.repeats; ++i) {  // the first of each only warms up
    const double a = write_run_file(name + ".h5", spec, batches);
    unlink((name + ".h5").c_str());
    const double b = write_raw(name + ".raw", batches);
    unlink((name + ".raw").c_str());
    if (i < 0) continue;
    ours.push_back(a);
    raw.push_back(b);
    std::printf("%2d  run file %.3f s   write(2) %.3f s   ratio %.2f\n", i, a, b, a / b);
  }
  const double megabytes = 17e-6 * options.ranks * cases * samples;
  std::printf(
      "%d ranks, %d cases, %d samples, %.0f MB; medians of %d: run file %.3f s, write(2) %.3f s, ratio "
      "%.2f\n",
      options.ranks, cases, samples, megabytes, options.repeats, median(ours), median(raw),
      median(ours) / median(raw));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const Options options = parse(argc, argv);
  if (options.out.empty()) return compare(options);
  write_run_file(options.out, make_spec(options.ranks), make_batches(options.ranks));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "record_speed: %s\n", error.what());
  return 1;
}
