// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <unistd.h>

#include "base/handle.hpp"

namespace dlscale {

struct FileDescriptorTraits {
  static int null() { return -1; }
  static void close(int fd) { ::close(fd); }  // sockets and event counters: nothing is lost if it fails
};
using FileDescriptor = Handle<FileDescriptorTraits>;

}  // namespace dlscale
