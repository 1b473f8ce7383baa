// SPDX-License-Identifier: BSD-3-Clause
#include "record/build_facts.hpp"

#include "record/provenance.hpp"
#include "record/system_facts.hpp"

namespace dlscale {

BuildFacts build_facts() {
  BuildFacts facts{built::version, built::git_hash, built::build_type, built::compiler,
                   built::flags,   built::cmake,    built::system};
  const bool optimised = facts.build_type == "Release" || facts.build_type == "RelWithDebInfo";
  facts.debug = !optimised || facts.flags.find("-fsanitize") != std::string::npos;
  return facts;
}

std::string version() {
  return built::version;
}
std::string git_hash() {
  return built::git_hash;
}

}  // namespace dlscale
