// SPDX-License-Identifier: BSD-3-Clause
/// Errors a user can meet, and the exit codes a batch system reads (docs/metrics.md, "Exit codes").
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace dlscale {

/// Exit codes, in the order in which the first that applies wins; 128+n (signal n) comes before all.
enum class ExitCode : int {
  success = 0,
  case_failed = 1,         ///< a case failed, or its check did
  bad_input = 2,           ///< bad command line or job; nothing was run
  requirement_missed = 3,  ///< every check passed, but a `require` was missed
  refused = 4,             ///< mis-launch or device refused; nothing was run
  output_failed = 5,       ///< the output can't be written
  watchdog = 6,            ///< a rank did not arrive
};

/// *problem (why) what to do*: the grammar of every message. `why` and `remedy` may be empty.
std::string sentence(std::string_view problem, std::string_view why, std::string_view remedy);

/// An error that ends something with a sentence for the user. `exit_code()` says how a run ended by it
/// exits.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, std::string_view problem, std::string_view why = {}, std::string_view remedy = {})
      : std::runtime_error(sentence(problem, why, remedy)), code_(code) {}

  ExitCode exit_code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

/// A sentence from whatever `action` threw, empty when it returned; std::bad_alloc says nothing useful
/// by itself.
template <class Action>
std::string failure_of(Action&& action) {
  try {
    action();
    return {};
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& e) {
    return *e.what() != '\0' ? e.what() : "failed without a message";
  }
}

}  // namespace dlscale
