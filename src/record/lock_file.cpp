// SPDX-License-Identifier: BSD-3-Clause
#include "record/lock_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <system_error>

#include "base/error.hpp"

namespace dlscale {
namespace {

/// "host pid [staging path]".
struct Holder {
  std::string host, staging;
  int pid = 0;
  std::string text() const {
    return pid == 0 ? "another process" : "process " + std::to_string(pid) + " on " + host;
  }
};

Holder read_holder(int descriptor) {
  char buffer[4096];
  const ssize_t size = pread(descriptor, buffer, sizeof buffer, 0);
  Holder holder;
  std::istringstream text(std::string(buffer, size > 0 ? static_cast<std::size_t>(size) : 0));
  text >> holder.host >> holder.pid >> std::ws;
  std::getline(text, holder.staging);
  return holder;
}

/// True when `descriptor` is still the file at `path`: its holder may have removed it while we opened
/// it.
bool is_current(int descriptor, const std::string& path) {
  struct stat ours = {}, there = {};
  return fstat(descriptor, &ours) == 0 && stat(path.c_str(), &there) == 0 &&
         ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

bool may_still_live(const Holder& holder) {
  if (holder.pid == 0) return false;
  return holder.host != this_host() ||
         (holder.pid != getpid() && (kill(holder.pid, 0) == 0 || errno == EPERM));
}

enum class Attempt { taken, held, unsupported };

Attempt try_lock(int descriptor, const std::string& lock_path) {
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return Attempt::taken;
  if (errno == EWOULDBLOCK) return Attempt::held;
  if (errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK) return Attempt::unsupported;
  throw Error(ExitCode::output_failed, "can't lock " + lock_path, system_reason(),
              "choose another place with -o");
}

void write_holder(int descriptor, const std::string& lock_path, const std::string& staging) {
  std::string text = this_host() + " " + std::to_string(getpid());
  if (!staging.empty()) text += " " + staging;
  text += "\n";
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    throw Error(ExitCode::output_failed, "can't write " + lock_path, system_reason(),
                "free space, or choose another place with -o");
}

[[noreturn]] void refuse(const std::string& path, const Holder& holder, const std::string& remedy) {
  throw Error(ExitCode::output_failed, "can't write " + path, "it is being written by " + holder.text(),
              remedy);
}

}  // namespace

std::string this_host() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string system_reason() {
  return std::system_category().message(errno);
}

LockFile LockFile::acquire(const std::string& path) {
  const std::string lock_path = path + ".lock";
  for (;;) {
    Descriptor descriptor(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!descriptor)
      throw Error(ExitCode::output_failed, "can't write " + path, lock_path + ": " + system_reason(),
                  "choose another place with -o");
    const Attempt attempt = try_lock(descriptor.get(), lock_path);
    if (!is_current(descriptor.get(), lock_path)) continue;
    const Holder holder = read_holder(descriptor.get());
    if (attempt == Attempt::held) refuse(path, holder, "choose another -o, or wait for it to end");
    if (attempt == Attempt::unsupported && may_still_live(holder))
      refuse(path, holder, "choose another -o, or remove " + lock_path + " if that process is gone");
    LockFile lock;  // only now: its destructor removes the file
    lock.path_ = lock_path;
    lock.descriptor_ = std::move(descriptor);
    lock.left_staging_ = holder.staging;
    write_holder(lock.descriptor_.get(), lock_path, lock.left_staging_);
    return lock;
  }
}

void LockFile::note_staging(const std::string& staging_path) {
  write_holder(descriptor_.get(), path_, staging_path);
}

void LockFile::release() noexcept {
  if (!descriptor_) return;
  unlink(path_.c_str());  // before closing: afterwards it may be another's
  descriptor_.reset();
}

void LockFile::leave() noexcept {
  descriptor_.reset();
}

LeftStaging left_staging(const std::string& path) {
  const Descriptor descriptor(open((path + ".lock").c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) return {};
  const Holder holder = read_holder(descriptor.get());
  return holder.staging.empty() ? LeftStaging{} : LeftStaging{holder.host, holder.staging};
}

std::string lock_holder(const std::string& path) {
  const Descriptor descriptor(open((path + ".lock").c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) return {};
  // Closing gives the lock back if this takes it.
  if (flock(descriptor.get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return {};
  return read_holder(descriptor.get()).text();
}

}  // namespace dlscale
