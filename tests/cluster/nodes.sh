#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# slurm/dlscale.sbatch on four nodes: both launchers, a sweep over 1, 2 and 4 nodes, a job that is preempted and goes on.
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=slurm.sh
. "$DLSCALE_ROOT/tests/cluster/slurm.sh"
# shellcheck source=jobs.sh
. "$DLSCALE_ROOT/tests/cluster/jobs.sh"

if [ ! -x "$DLSCALE" ]; then
  failed cluster/nodes "no program at $DLSCALE; build it first"
  exit 1
fi
cluster_enter "$0" "$@" || {
  skipped cluster/nodes "$CLUSTER_WHY"
  exit 0
}
test_cluster cluster/nodes 4 2

cat >together.toml <<'JOB'
[run]
name = "together"
time_budget = "5s"
threads = 1
[[case]]
workload = "collective"
bytes = 65536
[[case]]
workload = "pairwise"
ranks = "nodes"
placement = "spread"
bytes = 65536
rounds = 3
JOB
job_file requeue 24s 12s

# --- four hosts, over TCP between them --------------------------------------------------------------------------
declare -A jobs
for launcher in srun mpirun; do jobs[$launcher]=$(submit "$launcher" -N 4 --ntasks-per-node=1 -- together.toml); done
for launcher in srun mpirun; do
  id=${jobs[$launcher]}
  expect "cluster/$launcher on 4 nodes" "$id" COMPLETED 0:0 "run-$id.h5" completed
  seen=$(hosts "run-$id.h5" 2>&1 | tail -n 1)
  check "cluster/$launcher on 4 nodes has four hosts" "hosts: $seen" test "$seen" = "n1 n2 n3 n4"
done
# Two ranks on each: the pairs of nodes leave one rank of each parked.
id=$(submit srun -N 4 --ntasks-per-node=2 -- together.toml)
expect "cluster/8 ranks on 4 nodes" "$id" COMPLETED 0:0 "run-$id.h5" completed
seen=$(hosts "run-$id.h5" 2>&1 | tail -n 1)
check "cluster/8 ranks on 4 nodes has four hosts" "hosts: $seen" test "$seen" = "n1 n1 n2 n2 n3 n3 n4 n4"

# --- 1, 2, 4 nodes: separate jobs, one after the other, and one plot of all ------------------------------------------
previous=() ids=()
for nodes in 1 2 4; do
  id=$(submit srun -N "$nodes" --ntasks-per-node=1 "${previous[@]}" -- --case "gemm m=256 n=256 k=256" --case "pdgemm m=256 n=256 k=256" --set run.time_budget=3s)
  ids+=("$id")
  previous=(-d "afterok:$id")
done
for nodes in 1 2 4; do
  id=${ids[0]} ids=("${ids[@]:1}")
  expect "cluster/sweep, $nodes nodes" "$id" COMPLETED 0:0 "run-$id.h5" completed
  seen=$(hosts "run-$id.h5" 2>&1 | tail -n 1)
  check "cluster/sweep, $nodes nodes has its hosts" "hosts: $seen" test "$(wc -w <<<"$seen")" = "$nodes"
done

# --- preempted: a job of a partition with a higher tier takes the nodes; the first is requeued, goes on, completes.
id=$(submit srun -N 4 --ntasks-per-node=2 -- requeue.toml)
expect_running "cluster/preempted" "$id" "run-$id.h5"
kept_one() { [ "$(kept_blocks "$1" swmr 2>/dev/null || echo 0)" -ge 1 ]; }
wait_until 60 kept_one "run-$id.h5" || failed "cluster/preempted" "no block was finished: $(explain "$id")"
urgent=$(timeout 30 sbatch --parsable -p urgent -N 4 --exclusive -t 1 --wrap "srun sleep 2")
expect "cluster/the urgent job runs" "$urgent" COMPLETED 0:0
check "cluster/preempted, its file is closed" "status $(h5_text "run-$id.h5" /status 2>&1 | tail -n 1)" \
  status_is "run-$id.h5" interrupted
before=$(kept_blocks "run-$id.h5" 2>&1 | tail -n 1)
timeout 10 scontrol update "jobid=$id" starttime=now  # Slurm itself waits two minutes
expect "cluster/preempted and requeued" "$id" COMPLETED 0:0 "run-$id.h5" completed
seen="$(launches "run-$id.h5" 2>/dev/null) launches, $(kept_blocks "run-$id.h5" 2>/dev/null) blocks"
check "cluster/preempted goes on in a second launch" "$seen after $before" \
  test "$(launches "run-$id.h5" 2>/dev/null)" = 2
check "cluster/preempted keeps its blocks" "$seen, $before before" \
  test "$(kept_blocks "run-$id.h5" 2>/dev/null || echo 0)" -ge "$before"

finish
