#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Small cases of data, networks and trainer under valgrind's memcheck: no invalid access, no use of what was never
# written, nothing lost. valgrind knows no AVX-512, so that oneDNN is held to AVX2. Called by tests/long.sh.
set -uo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
scratch valgrind

program=$DLSCALE_ROOT/build/unit_nn
if ! command -v valgrind >/dev/null; then
  skipped valgrind "valgrind is not installed"
  exit 0
fi
# libgomp keeps its threads' stacks, oneDNN the code it has generated: reachable at the end, not lost.
memcheck() {
  OMP_NUM_THREADS=2 ONEDNN_MAX_CPU_ISA=AVX2 timeout 1800 valgrind --error-exitcode=9 --leak-check=full \
    --show-leak-kinds=definite --errors-for-leak-kinds=definite "$program" "$@" </dev/null >"$SCRATCH/log" 2>&1
}
for name in "IDX files are read plain and packed*" "a folder is loaded*" "batches do not depend*" "an epoch can be broken off*" \
  "what a producer throws*" "every instruction set computes*" "every layer of a small step*" "the first tensor that is not finite*" \
  "the parts of steps*"; do
  if memcheck "$name" && grep -q 'ERROR SUMMARY: 0 errors' "$SCRATCH/log" && grep -q 'All tests passed' "$SCRATCH/log"; then
    ok "valgrind/$name"
  else
    failed "valgrind/$name" "$(grep -E 'Invalid|uninitialised|definitely lost|FAILED|No tests ran' "$SCRATCH/log" | head -n 3 | tr '\n' '|')"
  fi
done
finish
