// SPDX-License-Identifier: BSD-3-Clause
#include "record/run_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <utility>

#include "record/run_file_impl.hpp"

namespace dlscale {

using hdf5::checked;

Error write_error(const std::string& path, const std::string& why) {
  return {ExitCode::output_failed, "can't write " + path, why,
          "free space, or choose another place with -o; what was flushed before is kept"};
}

RunFile::Impl::Impl(std::string final_path, std::string written_path, LockFile taken, Store opened)
    : path(std::move(final_path)),
      work_path(std::move(written_path)),
      lock(std::move(taken)),
      store(std::move(opened)),
      case_type_(table_type<CaseRow>()),
      clock_type_(table_type<ClockRow>()),
      cases_(store.open("/cases")),
      clocks_(store.open("/system/clocks")),
      budget_(now_ns()),
      witness_(::open(work_path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (!witness_) throw write_error(work_path, system_reason());
  rows = read_table<CaseRow>(store, "/cases");
}

void RunFile::Impl::check_id(int case_id) const {
  if (case_id < 0 || static_cast<std::size_t>(case_id) >= rows.size())
    throw std::out_of_range("run file: case " + std::to_string(case_id) + " of " +
                            std::to_string(rows.size()));
}

void RunFile::Impl::append(int case_id, const SampleRows& samples) {
  check_id(case_id);
  auto it = arrays_.find(case_id);
  if (it == arrays_.end()) it = arrays_.emplace(case_id, SampleArrays(store, case_id)).first;
  it->second.append(samples);
}

void RunFile::Impl::update_case(const CaseRow& row) {
  check_id(row.id);
  rows[static_cast<std::size_t>(row.id)] = row;
  changed_rows_.insert(row.id);
}

void RunFile::Impl::write_changes() {
  // Samples first: a row of /cases must never tell of samples that are not there. Rows are overwritten
  // in place, past any cache, so that nothing is left to flush after them.
  store.flush();
  for (const int id : changed_rows_)
    write_rows(cases_, "/cases", case_type_.memory.get(), static_cast<hsize_t>(id), 1,
               pack_rows<CaseRow>({rows[static_cast<std::size_t>(id)]}).data());
  changed_rows_.clear();
}

void RunFile::Impl::append_clocks(const std::vector<ClockRow>& clocks) {
  if (clocks.empty()) return;
  append_rows(clocks_, "/system/clocks", clock_type_.memory.get(), clocks.size(),
              pack_rows(clocks).data());
}

void RunFile::Impl::set_status(std::string_view status) {
  store.write_text("/status", status);
}

void RunFile::Impl::flush() {
  write_changes();
  demand_in_place();
  if (staged() && budget_.allows(now_ns(), file_size(work_path))) try_to_publish();
}

// The run need not end for it: the staged file has everything, and a later copy, or the last, may work.
void RunFile::Impl::try_to_publish() {
  const std::int64_t begin = now_ns();
  try {
    publish(Replace::yes);
    copy_failed_ = false;
  } catch (const Error& error) {
    budget_.took(now_ns() - begin, file_size(work_path));
    if (!copy_failed_) warning = error.what();
    copy_failed_ = true;
  }
}

void RunFile::Impl::demand_in_place() {
  struct stat written = {}, there = {};
  if (fstat(witness_.get(), &written) != 0) throw write_error(work_path, system_reason());
  const bool named = ::stat(work_path.c_str(), &there) == 0;
  if (named && there.st_ino == written.st_ino && there.st_dev == written.st_dev) return;
  const std::string why = named ? "another file has taken its place" : system_reason();
  const std::string kept = staged() ? path : new_staging_name(path);
  if (kept.empty()) throw write_error(work_path, why);
  publish_copy(witness_.get(), work_path, kept, staged() ? Replace::yes : Replace::no);
  throw Error(ExitCode::output_failed, "can't write " + work_path, why,
              "what was measured is kept in " + kept + "; go on with --resume " + kept);
}

void RunFile::Impl::publish(Replace replace) {
  const std::int64_t begin = now_ns();
  publish_copy(work_path, path, replace);
  budget_.took(now_ns() - begin, file_size(work_path));
}

void RunFile::Impl::salvage() noexcept {
  if (!staged()) return;
  try {
    publish(Replace::yes);
  } catch (const std::exception&) {
    // The staged file stays, and the lock file names it for --recover.
  }
}

void RunFile::Impl::close(std::string_view status) {
  write_changes();
  set_status(status);
  store.flush();
  for (auto& [id, arrays] : arrays_) arrays.close();
  checked(H5Dclose(cases_.release()), "H5Dclose /cases");
  checked(H5Dclose(clocks_.release()), "H5Dclose /system/clocks");
  store.close();
  demand_in_place();
  if (staged()) {
    publish(Replace::yes);
    unlink(work_path.c_str());
  }
  closed = true;
  lock.release();
}

RunFile::RunFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RunFile::~RunFile() {
  try {
    close("interrupted");  // only an exception on the way gets here with the file open
  } catch (...) {
    // The first failure has been reported; nothing more can be done for the file.
  }
  const std::lock_guard guard(hdf5::library_mutex());
  if (impl_->broken && impl_->staged()) impl_->lock.leave();
  impl_.reset();
}

void RunFile::append(int case_id, const SampleRows& rows) {
  guarded(*impl_, [&] { impl_->append(case_id, rows); });
}

void RunFile::update_case(const CaseRow& row) {
  guarded(*impl_, [&] { impl_->update_case(row); });
}

void RunFile::append_clocks(const std::vector<ClockRow>& rows) {
  guarded(*impl_, [&] { impl_->append_clocks(rows); });
}

void RunFile::set_status(std::string_view status) {
  guarded(*impl_, [&] { impl_->set_status(status); });
}

void RunFile::flush() {
  guarded(*impl_, [&] { impl_->flush(); });
}

void RunFile::close(std::string_view status) {
  guarded(*impl_, [&] { impl_->close(status); });
}

bool RunFile::close_from_other_thread(std::string_view status, double patience_s, int failed_case,
                                      std::string_view message, std::string* why_not) {
  const auto refuse = [&](const std::string& said) {
    if (why_not != nullptr) *why_not = said;
    return false;
  };
  std::unique_lock guard(hdf5::library_mutex(), std::defer_lock);
  if (!guard.try_lock_for(std::chrono::duration<double>(patience_s)))
    return refuse(not_closed("it is being written"));
  if (impl_->closed) return true;
  if (!impl_->usable()) return refuse(not_closed("an earlier write failed"));
  const hdf5::AbandonOnFailure scope;
  try {
    if (failed_case >= 0 && static_cast<std::size_t>(failed_case) < impl_->rows.size()) {
      CaseRow row = impl_->rows[static_cast<std::size_t>(failed_case)];
      row.status = "failed";
      row.message = message;
      impl_->update_case(row);
    }
    impl_->close(status);
    return true;
  } catch (const Error& error) {  // says itself what is kept where
    impl_->broken = true;
    return refuse(error.what());
  } catch (const std::exception& error) {
    impl_->broken = true;
    impl_->salvage();
    return refuse(not_closed(error.what()));
  }
}

const std::string& RunFile::path() const {
  return impl_->path;
}

std::string RunFile::not_closed(std::string_view why) const {
  const std::string where = impl_->staged() ? " in " + impl_->work_path : "";
  return sentence(impl_->path + " not closed", why,
                  "its finished blocks are kept" + where + ": --resume " + impl_->path);
}

std::string RunFile::take_warning() {
  const std::lock_guard guard(hdf5::library_mutex());
  return std::exchange(impl_->warning, {});
}

std::int64_t RunFile::bytes_written() const {
  return file_size(impl_->closed ? impl_->path : impl_->work_path);
}

bool RunFile::broken() const {
  return impl_->broken || (!impl_->closed && hdf5::abandoned());
}

}  // namespace dlscale
