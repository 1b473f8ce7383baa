// SPDX-License-Identifier: BSD-3-Clause
#include "record/hdf5_call.hpp"

#include <stdlib.h>

#include <atomic>
#include <vector>

namespace dlscale::hdf5 {
namespace {

std::atomic<bool> is_abandoned{false};
std::atomic<int> abandon_depth{0};

herr_t collect(unsigned, const H5E_error2_t* error, void* out) {
  if (error->desc != nullptr) static_cast<std::vector<std::string>*>(out)->push_back(error->desc);
  return 0;
}

/// "file write failed: …, error message = 'No space left on device', …" → "No space left on device";
/// empty where the system has no part in it.
std::string system_message(const std::string& description) {
  constexpr std::string_view key = "error message = '";
  const auto begin = description.find(key);
  if (begin == std::string::npos) return {};
  const auto end = description.find('\'', begin + key.size());
  return description.substr(begin + key.size(),
                            end == std::string::npos ? end : end - begin - key.size());
}

std::string error_stack() {
  std::vector<std::string> descriptions;  // innermost first
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &descriptions);
  H5Eclear2(H5E_DEFAULT);
  std::string text;
  for (auto it = descriptions.rbegin(); it != descriptions.rend(); ++it) {
    // What the system said is the reason; the layers of the library above it say nothing to a user.
    if (std::string reason = system_message(*it); !reason.empty()) return reason;
    if (text.ends_with(*it)) continue;
    if (!text.empty()) text += ": ";
    text += *it;
  }
  return text.empty() ? "HDF5 gives no reason" : text;
}

}  // namespace

void start_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
    H5dont_atexit();  // without effect, and harmless, if the library already runs
    checked(H5open(), "H5open");
    checked(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr), "H5Eset_auto2");
  });
}

std::timed_mutex& library_mutex() {
  static std::timed_mutex mutex;
  return mutex;
}

bool abandoned() noexcept {
  return is_abandoned.load();
}

AbandonOnFailure::AbandonOnFailure() noexcept {
  ++abandon_depth;
}
AbandonOnFailure::~AbandonOnFailure() {
  --abandon_depth;
}

void fail(std::string_view what) {
  const std::string text = std::string(what) + ": " + error_stack();
  if (abandon_depth.load() > 0) is_abandoned = true;
  throw Failure(text);
}

}  // namespace dlscale::hdf5
