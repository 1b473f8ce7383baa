// SPDX-License-Identifier: BSD-3-Clause
#include "record/staging.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/error.hpp"
#include "record/lock_file.hpp"

namespace dlscale {
namespace {

/// f_type of statfs(2), from linux/magic.h and the file systems' own sources.
bool is_network_type(std::uint32_t type) {
  for (const std::uint32_t network : {
           0x00006969u,                            // NFS
           0x0BD00BD0u,                            // Lustre
           0x47504653u,                            // GPFS
           0x19830326u,                            // BeeGFS
           0x00C36400u,                            // CephFS
           0x0000517Bu, 0xFF534D42u, 0xFE534D42u,  // SMB, CIFS, SMB2
           0xAAD7AAEAu,                            // PanFS
           0x5346414Fu,                            // AFS
           0x20030528u,                            // OrangeFS
       })
    if (type == network) return true;
  return false;
}

bool statfs_is_network(const std::string& folder) {
  struct statfs facts = {};
  return statfs(folder.c_str(), &facts) == 0 &&
         is_network_type(static_cast<std::uint32_t>(facts.f_type));
}

[[noreturn]] void copy_failed(const std::string& source, const std::string& target) {
  const std::string why = system_reason();
  throw Error(ExitCode::output_failed, "can't copy " + source + " to " + target, why,
              "free space, or copy it by hand; the source is kept");
}

void copy_bytes(int from, int to, const std::string& source, const std::string& target) {
  std::vector<char> buffer(std::size_t{4} << 20);
  for (;;) {
    const ssize_t size = read(from, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) copy_failed(source, target);
    if (size == 0) return;
    for (ssize_t done = 0; done < size;) {
      const ssize_t written = write(to, buffer.data() + done, static_cast<std::size_t>(size - done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) copy_failed(source, target);
      done += written;
    }
  }
}

/// Removes the unfinished copy unless it was renamed.
struct RemoveOnExit {
  std::string path;
  ~RemoveOnExit() {
    if (!path.empty()) unlink(path.c_str());
  }
};

void sync_folder(const std::string& folder) {
  const Descriptor descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor) fsync(descriptor.get());  // not possible everywhere; the rename itself has happened
}

}  // namespace

bool on_network_file_system(const std::string& path) {
  const char* hook = getenv("DLSCALE_TEST_STAGE");
  if (hook != nullptr && std::string_view(hook) == "1") return true;
  return statfs_is_network(folder_of(path));
}

std::string new_staging_name(const std::string& final_path) {
  const char* configured = getenv("TMPDIR");
  for (const std::string folder : {configured != nullptr ? configured : "", "/tmp"}) {
    if (folder.empty() || statfs_is_network(folder)) continue;
    std::string name =
        folder + "/dlscale-XXXXXX-" + std::filesystem::path(final_path).filename().string();
    const int suffix = static_cast<int>(name.size() - name.find("-XXXXXX-") - 7);
    const Descriptor descriptor(mkostemps(name.data(), suffix, O_CLOEXEC));
    if (!descriptor) continue;
    unlink(name.c_str());  // HDF5 creates it exclusively; nobody else makes up this name
    return name;
  }
  return {};
}

void publish_copy(const std::string& source, const std::string& target, Replace replace) {
  const Descriptor from(open(source.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) copy_failed(source, target);
  publish_copy(from.get(), source, target, replace);
}

void publish_copy(int descriptor, const std::string& source, const std::string& target,
                  Replace replace) {
  if (lseek(descriptor, 0, SEEK_SET) != 0) copy_failed(source, target);
  RemoveOnExit unfinished{target + ".part"};
  const Descriptor to(open(unfinished.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!to) copy_failed(source, target);
  copy_bytes(descriptor, to.get(), source, target);
  if (fsync(to.get()) != 0) copy_failed(source, target);
  const unsigned flags = replace == Replace::yes ? 0u : static_cast<unsigned>(RENAME_NOREPLACE);
  int result = renameat2(AT_FDCWD, unfinished.path.c_str(), AT_FDCWD, target.c_str(), flags);
  if (result != 0 && errno == EINVAL &&
      replace == Replace::no) {  // NFS knows no flags; link(2) is exclusive as well
    result = link(unfinished.path.c_str(), target.c_str());
    if (result == 0) unlink(unfinished.path.c_str());
  }
  if (result != 0) copy_failed(source, target);
  unfinished.path.clear();
  sync_folder(folder_of(target));
}

bool CopyBudget::allows(std::int64_t now, std::int64_t bytes) const {
  const double growth =
      last_bytes_ > 0 ? static_cast<double>(bytes) / static_cast<double>(last_bytes_) : 1.0;
  const double expected_ns = static_cast<double>(last_ns_) * (growth > 1 ? growth : 1);
  return static_cast<double>(spent_ns_) + expected_ns <= 0.01 * static_cast<double>(now - started_ns_);
}

void CopyBudget::took(std::int64_t duration_ns, std::int64_t bytes) {
  spent_ns_ += duration_ns;
  last_ns_ = duration_ns;
  last_bytes_ = bytes;
}

std::int64_t file_size(const std::string& path) {
  struct stat facts = {};
  return stat(path.c_str(), &facts) == 0 ? static_cast<std::int64_t>(facts.st_size) : -1;
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace dlscale
