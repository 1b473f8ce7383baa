// SPDX-License-Identifier: BSD-3-Clause
/// Texts in the file have fixed sizes (variable-length ones can't be appended while others read).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dlscale {

/// The longest beginning of `text` of at most `max_bytes` bytes that doesn't end inside a UTF-8
/// sequence.
std::string_view cut_utf8(std::string_view text, std::size_t max_bytes);

/// `json` if it fits; else, for an object, the same object without its largest members, whose names are
/// then listed under "truncated": cut text could not be parsed. What isn't an object becomes
/// {"truncated":[]}.
std::string fit_json(const std::string& json, std::size_t max_bytes);

}  // namespace dlscale
