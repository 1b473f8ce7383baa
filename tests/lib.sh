# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Shared by the test scripts: results in one form, an interpreter that works, bounded waits, a scratch folder that goes.
# Source it:  . "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

DLSCALE_ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export DLSCALE_ROOT
# The program under test; tests/all.sh builds it here.
DLSCALE=${DLSCALE:-$DLSCALE_ROOT/build/dlscale}
export DLSCALE

# --- results: one line each, counted by tests/all.sh -------------------------------------------------------------
dlscale_failures=0
ok() { printf 'ok %s\n' "$1"; }
failed() {
  printf 'FAILED %s: %s\n' "$1" "${2:-no reason given}"
  dlscale_failures=$((dlscale_failures + 1))
}
skipped() { printf 'SKIPPED %s: %s\n' "$1" "${2:-no reason given}"; }
# check NAME WHY COMMAND…: ok when the command succeeds, else failed with WHY.
check() {
  local name=$1 why=$2
  shift 2
  if "$@"; then ok "$name"; else failed "$name" "$why"; fi
}
# Last line of a test script: exit code 1 if anything failed.
finish() { [ "$dlscale_failures" -eq 0 ]; }

# --- scratch ---------------------------------------------------------------------------------------------------
# scratch: a new folder in $SCRATCH, removed at exit. Commands for the exit are added with at_exit.
at_exit_commands=()
at_exit() { at_exit_commands=("$1" "${at_exit_commands[@]}"); }
run_at_exit() {
  local command
  for command in "${at_exit_commands[@]}"; do eval "$command" || true; done
}
trap run_at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
scratch() {
  SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/dlscale-$1.XXXXXX")
  at_exit "rm -rf $(printf %q "$SCRATCH")"
}

# wait_until SECONDS COMMAND…: polls until the command succeeds; 1 when the time is over.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# end_pid PID [SECONDS]: TERM, wait, KILL; only for processes the caller started.
end_pid() {
  kill -TERM "$1" 2>/dev/null || return 0
  wait_until "${2:-5}" pid_gone "$1" || kill -KILL "$1" 2>/dev/null || true
}
# A zombie counts as gone: its parent reads it later.
pid_gone() {
  local state
  state=$(ps -o state= -p "$1" 2>/dev/null) || return 0
  [ -z "$state" ] || [ "${state:0:1}" = Z ]
}

# --- programs --------------------------------------------------------------------------------------------------
# python_with MODULE…: prints the first interpreter that imports them all (DLSCALE_PYTHON, PATH, /usr/bin).
python_with() {
  local candidate modules
  modules=$(IFS=,; echo "$*")
  for candidate in ${DLSCALE_PYTHON:+"$DLSCALE_PYTHON"} python3 /usr/bin/python3; do
    if "$candidate" -c "import $modules" >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# Open MPI refuses root unless told; more ranks than cores are normal in tests.
if [ "$(id -u)" -eq 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
mpi_is_open_mpi() { mpirun --version 2>/dev/null | grep -q 'Open MPI'; }
# mpi N COMMAND…: N ranks on this machine, at most DLSCALE_MPI_LIMIT seconds (120).
mpi() {
  local ranks=$1 flags=()
  shift
  if mpi_is_open_mpi; then flags=(--oversubscribe); fi
  timeout --kill-after=10 "${DLSCALE_MPI_LIMIT:-120}" mpirun "${flags[@]}" -np "$ranks" "$@" </dev/null
}

# h5_text FILE DATASET: a scalar string of a run file, also of one that was cut off or is being written.
h5_text() {
  local python
  python=$(python_with h5py) || return 1
  HDF5_USE_FILE_LOCKING=FALSE "$python" - "$1" "$2" <<'PYTHON'
import sys
import h5py
try:
    file = h5py.File(sys.argv[1], "r")
except OSError:
    file = h5py.File(sys.argv[1], "r", swmr=True)
with file:
    value = file[sys.argv[2]]
    value = value[()] if value.shape == () else value[0]
    print(value.decode().rstrip("\0") if isinstance(value, bytes) else value)
PYTHON
}
