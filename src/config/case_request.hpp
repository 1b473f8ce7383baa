// SPDX-License-Identifier: BSD-3-Clause
/// Making and checking one CaseRequest, wherever it comes from. Internal to config.
#pragma once

#include <string>
#include <string_view>

#include "config/checked_value.hpp"

namespace dlscale {

/// 'gemm m=4096 k=1024,2048 label="a b"' of --case.
CaseRequest parse_case_text(const std::string& text);

/// Reads request.list_file (relative to `lists_dir`) into request.rows. `place` is where it was named.
void read_list_file(const std::string& lists_dir, const Place& place, CaseRequest& request);

/// A CSV text: header row of keys, blank lines and # comments skipped. `source` names it in messages.
void parse_list(const std::string& text, const std::string& source, CaseRequest& request);

/// Refuses zips that don't fit, keys given twice, words of [[case]] used as columns.
void check_case_request(const CaseRequest& request);

/// Value of one key of `require`; unknown keys and wrong values are refused.
double checked_requirement(std::string_view key, const Scalar& value, const Place& place);

/// Applies one --set section.key=value.
void apply_set(Config& config, const std::string& text);

/// Whole text of a file; throws Error(bad_input) with the reason of the system. `what` is "job" or
/// "list".
std::string read_text_file(const std::string& path, std::string_view what, const Place& place);

}  // namespace dlscale
