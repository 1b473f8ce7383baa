#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Does a failure on any one rank fail the run, is that rank named, and does nobody hang?
# Usage: comm_harness.sh path/to/mpi_tests [mpirun]
set -u
tests=${1:?usage: comm_harness.sh path/to/mpi_tests [mpirun]}
mpirun=${2:-mpirun}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ranks=3
failures=0

# check NAME TAG FAILING_RANK EXPECTED(fail|pass) TEXT
check() {
  local name=$1 tag=$2 rank=$3 expected=$4 text=$5 output code outcome=pass
  output=$(DLSCALE_TEST_FAIL_RANK=$rank timeout 40 "$mpirun" --oversubscribe -np $ranks "$tests" "$tag" 2>&1)
  code=$?
  [ $code -ne 0 ] && outcome=fail
  [ $code -eq 124 ] && outcome=hung
  if [ "$outcome" = "$expected" ] && grep -qF -- "$text" <<<"$output"; then
    echo "ok      $name"
  else
    echo "FAILED  $name: $outcome (exit code $code), wanted $expected with '$text'; output:"
    printf '%s\n' "$output"
    failures=$((failures + 1))
  fi
}

check "all ranks pass" "[.harness-pass]" 0 pass "All tests passed"
for ((r = 0; r < ranks; ++r)); do
  check "a check fails on rank $r only" "[.harness-check]" $r fail "[rank $r] harness: one rank fails a check"
  check "rank $r throws" "[.harness-throw]" $r fail "[rank $r]   thrown on purpose"
done
check "rank 1 leaves a test the others are stuck in" "[.harness-leave]" 1 fail "[rank 1] the others are stuck"
exit $((failures > 0))
