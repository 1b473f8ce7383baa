# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the cluster's tests share: submitting slurm/dlscale.sbatch, judging how a job ended and what its file says.
# Source it after slurm.sh.

batch=$DLSCALE_ROOT/slurm/dlscale.sbatch

# test_cluster NAME NODES CPUS: a started cluster, in a folder with a blank in its name; else ends the script.
test_cluster() {
  if ! cluster_start "$2" "$3"; then
    failed "$1" "$CLUSTER_WHY"
    exit 1
  fi
  mkdir -p "$CLUSTER_FOLDER/slurm test"
  cd "$CLUSTER_FOLDER/slurm test" || exit 1
}

# job_file NAME BUDGET MIN_TIME: NAME.toml, one case that every rank works at by itself for MIN_TIME or longer.
job_file() {
  cat >"$1.toml" <<JOB
[run]
name = "$1"
time_budget = "$2"
threads = 1
[sampling]
min_time = "$3"
[[case]]
workload = "gemm"
m = 256
n = 256
k = 256
dtype = "f64"
occupancy = "together"
JOB
}

# submit LAUNCHER [sbatch options…] -- JOB [dlscale options…]: prints the job id.
submit() {
  local launcher=$1 options=()
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  DLSCALE_LAUNCHER=$launcher timeout 30 sbatch --parsable -t 10 "${options[@]}" "$batch" "$@"
}
# explain ID: the end of the job's output on one line, for a failure's reason.
explain() { tail -n 4 "slurm-$1.out" 2>/dev/null | tr '\n' '|'; }
# expect NAME ID STATE EXITCODES [FILE STATUS]: how the job ended and what its file says. 1 if not so.
expect() {
  local name=$1 id=$2 state=$3 codes=$4 file=${5:-} status=${6:-} seen
  if ! wait_until "${CLUSTER_PATIENCE:-90}" job_over "$id"; then
    failed "$name" "job still $(job_field "$id" JobState) after ${CLUSTER_PATIENCE:-90} s: $(explain "$id")"
    timeout 10 scancel "$id"
    wait_until 20 job_over "$id"
    return 1
  fi
  seen="$(job_field "$id" JobState) $(job_field "$id" ExitCode)"
  if [ "${seen% *}" != "$state" ] || [[ " $codes " != *" ${seen#* } "* ]]; then
    failed "$name" "ended $seen, expected $state with one of $codes: $(explain "$id")"
    return 1
  elif [ -n "$file" ] && ! status_is "$file" "$status"; then
    failed "$name" "$file says '$(h5_text "$file" /status 2>&1 | tail -n 1)', expected $status: $(explain "$id")"
    return 1
  fi
  ok "$name"
}
# expect_running NAME ID FILE: waits until the ranks measure.
expect_running() { wait_until 90 status_is "$3" running || failed "$1" "never ran: $(explain "$2")"; }

# --- what a run file says ----------------------------------------------------------------------------------------
status_is() { [ "$(h5_text "$1" /status 2>/dev/null)" = "$2" ]; }
# h5_ask FILE EXPRESSION: prints a Python expression over `file`, the run file of a run that has ended.
h5_ask() {
  local python
  python=$(python_with h5py) && HDF5_USE_FILE_LOCKING=FALSE "$python" -c \
    "import h5py, sys; file = h5py.File(sys.argv[1], 'r', swmr=len(sys.argv) > 2); print($2)" "$1" ${3:+swmr}
}
launches() { h5_ask "$1" 'len(file["/system/launches"])'; }
# hosts FILE: host names of the last launch, in order of rank.
hosts() { h5_ask "$1" '" ".join(h.decode() for h in file["/system/ranks"]["host"][-1])'; }
# kept_blocks FILE [swmr] [WORKLOAD]: finished blocks of all cases, or of this workload's.
kept_blocks() {
  local of=""
  [ -z "${3:-}" ] || of="if c['workload'] == b'$3'"
  h5_ask "$1" "sum(int(c['blocks']) for c in file['/cases'] $of)" "${2:-}"
}
