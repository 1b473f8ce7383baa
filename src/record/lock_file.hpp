// SPDX-License-Identifier: BSD-3-Clause
/// PATH.lock: says that a run file is being written, and by whom. The system releases the lock if the
/// holder dies.
#pragma once

#include <unistd.h>

#include <string>

#include "base/handle.hpp"

namespace dlscale {

struct DescriptorTraits {
  static int null() noexcept { return -1; }
  static void close(int descriptor) noexcept { ::close(descriptor); }
};
using Descriptor = Handle<DescriptorTraits>;

class LockFile {
 public:
  LockFile() = default;
  /// Takes the lock beside `path`, or throws Error(output_failed) naming its holder. A dead holder's
  /// lock is taken.
  static LockFile acquire(const std::string& path);
  LockFile(LockFile&&) = default;
  LockFile& operator=(LockFile&&) = default;
  ~LockFile() { release(); }

  /// Adds the node-local file in which the run is being written to what the lock file says.
  void note_staging(const std::string& staging_path);
  /// Node-local file a dead holder had been writing in; empty if none.
  const std::string& left_staging() const { return left_staging_; }
  void release() noexcept;  ///< removes the file
  void leave() noexcept;    ///< lets go of it; it still says where the staged file is

 private:
  std::string path_, left_staging_;
  Descriptor descriptor_;
};

/// What a writer that ended without closing left in node-local storage, by the lock file beside `path`.
struct LeftStaging {
  std::string host, file;  ///< empty: nothing
};
LeftStaging left_staging(const std::string& path);

/// "process 123 on host" if another process holds the lock beside `path` now, else empty. Takes nothing.
std::string lock_holder(const std::string& path);

std::string this_host();

/// Reason of the last failed system call, for messages.
std::string system_reason();

}  // namespace dlscale
