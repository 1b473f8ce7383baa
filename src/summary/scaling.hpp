// SPDX-License-Identifier: BSD-3-Clause
/// Efficiency of distributed cases over their ranks, and where the rest went. What analysis derives from
/// the file, here from what the root has seen: docs/metrics.md, "Scaling" and "The ledger".
#pragma once

#include <string>
#include <vector>

#include "plan/plan.hpp"
#include "summary/outcome.hpp"

namespace dlscale {

/// A case of one scaling curve, as a rule that of the most ranks, against its baseline: equal cases but
/// for the ranks.
struct ScalingPoint {
  const Case* base = nullptr;
  const Case* last = nullptr;
  std::string name{};     ///< "train topflight-cnn", with the keys in which curves of the run differ
  Interval efficiency{};  ///< g / T with g = T_b · w/w_b · b/p; not valid without a ratio
  std::string why{};      ///< why there is no efficiency
};
std::vector<ScalingPoint> scaling_points(const Plan& plan, const Layout& layout,
                                         const std::vector<CaseOutcome>& outcomes);

/// The case and all that differ from it in their ranks alone, as far as they have a rate; empty without.
using Curve = std::vector<const Case*>;
Curve curve_of(const Case& c, const Plan& plan, const std::vector<CaseOutcome>& outcomes);
/// Any case against the baseline of its curve among what is known so far; 1 for the baseline itself.
/// Without a name.
ScalingPoint scaling_point(const Case& c, const Plan& plan, const Layout& layout,
                           const std::vector<CaseOutcome>& outcomes);

/// One loss of a point, or several that were not measured apart.
struct Loss {
  std::string name;   ///< "granularity + sharing"
  double points = 0;  ///< of efficiency: 100 · seconds / T; negative is a gain
};
/// 1 − E term by term, in order: they add up to 100 · (1 − g/T), with T and g as means. Empty where the
/// case does not tell what its ranks did.
std::vector<Loss> ledger(const ScalingPoint& point, const Plan& plan, const Layout& layout,
                         const std::vector<CaseOutcome>& outcomes);

}  // namespace dlscale
