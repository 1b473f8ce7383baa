// SPDX-License-Identifier: BSD-3-Clause
/// What is known of a case when it is over: the input of every table and of the exit code.
#pragma once

#include <string>
#include <vector>

#include "measure/statistics.hpp"
#include "plan/plan.hpp"
#include "summary/tally.hpp"

namespace dlscale {

/// A key of `require` that was not met, and a sentence about it.
struct MissedRequirement {
  std::string name, sentence;
};

struct CaseOutcome {
  CaseStatus status = CaseStatus::planned;
  std::string message;
  std::string stop_reason;
  Interval seconds;                  ///< per repetition: the reported quantity
  std::vector<int> ranks;            ///< world ranks of the participants
  std::vector<double> rank_seconds;  ///< [participant] median over its blocks
  std::vector<double>
      rank_low;         ///< [participant] lower end of its interval (its fastest block without one)
  int unconverged = 0;  ///< participants whose own interval is wider than asked
  bool steady = false;
  bool batched = false;  ///< several repetitions per sample
  CaseMeans means;
  bool check_passed = false;
  std::vector<MissedRequirement> missed;
};

/// Completed, with a passed check and a time: nothing else counts as a rate, a roof or in a ratio.
bool reportable(const CaseOutcome& outcome);

/// Work per repetition and participant: FLOP, bytes or images by the entry's kind; 0 for kind time.
double work_per_rank(const Case& c);
double flops_per_rank(const Case& c);

/// Rate of one participant (by world rank) in FLOP/s, B/s or images/s; NaN when unknown.
double rank_rate(const Case& c, const CaseOutcome& outcome, int world_rank);

/// Rates relative to the same ranks' roof: the case's own against the first of its roofs of the same
/// kind (FLOP or bytes); of a case counted in images, its FLOP/s.
struct RoofShare {
  double median = not_a_number, slowest = not_a_number;
  std::string roof;  ///< "FMA peak f64" | "triad"
};
RoofShare roof_share(const Case& c, const std::vector<Case>& cases,
                     const std::vector<CaseOutcome>& outcomes);

/// Unit of the case's rate: "FLOP/s", "B/s" or "images/s"; "s" for kind time.
std::string_view rate_unit(const Case& c);

/// A rate of the case with its unit: "54.3 GFLOP/s"; images as plain numbers of four digits, "2713
/// images/s", from a million on "1.234 M images/s".
std::string format_rate(const Case& c, double rate);

/// Together against alone for the same work: rate(together) / rate(alone) of the ranks that did both;
/// NaN if not measured.
double sharing(const Case& together, const std::vector<Case>& cases,
               const std::vector<CaseOutcome>& outcomes);

}  // namespace dlscale
