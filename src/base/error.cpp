// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.hpp"

namespace dlscale {

std::string sentence(std::string_view problem, std::string_view why, std::string_view remedy) {
  std::string text(problem);
  if (!why.empty()) text.append(" (").append(why).append(")");
  if (!remedy.empty()) text.append(why.empty() ? "; " : " ").append(remedy);
  return text;
}

}  // namespace dlscale
