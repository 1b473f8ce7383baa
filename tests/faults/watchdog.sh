#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs that hang or fail on one rank: do they end in time, with the right exit code, naming that rank?
# Usage: watchdog.sh path/to/watchdog_probe [mpirun]
set -u
probe=${1:?usage: watchdog.sh path/to/watchdog_probe [mpirun]}
mpirun=${2:-mpirun}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
patience=2 # seconds
ranks=4
failures=0
# Start-up of the launcher and 5 s are added to the patience; a busy machine starts slowly.
limit=$((patience + 5 + 4))

# check NAME MODE RANK EXIT_CODE TEXT…   every TEXT must be in the output
check() {
  local name=$1 mode=$2 rank=$3 wanted=$4 output code start took text missing=""
  shift 4
  start=$(date +%s%N)
  output=$(timeout -k 5 $limit "$mpirun" --oversubscribe -np $ranks "$probe" "$mode" "$rank" $patience 2>&1)
  code=$?
  took=$((($(date +%s%N) - start) / 1000000))
  for text in "$@"; do grep -qF -- "$text" <<<"$output" || missing="$missing, without '$text'"; done
  if [ $code -eq "$wanted" ] && [ -z "$missing" ]; then
    echo "ok      $name ($took ms)"
  else
    echo "FAILED  $name: exit code $code instead of $wanted$missing after $took ms; output:"
    printf '%s\n' "$output"
    failures=$((failures + 1))
  fi
}

host=$(hostname)
check "nothing goes wrong" pass 0 0
check "a rank is stopped" stop 2 6 "rank 2 (host $host) did not arrive at 'gather of case 4'" \
  "no word from it" "root closed its file"
check "rank 0 is stopped, rank 1 speaks" stop 0 6 "rank 0 (host $host) did not arrive at 'gather of case 4'"
check "rank 1 is stopped, rank 0 speaks" stop 1 6 "rank 1 (host $host) did not arrive" "root closed its file"
check "a rank works for ever" work 3 6 "rank 3 (host $host) did not arrive at 'gather of case 4'" \
  "working at 'run of case 4'" "root closed its file"
check "rank 0 works for ever" work 0 6 "rank 0 (host $host) did not arrive at" "working at 'run of case 4'" \
  "root closed its file"
check "a rank is stopped inside a collective" collective 3 6 \
  "rank 3 (host $host) did not finish 'run of case 4'" "no word from it" "root closed its file"
check "a rank fails" fatal 2 1 "rank 2 (host $host): case 4: the GPU fell off the bus" \
  "root closed its file for rank 2: case 4: the GPU fell off the bus"
check "rank 0 fails" fatal 0 1 "root closed its file for rank 0: case 4: the GPU fell off the bus"
exit $((failures > 0))
