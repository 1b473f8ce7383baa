#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Does the analysis find the slow node? RUNS times: a job on four healthy nodes, one with one node's link cut to 200 Mbit/s,
# one with one node's rank stopped for 17 of every 20 ms. analysis/dlscale-slow must name that node with the right cause in
# at least 19 of 20 runs, and nobody in a healthy run.
# Usage: slow_nodes.sh [RUNS [FOLDER]]   FOLDER keeps the run files and manifest.csv, to be judged again:
#        slow_nodes.py FOLDER            DLSCALE_SEED (1) chooses the nodes, DLSCALE_SLOW_KINDS ("clean link compute") the runs
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=slurm.sh
. "$DLSCALE_ROOT/tests/cluster/slurm.sh"
# shellcheck source=jobs.sh
. "$DLSCALE_ROOT/tests/cluster/jobs.sh"

here=$DLSCALE_ROOT/tests/cluster
runs=${1:-1}
if [[ ! $runs =~ ^[1-9][0-9]*$ ]]; then
  echo "slow_nodes.sh: '$runs' is no number of runs; usage: slow_nodes.sh [RUNS [FOLDER]]" >&2
  exit 2
fi
if [ ! -x "$DLSCALE" ]; then
  failed cluster/slow_nodes "no program at $DLSCALE; build it first"
  exit 1
fi
kept=${2:+$(mkdir -p "$2" && realpath "$2")}
cluster_enter "$0" "$runs" ${kept:+"$kept"} || {
  skipped cluster/slow_nodes "$CLUSTER_WHY"
  exit 0
}
kept=${kept:-$CLUSTER_FOLDER/runs}
mkdir -p "$kept"
export CLUSTER_PATHS=$kept CLUSTER_PIN=yes CLUSTER_PATIENCE=120
test_cluster cluster/slow_nodes 4 1
if [ -e "$kept/manifest.csv" ]; then
  failed cluster/slow_nodes "$kept has a manifest already; give an empty folder, or judge it: tests/cluster/slow_nodes.py $kept"
  exit 1
fi
echo "run,kind,node,file" >"$kept/manifest.csv"

# faulty_run KIND NODE FILE: one job with its fault, from beginning to end.
slowed() { mapfile -t slowed_ranks < <(cluster_ranks "$1") && [ ${#slowed_ranks[@]} -gt 0 ]; }
faulty_run() {
  local kind=$1 node=$2 file=$3 id cycle=""
  if [ "$kind" = link ]; then cluster_slow_link "$node" 200mbit; fi
  id=$(submit srun -N 4 --ntasks-per-node=1 -- "$here/slow_nodes.toml" -o "$file")
  if [ "$kind" = compute ]; then
    wait_until 30 slowed "$node" || failed "cluster/slow_nodes $file" "no rank on n$node: $(explain "$id")"
    # Before others, or the duty cycle depends on the load.
    nice -n -18 python3 "$here/duty_cycle.py" 17 20 "${slowed_ranks[@]}" &
    cycle=$!
  fi
  expect "cluster/slow_nodes $kind $run runs" "$id" COMPLETED 0:0 "$file" completed
  if [ -n "$cycle" ]; then wait "$cycle"; fi
  if [ "$kind" = link ]; then cluster_slow_link "$node" none; fi
}

RANDOM=${DLSCALE_SEED:-1}
read -r -a kinds <<<"${DLSCALE_SLOW_KINDS:-clean link compute}"
for run in $(seq "$runs"); do
  for kind in "${kinds[@]}"; do
    node=$((RANDOM % 4 + 1)) host=""
    if [ "$kind" != clean ]; then host=n$node; fi
    mkdir -p "$kept/$kind"
    faulty_run "$kind" "$node" "$kept/$kind/$run.h5"
    echo "$run,$kind,$host,$kind/$run.h5" >>"$kept/manifest.csv"
  done
done

python=$(python_with h5py numpy pandas rich jinja2) || {
  skipped cluster/slow_nodes "no Python with h5py, numpy, pandas, rich and jinja2 (set DLSCALE_PYTHON)"
  finish
  exit
}
"$python" "$here/slow_nodes.py" "$kept" || dlscale_failures=$((dlscale_failures + 1))
finish
