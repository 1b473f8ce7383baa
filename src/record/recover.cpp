// SPDX-License-Identifier: BSD-3-Clause
// Reading what an earlier launch left, and bringing a cut-off file into order.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "record/run_file_impl.hpp"

namespace dlscale {
namespace {

Error not_a_run_file(const std::string& path, const std::string& why) {
  return {ExitCode::bad_input, path + " is no run file", why, "name a file that dlscale wrote"};
}

void demand_exists(const std::string& path) {
  if (access(path.c_str(), R_OK) != 0)
    throw Error(ExitCode::bad_input, "can't read " + path, system_reason(), "check the name");
}

void demand_unlocked(const std::string& path) {
  if (const std::string holder = lock_holder(path); !holder.empty())
    throw Error(ExitCode::output_failed, "can't resume " + path, "it is being written by " + holder,
                "wait for it to end");
}

/// Measured blocks, and so epochs, that the row tells of.
hsize_t blocks_of(const CaseRow& row) {
  return static_cast<hsize_t>(std::max(row.blocks, 0));
}

/// Epochs to keep: those that the row tells of, and what was written after it.
hsize_t sound_epochs(const Store& store, const CaseRow& row, const RowCounts& counts) {
  if (counts.epochs <= blocks_of(row)) return counts.epochs;
  return blocks_of(row) + count_written_epochs(store, row.id, blocks_of(row));
}

bool uneven(const Store& store, const std::vector<CaseRow>& rows) {
  return std::any_of(rows.begin(), rows.end(), [&](const CaseRow& row) {
    const RowCounts counts = count_rows(store, row.id);
    return counts.common != counts.longest || sound_epochs(store, row, counts) != counts.epochs;
  });
}

std::string describe(const std::string& path, const std::string& status, const Repair& repair) {
  std::string text = fmt::format("{} can be opened plainly again: {} cases with {} samples kept", path,
                                 repair.cases, repair.samples_kept);
  if (repair.cases_cut > 0)
    text += fmt::format(", {} unfinished samples of {} cases removed", repair.samples_removed,
                        repair.cases_cut);
  if (status == "running") text += ", status set from running to interrupted";
  if (!repair.damaged.empty())
    text +=
        fmt::format("; damaged, with fewer samples than recorded: {}", fmt::join(repair.damaged, ", "));
  return text;
}

// What `read` makes of a file that nobody writes.
template <class Read>
auto read_closed(const std::string& path, Read&& read) {
  demand_exists(path);
  demand_unlocked(path);
  const std::lock_guard guard(hdf5::library_mutex());
  hdf5::start_library();
  demand_run_file(path);
  try {
    return read(Store::open_reader(path));
  } catch (const hdf5::Failure& failure) {
    throw not_a_run_file(path, failure.what());
  }
}

}  // namespace

void demand_run_file(const std::string& path) {
  demand_exists(path);
  try {
    const Store store = Store::open_reader(path);
    const int version = store.number_attribute("schema_version");
    if (version < 1 || version > schema_version)
      throw Error(
          ExitCode::bad_input, "can't read " + path,
          fmt::format("its schema_version is {}, this program knows up to {}", version, schema_version),
          "use the version of dlscale that wrote it");
    for (const CaseRow& row : read_table<CaseRow>(store, "/cases")) check_readable(store, row.id);
    read_launches(store);
    store.read_text("/status");
  } catch (const hdf5::Failure& failure) {
    throw not_a_run_file(path, failure.what());
  }
}

std::int64_t unwritten_margin(const std::string& path) {
  const Store store = Store::open_reader(path);
  hsize_t largest = 0;
  for (const CaseRow& row : read_table<CaseRow>(store, "/cases"))
    largest = std::max(largest, largest_chunk_bytes(store, row.id));
  // One chunk partly written, one allocated, and the library's own blocks.
  return static_cast<std::int64_t>(2 * largest) + (std::int64_t{1} << 20);
}

Repair repair_cases(const Store& store, const std::vector<CaseRow>& rows) {
  Repair repair;
  for (const CaseRow& row : rows) {
    const RowCounts counts = count_rows(store, row.id);
    const auto recorded = static_cast<hsize_t>(std::max<std::int64_t>(row.samples + row.warmup, 0));
    hsize_t kept = counts.common;
    if (kept < recorded) repair.damaged.push_back(fmt::format("{} ({} of {})", row.id, kept, recorded));
    // Rows whose data never reached the file read as zero, and no sample has zero executions.
    if (kept > recorded) {
      const auto repeats = read_repeats(store, row.id, recorded, kept - recorded);
      const auto bad =
          std::find_if(repeats.begin(), repeats.end(), [](std::int32_t n) { return n < 1; });
      kept = recorded + static_cast<hsize_t>(bad - repeats.begin());
    }
    if (const hsize_t sound = sound_epochs(store, row, counts); sound < counts.epochs)
      cut_epochs(store, row.id, sound);
    if (counts.has_epochs && counts.epochs < blocks_of(row))
      repair.damaged.push_back(
          fmt::format("{} ({} of {} epochs)", row.id, counts.epochs, blocks_of(row)));
    if (kept < counts.longest && kept >= recorded) {
      cut_rows(store, row.id, kept);
      ++repair.cases_cut;
      repair.samples_removed += static_cast<std::int64_t>(counts.longest - kept);
    }
    ++repair.cases;
    repair.samples_kept += static_cast<std::int64_t>(kept);
  }
  return repair;
}

void adopt_left_staging(const std::string& path, const LockFile& lock) {
  const std::string& staging = lock.left_staging();
  struct stat facts = {};
  if (staging.empty() || staging == path || lstat(staging.c_str(), &facts) != 0) return;
  if (!S_ISREG(facts.st_mode) || facts.st_uid != geteuid() || facts.st_size < file_size(path)) return;
  try {
    demand_run_file(staging);
  } catch (const Error&) {
    return;  // the copy in its place is what there is
  }
  publish_copy(staging, path, Replace::yes);
  unlink(staging.c_str());
}

std::string RunFile::adopt_staged(const std::string& path) {
  const LeftStaging left = left_staging(path);
  if (left.file.empty() || file_size(path) < 0) return {};
  if (left.host != this_host())
    return sentence(fmt::format("{} may lack the last blocks of the earlier launch", path),
                    fmt::format("that ended without copying {} of host {}", left.file, left.host),
                    "its blocks since the last copy are measured again");
  const LockFile lock = LockFile::acquire(path);
  const std::lock_guard guard(hdf5::library_mutex());
  hdf5::start_library();
  adopt_left_staging(path, lock);
  return {};
}

ResumeState RunFile::inspect(const std::string& path) {
  return read_closed(path, [](const Store& store) {
    ResumeState state;
    state.launches = static_cast<int>(read_launches(store).size());
    state.ranks = store.number_attribute("ranks");
    state.status = store.read_text("/status");
    state.git_hash = store.text_attribute("git_hash");
    state.build_id = store.text_attribute("build_id");
    state.dlscale_version = store.text_attribute("dlscale_version");
    state.resolved_text = store.read_text("/input/resolved");
    state.job_text = store.read_text("/input/job");
    state.cases = read_table<CaseRow>(store, "/cases");
    return state;
  });
}

std::string RunFile::resolved_text(const std::string& path) {
  return read_closed(path, [](const Store& store) { return store.read_text("/input/resolved"); });
}

std::string RunFile::recover(const std::string& path) {
  demand_exists(path);
  const LockFile lock = LockFile::acquire(path);
  const std::lock_guard guard(hdf5::library_mutex());
  hdf5::start_library();
  adopt_left_staging(path, lock);
  demand_run_file(path);
  std::string status;
  bool even = false;
  {
    const Store store = Store::open_reader(path);
    status = store.read_text("/status");
    even = !uneven(store, read_table<CaseRow>(store, "/cases"));
  }
  if (even && status != "running" && Store::opens_plainly(path))
    return path + " is in order (status " + status + "); nothing was changed";
  // In a copy: a kill, or a full disk, in the middle leaves the file as it was.
  const std::string copy = path + ".new";
  publish_copy(path, copy, Replace::yes);
  const hdf5::AbandonOnFailure scope;
  try {
    Store store = Store::open_private(copy, unwritten_margin(path));
    const Repair repair = repair_cases(store, read_table<CaseRow>(store, "/cases"));
    if (status == "running") store.write_text("/status", "interrupted");
    store.flush();
    store.close();
    replace_file(copy, path);
    return describe(path, status, repair);
  } catch (const hdf5::Failure& failure) {
    unlink(copy.c_str());
    throw write_error(copy, failure.what());
  }
}

}  // namespace dlscale
