// SPDX-License-Identifier: BSD-3-Clause
/// What a RunFile owns. Every member function is called with the library's mutex held.
#pragma once

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "record/lock_file.hpp"
#include "record/sample_arrays.hpp"
#include "record/staging.hpp"

namespace dlscale {

struct RunFile::Impl {
  Impl(std::string final_path, std::string written_path, LockFile taken, Store opened);

  void append(int case_id, const SampleRows& rows);
  void update_case(const CaseRow& row);
  void append_clocks(const std::vector<ClockRow>& rows);
  void set_status(std::string_view status);
  void flush();
  void close(std::string_view status);
  void publish(Replace replace);  ///< copies the staged file to its place
  void salvage() noexcept;        ///< after a failed write: what was flushed before, to its place
  /// Throws, after keeping a copy elsewhere, when the file has lost its name: writing would go on, and
  /// nothing of it be left at the end.
  void demand_in_place();

  bool staged() const { return work_path != path; }
  bool usable() const { return !closed && !broken && !hdf5::abandoned(); }

  std::string path, work_path;  ///< the same unless the run is written in node-local storage
  LockFile lock;
  Store store;
  std::string warning;        ///< to be told once; empty if none
  std::vector<CaseRow> rows;  ///< as in the file, once changes are flushed
  std::atomic<bool> closed{false}, broken{false};

 private:
  void check_id(int case_id) const;
  void try_to_publish();
  void write_changes();  ///< samples, then the rows of /cases

  TableType case_type_, clock_type_;
  hdf5::Dataset cases_, clocks_;
  std::map<int, SampleArrays> arrays_;
  std::set<int> changed_rows_;  ///< ids of rows not yet in the file
  CopyBudget budget_;
  Descriptor witness_;        ///< the file being written, whatever becomes of its name
  bool copy_failed_ = false;  ///< the last one; told once
};

/// The sentence for a failed write.
Error write_error(const std::string& path, const std::string& why);

/// Runs `action` unless the file is closed or broken; a failed write makes it broken and becomes
/// Error(output_failed).
template <class Impl, class Action>
void guarded(Impl& impl, Action action) {
  const std::lock_guard guard(hdf5::library_mutex());
  if (!impl.usable()) return;
  const hdf5::AbandonOnFailure scope;
  try {
    action();
  } catch (const hdf5::Failure& failure) {
    impl.broken = true;
    impl.salvage();
    throw write_error(impl.work_path, failure.what());
  } catch (const Error&) {  // the copy of a staged file
    impl.broken = true;
    throw;
  }
}

/// How a file was brought into order before a further launch or by --recover.
struct Repair {
  int cases = 0, cases_cut = 0;
  std::int64_t samples_kept = 0, samples_removed = 0;
  std::vector<std::string> damaged;  ///< cases with fewer samples than their row says
};

/// Cuts each case to the samples that all its arrays hold, never below what its row says, and its epochs
/// to those that were written. Only in a private store.
Repair repair_cases(const Store& store, const std::vector<CaseRow>& rows);

/// Bytes behind the end of a cut-off file that its newest chunk may reach to.
std::int64_t unwritten_margin(const std::string& path);

/// Throws Error(bad_input) unless `path` can be read as a run file of a version we know.
void demand_run_file(const std::string& path);

/// If the dead writer of `path` left a newer node-local file on this host, puts it in its place.
void adopt_left_staging(const std::string& path, const LockFile& lock);

/// fsync, then rename over `target`: what `source` holds replaces it whole or not at all.
void replace_file(const std::string& source, const std::string& target);

}  // namespace dlscale
