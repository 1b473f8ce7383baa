// SPDX-License-Identifier: BSD-3-Clause
/// Copies that appear whole or not at all, and the node-local file a run on a network file system is
/// written in.
#pragma once

#include <cstdint>
#include <string>

namespace dlscale {

/// NFS, Lustre, GPFS, BeeGFS, CephFS, SMB, PanFS, AFS, OrangeFS (statfs); or the test hook
/// DLSCALE_TEST_STAGE=1. `path` need not exist yet. Appending there costs a round trip per write, and
/// its caches may reorder what a reader, or a recovery after a kill, sees.
bool on_network_file_system(const std::string& path);

/// A new, empty name in $TMPDIR or /tmp (never on a network file system), or empty if neither can be
/// written.
std::string new_staging_name(const std::string& final_path);

enum class Replace { no, yes };

/// Write–fsync–rename. With Replace::no an existing `target` is left alone and refused. Throws
/// Error(output_failed).
void publish_copy(const std::string& source, const std::string& target, Replace replace);
/// The same of an open file, which may have no name any more; `source` is for the message.
void publish_copy(int descriptor, const std::string& source, const std::string& target, Replace replace);

/// Decides when the staged file is copied: all copies together take at most 1 % of the elapsed time.
class CopyBudget {
 public:
  explicit CopyBudget(std::int64_t now) : started_ns_(now) {}
  /// May a copy of `bytes` be started, by what earlier ones took?
  bool allows(std::int64_t now, std::int64_t bytes) const;
  void took(std::int64_t duration_ns, std::int64_t bytes);

 private:
  std::int64_t started_ns_, spent_ns_ = 0, last_ns_ = 0, last_bytes_ = 0;
};

/// Size in bytes, −1 if it can't be read.
std::int64_t file_size(const std::string& path);

std::string folder_of(const std::string& path);

}  // namespace dlscale
