// SPDX-License-Identifier: BSD-3-Clause
#include "measure/test_fault.hpp"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "base/text.hpp"

namespace dlscale {

bool test_fault(std::string_view stage, int rank, int case_id) {
  static const char* const wanted = std::getenv("DLSCALE_TEST_FAULT");
  if (wanted == nullptr) return false;
  const auto parts = split(wanted, ':');
  if (parts.size() != 4 || parts[0] != stage || parts[1] != std::to_string(rank) ||
      parts[3] != std::to_string(case_id))
    return false;
  if (parts[2] == "hang")
    while (true) pause();
  if (parts[2] == "throw") throw std::runtime_error("planted by DLSCALE_TEST_FAULT");
  return parts[2] == "wrong";
}

}  // namespace dlscale
