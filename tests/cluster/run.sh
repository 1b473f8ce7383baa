#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# slurm/dlscale.sbatch under a real Slurm, each job on one node: both launchers, exit codes, cancel, time limit, requeue.
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

test_cluster cluster 5 2

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
with_srun=$(submit srun -N 1 -n 2 -- short.toml)
with_mpirun=$(submit mpirun -N 1 -n 2 -- short.toml)
refused=$(submit srun -N 1 -n 2 -c 1 -- "no such job.toml")
# The program is found from the script's own place although Slurm runs a copy.
if [ "$DLSCALE" = "$own_program" ]; then
  found=$(DLSCALE="" submit srun -N 1 -n 2 -- short.toml --plan)
  expect "cluster/program found beside the script" "$found" COMPLETED 0:0
else
  skipped "cluster/program found beside the script" "testing $DLSCALE, not $own_program"
fi
expect "cluster/exit code 2 is passed on" "$refused" FAILED 2:0
expect "cluster/srun completes" "$with_srun" COMPLETED 0:0 "run-$with_srun.h5" completed
expect "cluster/mpirun completes" "$with_mpirun" COMPLETED 0:0 "run-$with_mpirun.h5" completed

# --- five jobs at once, each on a node of its own, all of them interrupted while they measure ------------------------
declare -A jobs
for launcher in srun mpirun; do
  jobs[$launcher cancelled]=$(submit "$launcher" -N 1 -n 2 -- long.toml -o "$launcher cancelled.h5")
  jobs[$launcher USR1]=$(submit "$launcher" -N 1 -n 2 -- long.toml -o "near the limit $launcher.h5")
done
requeued=$(submit srun -N 1 -n 2 -- requeue.toml)
# The short one first: requeued in the middle, it goes on with its own file and completes it in a second launch.
expect_running "cluster/requeue" "$requeued" "run-$requeued.h5"
timeout 10 scontrol requeue "$requeued"
for launcher in srun mpirun; do
  expect_running "cluster/$launcher cancelled" "${jobs[$launcher cancelled]}" "$launcher cancelled.h5"
  expect_running "cluster/$launcher USR1" "${jobs[$launcher USR1]}" "near the limit $launcher.h5"
done

# Cancelled by a user: Slurm sends SIGTERM to the ranks. Open MPI's mpirun makes that exit code 1.
for launcher in srun mpirun; do timeout 10 scancel "${jobs[$launcher cancelled]}"; done
# The time limit is near: --signal=B:USR1 reaches the batch shell only; the file must be closed all the same.
for launcher in srun mpirun; do timeout 10 scancel --batch --signal=USR1 "${jobs[$launcher USR1]}"; done
for launcher in srun mpirun; do
  expect "cluster/$launcher cancelled" "${jobs[$launcher cancelled]}" CANCELLED "143:0 1:0 0:15" "$launcher cancelled.h5" interrupted
  expect "cluster/$launcher USR1" "${jobs[$launcher USR1]}" FAILED 138:0 "near the limit $launcher.h5" interrupted
done
wait_until 30 job_pending "$requeued"
timeout 10 scontrol update "jobid=$requeued" starttime=now  # Slurm itself waits two minutes
expect "cluster/requeue" "$requeued" COMPLETED 0:0 "run-$requeued.h5" completed
check "cluster/requeue has two launches" "launches: $(launches "run-$requeued.h5" 2>&1 | tail -n 1)" \
  test "$(launches "run-$requeued.h5" 2>/dev/null)" = 2

finish
