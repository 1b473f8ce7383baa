#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# slurm/dlscale.sbatch under a real Slurm on this machine: both launchers, exit codes, cancel, time limit, requeue.
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=slurm.sh
. "$DLSCALE_ROOT/tests/cluster/slurm.sh"

batch=$DLSCALE_ROOT/slurm/dlscale.sbatch
own_program=$DLSCALE_ROOT/build/dlscale

if [ ! -x "$DLSCALE" ]; then
  failed cluster "no program at $DLSCALE; build it first"
  exit 1
fi
scratch "slurm test"  # a blank in every path on purpose
# Slurm's own configuration can't hold a blank.
cluster_folder=$(mktemp -d "${TMPDIR:-/tmp}/dlscale-cluster.XXXXXX")
at_exit "rm -rf $cluster_folder"
at_exit cluster_stop

# --- without a cluster -------------------------------------------------------------------------------------------
message=$(env -u SLURM_JOB_ID bash "$batch" quick 2>&1)
code=$?
check "cluster/outside a job" "exit $code, said: $message" test "$code:${message##*; }" = "2:submit it: sbatch slurm/dlscale.sbatch JOB"

cpus=$(nproc)
if ! cluster_start "$cluster_folder" "$((cpus > 2 ? cpus : 2))"; then
  skipped cluster "$CLUSTER_WHY"
  finish
  exit
fi
cd "$SCRATCH" || exit 1

cat >short.toml <<'JOB'
[run]
name = "short"
time_budget = "8s"
threads = 1
[[case]]
workload = "gemm"
m = 256
n = 256
k = 256
dtype = "f64"
occupancy = "together"
JOB
# Holds one case long enough to be interrupted with certainty.
cat >long.toml <<'JOB'
[run]
name = "long"
time_budget = "100s"
threads = 1
[sampling]
min_time = "60s"
[[case]]
workload = "gemm"
m = 256
n = 256
k = 256
dtype = "f64"
occupancy = "together"
JOB
# Long enough to be requeued in the middle, short enough to be finished afterwards.
sed -e 's/100s/24s/; s/60s/15s/; s/"long"/"requeue"/' long.toml >requeue.toml

status_is() { [ "$(h5_text "$1" /status 2>/dev/null)" = "$2" ]; }
launches() {
  local python
  python=$(python_with h5py) && HDF5_USE_FILE_LOCKING=FALSE "$python" -c \
    'import h5py, sys; print(len(h5py.File(sys.argv[1], "r")["/system/launches"]))' "$1"
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
  DLSCALE_LAUNCHER=$launcher timeout 30 sbatch --parsable -t 10 -n 2 "${options[@]}" "$batch" "$@"
}
# explain ID: the end of the job's output on one line, for a failure's reason.
explain() { tail -n 4 "slurm-$1.out" 2>/dev/null | tr '\n' '|'; }
# expect NAME ID STATE EXITCODES FILE STATUS: how the job ended and what its file says.
expect() {
  local name=$1 id=$2 state=$3 codes=$4 file=$5 status=$6 seen
  if ! wait_until 90 job_over "$id"; then
    failed "$name" "job still $(job_field "$id" JobState) after 90 s: $(explain "$id")"
    timeout 10 scancel "$id"
    wait_until 20 job_over "$id"
    return
  fi
  seen="$(job_field "$id" JobState) $(job_field "$id" ExitCode)"
  if [ "${seen% *}" != "$state" ] || [[ " $codes " != *" ${seen#* } "* ]]; then
    failed "$name" "ended $seen, expected $state with one of $codes: $(explain "$id")"
  elif [ -n "$file" ] && ! status_is "$file" "$status"; then
    failed "$name" "$file says '$(h5_text "$file" /status 2>&1 | tail -n 1)', expected $status: $(explain "$id")"
  else
    ok "$name"
  fi
}

# --- both launchers, file named after the job, exit code 0 ----------------------------------------------------------
for launcher in srun mpirun; do
  id=$(submit "$launcher" -- short.toml)
  expect "cluster/$launcher completes" "$id" COMPLETED 0:0 "run-$id.h5" completed
done
# The program is found from the script's own place although Slurm runs a copy.
if [ "$DLSCALE" = "$own_program" ]; then
  id=$(DLSCALE="" submit srun -- short.toml --plan)
  expect "cluster/program found beside the script" "$id" COMPLETED 0:0 "" ""
else
  skipped "cluster/program found beside the script" "testing $DLSCALE, not $own_program"
fi
id=$(submit srun -c 1 -- "no such job.toml")
expect "cluster/exit code 2 is passed on" "$id" FAILED 2:0 "" ""

# --- cancelled by a user: Slurm sends SIGTERM to the ranks. Open MPI's mpirun makes that exit code 1.
for launcher in srun mpirun; do
  id=$(submit "$launcher" -- long.toml)
  wait_until 40 status_is "run-$id.h5" running || failed "cluster/$launcher cancelled" "never ran: $(explain "$id")"
  timeout 10 scancel "$id"
  expect "cluster/$launcher cancelled" "$id" CANCELLED "143:0 1:0 0:15" "run-$id.h5" interrupted
done

# --- the time limit is near: --signal=B:USR1 reaches the batch shell only; the file must be closed all the same.
for launcher in srun mpirun; do
  id=$(submit "$launcher" -- long.toml -o "near the limit $launcher.h5")
  wait_until 40 status_is "near the limit $launcher.h5" running || failed "cluster/$launcher USR1" "never ran: $(explain "$id")"
  timeout 10 scancel --batch --signal=USR1 "$id"
  expect "cluster/$launcher USR1" "$id" FAILED 138:0 "near the limit $launcher.h5" interrupted
done

# --- requeued in the middle: goes on with its own file and completes it in a second launch.
id=$(submit srun -- requeue.toml)
wait_until 40 status_is "run-$id.h5" running || failed "cluster/requeue" "never ran: $(explain "$id")"
job_pending() { [ "$(job_field "$id" JobState)" = PENDING ]; }
timeout 10 scontrol requeue "$id"
wait_until 30 job_pending
timeout 10 scontrol update "jobid=$id" starttime=now  # Slurm itself waits two minutes
expect "cluster/requeue" "$id" COMPLETED 0:0 "run-$id.h5" completed
check "cluster/requeue has two launches" "launches: $(launches "run-$id.h5" 2>&1 | tail -n 1)" \
  test "$(launches "run-$id.h5" 2>/dev/null)" = 2

finish
