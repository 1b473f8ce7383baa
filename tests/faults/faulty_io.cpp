// SPDX-License-Identifier: BSD-3-Clause
// A disk or file server that fails, for LD_PRELOAD: while the file $FAULTY_IO_SWITCH exists, writing to
// files whose path begins with $FAULTY_IO_PREFIX fails with the error number in it, or with "hang" never
// returns.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

/// The error to fail with, 0 for none.
int fault_of(const char* path) {
  const char* prefix = std::getenv("FAULTY_IO_PREFIX");
  const char* trigger = std::getenv("FAULTY_IO_SWITCH");
  if (prefix == nullptr || trigger == nullptr || std::strncmp(path, prefix, std::strlen(prefix)) != 0)
    return 0;
  const int file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, trigger, O_RDONLY | O_CLOEXEC));
  if (file < 0) return 0;
  char text[16] = {};
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size > 0 && std::strncmp(text, "hang", 4) == 0)
    for (;;) pause();
  const int error = size > 0 ? std::atoi(text) : 0;
  if (error != 0) {  // $FAULTY_IO_SWITCH.hit says that it has happened
    char hit[4096];
    std::snprintf(hit, sizeof hit, "%s.hit", trigger);
    close(static_cast<int>(syscall(SYS_openat, AT_FDCWD, hit, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
  }
  return error;
}

int fault_of(int descriptor) {
  char link[64], path[4096] = {};
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  return readlink(link, path, sizeof path - 1) > 0 ? fault_of(path) : 0;
}

bool fails(int error) {
  if (error != 0) errno = error;
  return error != 0;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(arguments, unsigned)) : 0;
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* data, size_t size) {
  if (file > STDERR_FILENO && fails(fault_of(file))) return -1;
  return real<ssize_t(int, const void*, size_t)>("write")(file, data, size);
}

ssize_t pwrite(int file, const void* data, size_t size, off_t at) {
  if (fails(fault_of(file))) return -1;
  return real<ssize_t(int, const void*, size_t, off_t)>("pwrite")(file, data, size, at);
}

ssize_t pwrite64(int file, const void* data, size_t size, off64_t at) {
  if (fails(fault_of(file))) return -1;
  return real<ssize_t(int, const void*, size_t, off64_t)>("pwrite64")(file, data, size, at);
}

int fsync(int file) {
  if (fails(fault_of(file))) return -1;
  return real<int(int)>("fsync")(file);
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if ((flags & O_ACCMODE) != O_RDONLY && fails(fault_of(path))) return -1;
  return real<int(const char*, int, ...)>("open")(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if ((flags & O_ACCMODE) != O_RDONLY && fails(fault_of(path))) return -1;
  return real<int(const char*, int, ...)>("open64")(path, flags, mode);
}

}  // extern "C"
