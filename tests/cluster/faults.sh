#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Faults between nodes, all at once, each job on nodes of its own, as each of them mostly waits. What a user meets:
#   stopped rank  srun    rank and host named, file closed (failed); srun kills the rank after --wait, exit code 137.
#                         Without --wait srun waits for the rank until the time limit.
#                 mpirun  the same, exit code 6.
#   cut cable     srun    the host named, file closed (failed), exit code 6 (with --wait).
#                 mpirun  the same, but mpirun waits for its daemon beyond the cut: the job ends when Slurm gives the
#                         node up (SlurmdTimeout) and is requeued.
#   dead node     srun    with run.watchdog above SlurmdTimeout Slurm ends the job, file closed (interrupted); requeued on
#                         another node it goes on and completes. With less the job ends as with a cut cable.
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=slurm.sh
. "$DLSCALE_ROOT/tests/cluster/slurm.sh"
# shellcheck source=jobs.sh
. "$DLSCALE_ROOT/tests/cluster/jobs.sh"

if [ ! -x "$DLSCALE" ]; then
  failed cluster/faults "no program at $DLSCALE; build it first"
  exit 1
fi
cluster_enter "$0" "$@" || {
  skipped cluster/faults "$CLUSTER_WHY"
  exit 0
}
export CLUSTER_NODE_TIMEOUT=45 CLUSTER_PATIENCE=100
test_cluster cluster/faults 11 1

# Many blocks of an all-reduce, so that some are kept and the fault hits the next in its middle.
reduce=(--case "gemm m=64 n=64 k=64" --case "collective bytes=65536 min_time=60 blocks=400" --set run.time_budget=100s)
watched=("${reduce[@]}" --set run.watchdog=15s)
# Slurm gives a silent node up later than that: run.watchdog is longer, and Slurm requeues the job on another node.
patient=(--case "collective bytes=65536 min_time=15 blocks=30" --set run.time_budget=30s --set run.watchdog=300s)

# srun itself waits for ever for a task that doesn't end.
export DLSCALE_LAUNCHER_FLAGS=--wait=5
stop_srun=$(submit srun -w 'n[1-2]' -N 2 --ntasks-per-node=1 -- "${watched[@]}" -o stop_srun.h5)
cut_srun=$(submit srun -w 'n[3-4]' -N 2 --ntasks-per-node=1 -- "${watched[@]}" -o cut_srun.h5)
unset DLSCALE_LAUNCHER_FLAGS
stop_mpirun=$(submit mpirun -w 'n[5-6]' -N 2 --ntasks-per-node=1 -- "${watched[@]}" -o stop_mpirun.h5)
cut_mpirun=$(submit mpirun -w 'n[7-8]' -N 2 --ntasks-per-node=1 -- "${watched[@]}" -o cut_mpirun.h5)

kept_some() { [ "$(kept_blocks "$1" swmr collective 2>/dev/null || echo 0)" -ge 3 ]; }
declare -A before
has_begun() {
  wait_until 60 kept_some "$1.h5" || failed "cluster/$1" "no block was finished: $(explain "${!1}")"
  before[$1]=$(kept_blocks "$1.h5" swmr 2>/dev/null || echo 0)
}
for name in stop_srun stop_mpirun cut_srun cut_mpirun; do has_begun "$name"; done
for node in 2 6; do
  mapfile -t ranks < <(cluster_ranks "$node")
  kill -STOP "${ranks[@]}" || failed cluster/faults "no rank on n$node to stop"
done
cluster_link 4 down
cluster_link 8 down
dies=$(submit srun -x 'n[1-8]' -N 2 --ntasks-per-node=1 -- "${patient[@]}" -o dies.h5)
has_begun dies
cluster_end_node 10

# kept NAME: the file is readable and has what was finished before the fault.
kept() {
  local now
  now=$(kept_blocks "$1.h5" 2>/dev/null || echo 0)
  check "cluster/$1 keeps its blocks" "$now blocks, ${before[$1]} before" test "$now" -ge "${before[$1]}"
}
# names NAME ID NODE: rank 1 on that node is named.
names() {
  check "cluster/$1 names rank and host" "$(grep '^dlscale: ' "slurm-$2.out" | tr '\n' '|')" \
    grep -q "^dlscale: rank 1 (host $3) did not \(arrive at\|finish\) '.*' within [0-9]* s (.*) look at that node" "slurm-$2.out"
}

# srun kills the stopped task in the end, and 137 is higher than 6.
expect cluster/stop_srun "$stop_srun" FAILED 137:0 stop_srun.h5 failed
names stop_srun "$stop_srun" n2
kept stop_srun
expect cluster/stop_mpirun "$stop_mpirun" FAILED 6:0 stop_mpirun.h5 failed
names stop_mpirun "$stop_mpirun" n6
kept stop_mpirun
# Slurm may give the node up before the job has ended by itself, and requeue it: the exit code stands in its output.
requeued() { [ "$(job_field "$1" Restarts)" = 1 ]; }
cut_srun_ended() { { job_over "$cut_srun" || requeued "$cut_srun"; } && grep -q "exit code 6$" "slurm-$cut_srun.out"; }
check cluster/cut_srun "job $(job_field "$cut_srun" JobState): $(explain "$cut_srun")" wait_until 100 cut_srun_ended
if requeued "$cut_srun"; then timeout 10 scancel "$cut_srun"; fi
check "cluster/cut_srun closes its file" "status $(h5_text cut_srun.h5 /status 2>&1 | tail -n 1)" status_is cut_srun.h5 failed
names cut_srun "$cut_srun" n4
kept cut_srun

# mpirun waits for its daemon beyond the cut until Slurm gives the node up; the run has ended and its file is closed.
wait_until 40 status_is cut_mpirun.h5 failed
check "cluster/cut_mpirun closes its file" "status $(h5_text cut_mpirun.h5 /status 2>&1 | tail -n 1): $(explain "$cut_mpirun")" \
  status_is cut_mpirun.h5 failed
names cut_mpirun "$cut_mpirun" n8
kept cut_mpirun
check "cluster/cut_mpirun is ended by Slurm" "job $(job_field "$cut_mpirun" JobState): $(explain "$cut_mpirun")" \
  wait_until 90 requeued "$cut_mpirun"
timeout 10 scancel "$cut_mpirun"

# Slurm requeues the dead node's job; it goes on with its file on the node that is left.
check "cluster/dies is requeued" "job $(job_field "$dies" JobState): $(explain "$dies")" wait_until 90 requeued "$dies"
timeout 10 scontrol update "jobid=$dies" starttime=now  # Slurm itself waits two minutes
expect cluster/dies "$dies" COMPLETED 0:0 dies.h5 completed
kept dies
seen="$(launches dies.h5 2>&1 | tail -n 1) launches, the last on $(hosts dies.h5 2>&1 | tail -n 1)"
check "cluster/dies goes on on another node" "$seen" test "$seen" = "2 launches, the last on n9 n11"

finish
