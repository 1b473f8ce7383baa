// SPDX-License-Identifier: BSD-3-Clause
/// The block in which PBLAS works, whatever the blocks of the distribution: its function pilaenv_
/// returns it, 32 as it comes. The program defines pilaenv_ itself, and the dynamic linker prefers the
/// program's.
#pragma once

#include <cstdint>

namespace dlscale {

/// Sets the logical block while it lives; 0 or less: the library's own.
class LogicalBlockScope {
 public:
  explicit LogicalBlockScope(std::int64_t size) noexcept;
  ~LogicalBlockScope();
  LogicalBlockScope(const LogicalBlockScope&) = delete;
  LogicalBlockScope& operator=(const LogicalBlockScope&) = delete;

 private:
  int before_;
};

/// How often the library has asked. A library that never does (a vendor's) has its own mind.
std::int64_t logical_block_questions() noexcept;

/// What the library would answer itself for this BLACS context and type; 0 if it can't be asked.
int librarys_logical_block(int context, bool is_double) noexcept;

}  // namespace dlscale
