// SPDX-License-Identifier: BSD-3-Clause
// Main of the one-process tests.
#include "run_catch.hpp"

int main(int argc, char** argv) {
  return dlscale::run_catch(argc, argv, false) == 0 ? 0 : 1;
}
