#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The long forms of the tests: hundreds of kills, full fuzzing. Hours at most; tests/all.sh runs a sample of each.
set -uo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$DLSCALE_ROOT" || exit 1

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  echo "usage: tests/long.sh [DLSCALE_FUZZ_CASES=1000] [DLSCALE_KILLS=100] [DLSCALE_CLEAN_RUNS=200] [DLSCALE_SLOW_RUNS=20] (set in the environment)"
  exit 0
fi
export DLSCALE_FUZZ_CASES=${DLSCALE_FUZZ_CASES:-1000}  # mutated job files and command lines
export DLSCALE_KILLS=${DLSCALE_KILLS:-100}             # SIGKILLs at random moments
export DLSCALE_CLEAN_RUNS=${DLSCALE_CLEAN_RUNS:-200}   # runs in which no check may fail
export DLSCALE_CLEAN_FULL=${DLSCALE_CLEAN_FULL:-200}   # the same at 4096
export DLSCALE_LONG=1

if [ ! -x "$DLSCALE" ] || [ ! -f build/CTestTestfile.cmake ]; then
  echo "long.sh: no build with tests in build/; run tests/all.sh --only build first" >&2
  exit 2
fi

scratch long
total=0 bad=0 skips=0
step() {  # NAME COMMAND…
  local name=$1 start=$SECONDS code
  shift
  printf '\n=== %s\n' "$name"
  "$@" </dev/null 2>&1 | tee "$SCRATCH/log"
  code=${PIPESTATUS[0]}
  skips=$((skips + $(grep -c '^SKIPPED ' "$SCRATCH/log")))
  total=$((total + 1))
  if [ "$code" -eq 0 ]; then
    ok "$name ($((SECONDS - start)) s)"
  else
    bad=$((bad + 1))
    failed "$name" "exit code $code after $((SECONDS - start)) s"
  fi
}

# Without ctest's time limits, which are those of the short forms.
for program in build/unit_*; do
  if [ -x "$program" ] && [ -f "$program" ]; then step "$(basename "$program")" timeout 7200 "$program"; fi
done
for ranks in 1 2 3 4; do
  if [ -x build/mpi_tests ]; then DLSCALE_MPI_LIMIT=3600 step "mpi_tests on $ranks ranks" mpi "$ranks" build/mpi_tests; fi
done
for script in tests/faults/*.sh; do
  probe=""
  if [ -f "${script%.sh}_probe.cpp" ]; then probe=$DLSCALE_ROOT/build/$(basename "$script" .sh)_probe; fi
  if [ -f "$script" ]; then step "faults/$(basename "$script" .sh)" timeout 14400 bash "$script" ${probe:+"$probe"}; fi
done
step sanitizers timeout 3600 bash tests/all.sh --no-install --only sanitize
DLSCALE_TRAINING_BUDGET=180 step training timeout 1800 bash tests/training.sh
step valgrind timeout 7200 bash tests/valgrind.sh
step quickstart timeout 1800 bash tests/quickstart.sh
for script in run nodes faults scripts; do step "cluster/$script" timeout 600 bash "tests/cluster/$script.sh"; done
step cluster/slow_nodes timeout 7200 bash tests/cluster/slow_nodes.sh "${DLSCALE_SLOW_RUNS:-20}"
step gpu timeout 7200 bash tests/gpu/run.sh
step bundle timeout 1800 bash tests/gpu/bundle.sh

printf '\n%d passed, %d failed, %d skipped\n' "$((total - bad))" "$bad" "$skips"
[ "$bad" -eq 0 ]
