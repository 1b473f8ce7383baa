#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# slurm/dlscale.sbatch under a real Slurm, on one node: both launchers, exit codes, cancel, time limit, requeue.
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=slurm.sh
. "$DLSCALE_ROOT/tests/cluster/slurm.sh"
# shellcheck source=jobs.sh
. "$DLSCALE_ROOT/tests/cluster/jobs.sh"

own_program=$DLSCALE_ROOT/build/dlscale

if [ ! -x "$DLSCALE" ]; then
  failed cluster "no program at $DLSCALE; build it first"
  exit 1
fi

cluster_enter "$0" "$@" || {
  skipped cluster "$CLUSTER_WHY"
  exit 0
}
# --- without a cluster -------------------------------------------------------------------------------------------
message=$(env -u SLURM_JOB_ID bash "$batch" quick 2>&1)
code=$?
check "cluster/outside a job" "exit $code, said: $message" test "$code:${message##*; }" = "2:submit it: sbatch slurm/dlscale.sbatch JOB"

cpus=$(nproc)
test_cluster cluster 1 "$((cpus > 2 ? cpus : 2))"

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
job_file long 100s 60s    # holds one case long enough to be interrupted with certainty
job_file requeue 24s 15s  # long enough to be requeued in the middle, short enough to be finished afterwards

# --- both launchers, file named after the job, exit code 0 ----------------------------------------------------------
for launcher in srun mpirun; do
  id=$(submit "$launcher" -n 2 -- short.toml)
  expect "cluster/$launcher completes" "$id" COMPLETED 0:0 "run-$id.h5" completed
done
# The program is found from the script's own place although Slurm runs a copy.
if [ "$DLSCALE" = "$own_program" ]; then
  id=$(DLSCALE="" submit srun -n 2 -- short.toml --plan)
  expect "cluster/program found beside the script" "$id" COMPLETED 0:0
else
  skipped "cluster/program found beside the script" "testing $DLSCALE, not $own_program"
fi
id=$(submit srun -n 2 -c 1 -- "no such job.toml")
expect "cluster/exit code 2 is passed on" "$id" FAILED 2:0

# --- cancelled by a user: Slurm sends SIGTERM to the ranks. Open MPI's mpirun makes that exit code 1.
for launcher in srun mpirun; do
  id=$(submit "$launcher" -n 2 -- long.toml)
  expect_running "cluster/$launcher cancelled" "$id" "run-$id.h5"
  timeout 10 scancel "$id"
  expect "cluster/$launcher cancelled" "$id" CANCELLED "143:0 1:0 0:15" "run-$id.h5" interrupted
done

# --- the time limit is near: --signal=B:USR1 reaches the batch shell only; the file must be closed all the same.
for launcher in srun mpirun; do
  id=$(submit "$launcher" -n 2 -- long.toml -o "near the limit $launcher.h5")
  expect_running "cluster/$launcher USR1" "$id" "near the limit $launcher.h5"
  timeout 10 scancel --batch --signal=USR1 "$id"
  expect "cluster/$launcher USR1" "$id" FAILED 138:0 "near the limit $launcher.h5" interrupted
done

# --- requeued in the middle: goes on with its own file and completes it in a second launch.
id=$(submit srun -n 2 -- requeue.toml)
expect_running "cluster/requeue" "$id" "run-$id.h5"
timeout 10 scontrol requeue "$id"
wait_until 30 job_pending "$id"
timeout 10 scontrol update "jobid=$id" starttime=now  # Slurm itself waits two minutes
expect "cluster/requeue" "$id" COMPLETED 0:0 "run-$id.h5" completed
check "cluster/requeue has two launches" "launches: $(launches "run-$id.h5" 2>&1 | tail -n 1)" \
  test "$(launches "run-$id.h5" 2>/dev/null)" = 2

finish
