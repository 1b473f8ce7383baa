// SPDX-License-Identifier: BSD-3-Clause
/// Owners for HDF5 identifiers and the check that every call goes through.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/handle.hpp"

namespace dlscale::hdf5 {

/// A call that failed; what() holds the call and HDF5's own error stack.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Starts the library once: no file locks of its own (we hold PATH.lock; flock is missing on some
/// parallel file systems), no exit handler (it would close a file whose write failed, and so destroy
/// it), no automatic printing.
void start_library();

/// HDF5 is built without threads in most distributions: one mutex for all use of it.
std::timed_mutex& library_mutex();

/// True after a failed write. From then on no owner below calls HDF5 any more, not even to close.
bool abandoned() noexcept;

/// While one is alive, a failed call abandons the library before the stack is unwound.
class AbandonOnFailure {
 public:
  AbandonOnFailure() noexcept;
  ~AbandonOnFailure();
  AbandonOnFailure(const AbandonOnFailure&) = delete;
  AbandonOnFailure& operator=(const AbandonOnFailure&) = delete;
};

/// Throws Failure with the error stack of the last call.
[[noreturn]] void fail(std::string_view what);

/// Passes a result on if it isn't negative. `what` names the call and its object.
template <class Result>
Result checked(Result result, std::string_view what) {
  if (result < 0) fail(what);
  return result;
}

template <herr_t (*close_function)(hid_t)>
struct Closer {
  static hid_t null() noexcept { return H5I_INVALID_HID; }
  static void close(hid_t id) noexcept {
    if (!abandoned()) close_function(id);  // a failed close of a reader's handle loses nothing
  }
};
using File = Handle<Closer<H5Fclose>>;
using Group = Handle<Closer<H5Gclose>>;
using Dataset = Handle<Closer<H5Dclose>>;
using Space = Handle<Closer<H5Sclose>>;
using Type = Handle<Closer<H5Tclose>>;
using Attribute = Handle<Closer<H5Aclose>>;
using Properties = Handle<Closer<H5Pclose>>;

}  // namespace dlscale::hdf5
