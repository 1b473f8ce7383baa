// SPDX-License-Identifier: BSD-3-Clause
/// The run file: everything is created up front, then sealed and only appended to or overwritten in
/// place. Layout: docs/file-format.md. Used by rank 0 only. Every function may be called from the
/// closing thread too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dlscale {

constexpr int schema_version = 1;

/// One row of /system/ranks.
struct RankRow {
  int rank = 0;
  std::string host;
  int local_rank = 0;
  int pid = 0;
  std::string cpus;  ///< affinity list, "0-3,8"
  int threads = 1;
  int numa = -1;
  std::string device, device_uuid;
  std::int64_t memory_bytes = 0;
  std::string network_switch;  ///< file: "switch"
};

/// One row of /cases. Text fields are cut to the file's fixed sizes (never in the middle of UTF-8).
struct CaseRow {
  int id = 0, launch = 0, order = 0;
  std::string series, role, workload, variant, device, dtype, occupancy, placement;
  int ranks = 0, threads = 0;
  std::string engine, params_json;
  double flops = 0, bytes_touched = 0, bytes_sent = 0, memory_bytes = 0, items = 0;
  std::string status;  ///< planned | running | completed | failed | skipped
  std::string stop_reason;
  int blocks = 0;
  std::int64_t samples = 0, warmup = 0, repeats = 0;
  std::string mode;                     ///< isolated | batched
  double median_s, low_s, high_s;       ///< NaN while unknown
  double check_error, check_tolerance;  ///< NaN while unknown
  int check_passed = -1;                ///< −1 not checked, 0, 1
  std::string results_json, message, repro;
  CaseRow();
};

/// One row of /system/clocks.
struct ClockRow {
  int launch = 0, case_id = 0, block = 0, node = 0;
  std::int64_t offset_ns = 0, min_rtt_ns = 0, error_ns = 0, at_ns = 0;
};

struct ProbeInfo {
  std::string name, unit, description;
};

/// A timed piece inside a repetition, with its work per repetition and rank.
struct LayerInfo {
  std::string name;
  double flops = 0, bytes = 0;
};

/// What must be known about a case before the file is sealed.
struct CaseLayout {
  CaseRow row;
  std::vector<int> ranks;               ///< world ranks of the columns
  std::vector<ProbeInfo> probes;        ///< may be empty
  std::vector<std::string> part_names;  ///< may be empty: no parts dataset then
  std::vector<LayerInfo> layers;        ///< likewise
  std::vector<double> bucket_bytes;     ///< of gradients that are reduced together; likewise
  std::vector<ProbeInfo> epochs;        ///< columns of a block that is an epoch; likewise
  /// [round][participant] world rank of the partner, −1 = none; likewise.
  std::vector<std::vector<int>> partners;
};

struct LaunchInfo {
  std::string started;  ///< ISO 8601 UTC
  std::string hosts;    ///< comma-separated, each once
  std::string reason;   ///< "first" | "resume"
};

/// Everything fixed at the start of a launch.
struct FileSpec {
  std::string dlscale_version, git_hash, build_id;
  int ranks = 0;
  std::string job_text, resolved_text, command_line;
  LaunchInfo launch;
  std::string environment_json;
  std::vector<RankRow> rank_rows;
  std::vector<CaseLayout> cases;
};

/// Samples of one batch of one case, row-major [sample, participant(, probe, part or layer)].
struct SampleRows {
  int samples = 0;
  std::vector<std::int64_t> start, stop;      ///< ns since launch, local clock; −1 absent
  std::vector<std::uint8_t> phase;            ///< 0 warm-up, 1 measured, 255 absent
  std::vector<std::int32_t> block;            ///< [sample]; −1 = before the first block
  std::vector<std::int32_t> repeats;          ///< [sample]
  std::vector<double> probes, parts, layers;  ///< NaN where absent
  std::vector<double> buckets;                ///< [sample, participant, bucket, time]; likewise
  int epochs = 0;                             ///< epochs that end with these samples: 0 or 1
  std::vector<double> epoch_values;           ///< [epoch, participant, column]; NaN where absent
};

/// What --resume needs to know of an existing file.
struct ResumeState {
  int launches = 0, ranks = 0;
  std::string status, git_hash, build_id, dlscale_version, resolved_text, job_text;
  std::vector<CaseRow> cases;
};

/// Owns the open HDF5 file and its lock file (PATH.lock, flock: released by the system if the program
/// dies).
class RunFile {
 public:
  /// Creates exclusively; throws Error(output_failed) if it exists, is locked by another run, or can't
  /// be written.
  static std::unique_ptr<RunFile> create(const std::string& path, const FileSpec& spec);

  /// Reads what a resume must compare; changes nothing, and reads a file that was cut off as well.
  /// Throws Error(bad_input) if it is no run file, or is being written.
  static ResumeState inspect(const std::string& path);
  /// Only its resolved job; likewise.
  static std::string resolved_text(const std::string& path);

  /// Before a resume: puts what a dead writer left in node-local storage in the file's place, so that no
  /// block is missed. Returns a sentence when that storage is another host's; else nothing. Throws
  /// Error(output_failed) if the file is being written.
  static std::string adopt_staged(const std::string& path);

  /// Opens an existing file for a further launch: adds launch, ranks, environment, and the cases of
  /// `spec` (their ids follow those in the file). Rows of earlier launches given in `superseded` are
  /// overwritten. Everything is done in a copy that then replaces the file: a kill on the way loses
  /// nothing. Throws Error(bad_input) if the number of ranks differs.
  static std::unique_ptr<RunFile> reopen(const std::string& path, const FileSpec& spec,
                                         const std::vector<CaseRow>& superseded);

  /// --recover: makes a cut-off file open plainly again; sets status "interrupted" if it says "running".
  /// Returns a sentence saying what was done.
  static std::string recover(const std::string& path);

  ~RunFile();
  RunFile(const RunFile&) = delete;
  RunFile& operator=(const RunFile&) = delete;

  void append(int case_id, const SampleRows& rows);  ///< sure to be kept after flush()
  void update_case(const CaseRow& row);              ///< written by flush(), after the samples
  void append_clocks(const std::vector<ClockRow>& rows);
  void set_status(std::string_view status);
  void flush();  ///< what was appended survives a kill from here on
  /// Sets the status, closes and releases the lock. Idempotent.
  void close(std::string_view status);

  /// For the closing thread: like close(), but gives up (returns false, touching nothing) when another
  /// thread has been inside the library for `patience_s`. `failed_case` with `message` is marked failed
  /// if ≥ 0. `why_not` receives a sentence when it returns false.
  bool close_from_other_thread(std::string_view status, double patience_s, int failed_case = -1,
                               std::string_view message = {}, std::string* why_not = nullptr);

  const std::string& path() const;
  /// The sentence for a file that could not be closed.
  std::string not_closed(std::string_view why) const;
  std::string take_warning();  ///< what went wrong without ending the run; empty: nothing
  std::int64_t bytes_written() const;

  /// After a failed write every later call does nothing, and the program must leave through _exit().
  bool broken() const;

 private:
  struct Impl;
  explicit RunFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dlscale
