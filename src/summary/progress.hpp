// SPDX-License-Identifier: BSD-3-Clause
/// What is going on, while it goes on: one line that is rewritten on a terminal, plain lines elsewhere.
/// On stderr, so that stdout holds the summary and the FOM lines alone.
#pragma once

#include <cstdint>
#include <string>

#include "measure/controller.hpp"
#include "plan/plan.hpp"

namespace dlscale {

class Progress {
 public:
  /// `quiet`: nothing at all.
  Progress(bool quiet, double budget_s);
  void phase(const std::string& what);  ///< shown on a terminal only
  void batch(const Case& c, const CaseController& controller, int done, int total);
  void note(const std::string& line);  ///< stays: a case ended
  void warn(const std::string& line);  ///< stays, also when quiet
  void clear();                        ///< before other output

 private:
  void show(const std::string& line);
  bool quiet_, terminal_;
  double budget_s_;
  std::int64_t start_ns_, last_ns_ = 0;
  std::size_t width_ = 80;
  bool shown_ = false;
};

}  // namespace dlscale
