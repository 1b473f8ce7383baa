// SPDX-License-Identifier: BSD-3-Clause
// Creating a run file, and opening one for a further launch.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "record/run_file_impl.hpp"

namespace dlscale {
namespace {

void demand_free_place(const std::string& path) {
  const std::string folder = folder_of(path);
  struct stat facts = {};
  if (stat(folder.c_str(), &facts) != 0)
    throw Error(ExitCode::output_failed, "can't write " + path,
                "folder " + folder + ": " + system_reason(),
                "create the folder, or choose another place with -o");
  if (!S_ISDIR(facts.st_mode))
    throw Error(ExitCode::output_failed, "can't write " + path, folder + " is no folder",
                "choose another place with -o");
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    throw Error(ExitCode::output_failed, "can't write " + path,
                "folder " + folder + ": " + system_reason(), "choose another place with -o");
}

void demand_absent(const std::string& path) {
  struct stat facts = {};
  if (lstat(path.c_str(), &facts) == 0)
    throw Error(ExitCode::output_failed, "can't write " + path, "it exists and is never overwritten",
                "choose another -o, or go on with it by --resume " + path);
}

void demand_working_library() {
  hdf5::start_library();
  if (hdf5::abandoned())
    throw Error(ExitCode::output_failed, "no file can be opened any more", "an earlier write failed");
}

void demand_consistent(const FileSpec& spec) {
  if (spec.rank_rows.size() != static_cast<std::size_t>(spec.ranks))
    throw std::invalid_argument("run file: " + std::to_string(spec.rank_rows.size()) +
                                " rank rows for " + std::to_string(spec.ranks) + " ranks");
}

/// Where the file is written: in its place, or on a network file system in node-local storage.
std::string choose_work_path(const std::string& path) {
  if (!on_network_file_system(path)) return path;
  const std::string staging = new_staging_name(path);
  return staging.empty() ? path : staging;  // slower there, but better than not at all
}

/// Removes a file of ours that did not become a run file.
class Undo {
 public:
  explicit Undo(std::string path) : path_(std::move(path)) {}
  ~Undo() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

}  // namespace

void replace_file(const std::string& source, const std::string& target) {
  const Descriptor descriptor(open(source.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor || fsync(descriptor.get()) != 0 || rename(source.c_str(), target.c_str()) != 0)
    throw write_error(target, system_reason());
}

std::unique_ptr<RunFile> RunFile::create(const std::string& path, const FileSpec& spec) {
  demand_consistent(spec);
  demand_free_place(path);
  LockFile lock = LockFile::acquire(path);
  demand_absent(path);
  const std::lock_guard guard(hdf5::library_mutex());
  demand_working_library();
  const std::string work = choose_work_path(path);
  const bool staged = work != path;
  if (staged) lock.note_staging(work);
  const hdf5::AbandonOnFailure scope;
  try {
    Store store = Store::create(work);
    Undo undo(work);
    create_skeleton(store, spec);
    add_launch(store, spec, 0, 0);
    store.seal();
    auto impl = std::make_unique<Impl>(path, work, std::move(lock), std::move(store));
    if (staged) impl->publish(Replace::no);
    undo.keep();
    return std::unique_ptr<RunFile>(new RunFile(std::move(impl)));
  } catch (const hdf5::Failure& failure) {
    throw write_error(work, failure.what());
  }
}

std::unique_ptr<RunFile> RunFile::reopen(const std::string& path, const FileSpec& spec,
                                         const std::vector<CaseRow>& superseded) {
  demand_consistent(spec);
  const ResumeState before = inspect(path);
  if (before.ranks != spec.ranks)
    throw Error(ExitCode::bad_input, "can't resume " + path,
                "it was made with " + std::to_string(before.ranks) + " ranks, this is a run with " +
                    std::to_string(spec.ranks),
                "start the same number of ranks, or write a new file with -o");
  demand_free_place(path);
  LockFile lock = LockFile::acquire(path);
  const std::lock_guard guard(hdf5::library_mutex());
  demand_working_library();
  adopt_left_staging(path, lock);
  const std::string chosen = choose_work_path(path);
  const bool staged = chosen != path;
  lock.note_staging(staged ? chosen : std::string());
  // All changes are made in a copy: a kill while objects are being created would cost the earlier
  // launches.
  const std::string copy = staged ? chosen : path + ".new";
  publish_copy(path, copy, Replace::yes);
  Undo undo(copy);
  const hdf5::AbandonOnFailure scope;
  try {
    Store store = Store::open_private(copy, unwritten_margin(path));
    const auto rows = read_table<CaseRow>(store, "/cases");
    repair_cases(store, rows);
    add_launch(store, spec, before.launches, static_cast<int>(rows.size()));
    store.write_text("/status", "running");
    store.flush();
    if (!staged) replace_file(copy, path);
    store.seal();
    auto impl = std::make_unique<Impl>(path, chosen, std::move(lock), std::move(store));
    for (const CaseRow& row : superseded) impl->update_case(row);
    impl->flush();
    if (staged) impl->publish(Replace::yes);
    undo.keep();
    return std::unique_ptr<RunFile>(new RunFile(std::move(impl)));
  } catch (const hdf5::Failure& failure) {
    throw write_error(path, failure.what());
  }
}

}  // namespace dlscale
