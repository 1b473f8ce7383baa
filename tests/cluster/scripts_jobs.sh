# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Sourced by scripts.sh: its part that runs dlscale on the four nodes.
# shellcheck disable=SC2154  # scripts: scripts.sh

cat >light.toml <<'JOB'
[run]
name = "light"
time_budget = "2s"
threads = 1
[[case]]
workload = "noop"
JOB
# Long enough to be interrupted, and idle: the nodes share this machine's cores.
sed -e 's/"2s"/"7s"/' -e '$a delay = 0.02\n[sampling]\nmin_time = "4s"' light.toml >middle.toml

# column_of FOLDER NUMBER: of steps.tsv, without its header, on one line.
column_of() { tail -n +2 "$1/steps.tsv" | cut -f "$2" | tr '\n' ' '; }
# environment_of FILE EXPRESSION: over `e`, the environment of the first launch, and `started`, its beginning (s, UTC).
environment_of() {
  local python
  python=$(python_with h5py) && HDF5_USE_FILE_LOCKING=FALSE "$python" - "$1" "$2" <<'PYTHON'
import datetime, json, sys
import h5py
with h5py.File(sys.argv[1], "r") as file:
    e = json.loads(file["/system/environment"][0])
    text = file.attrs["started"]
    text = text.decode() if isinstance(text, bytes) else text
    started = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    print(eval(sys.argv[2]))
PYTHON
}
# every_host FOLDER: the hosts of each of its files, "n1;n1 n2;".
every_host() {
  local python
  python=$(python_with h5py) && "$python" -c 'import h5py, sys
for name in sys.argv[1:]:
    with h5py.File(name, "r") as file:
        print(" ".join(h.decode() for h in file["/system/ranks"]["host"][-1]), end=";")' "$1"/nodes-*.h5
}

# --- a sweep in one allocation -------------------------------------------------------------------------------------
id=$(timeout 30 sbatch --parsable -t 10 -N 4 --ntasks-per-node=1 "$scripts/sweep.sbatch" light.toml --quiet)
expect "scripts/sweep in one allocation" "$id" COMPLETED 0:0 "sweep-$id/nodes-0004.h5" completed
seen="$(column_of "sweep-$id" 1): $(column_of "sweep-$id" 4)"
check "scripts/its steps" "nodes and codes $seen" test "$seen" = "1 2 4 : 0 0 0 "
seen=$(every_host "sweep-$id")
check "scripts/its nodes" "$seen" test "$seen" = "n1;n1 n2;n1 n2 n3 n4;"

# With mpirun, and a site's settings instead of the test's own.
id=$(env -u OMPI_MCA_btl_tcp_if_include -u OMPI_MCA_oob_tcp_if_include DLSCALE_LAUNCHER=mpirun DLSCALE_SYSTEM=ethernet DLSCALE_NODES=3 \
  timeout 30 sbatch --parsable -t 10 -N 4 --ntasks-per-node=1 "$scripts/sweep.sbatch" light.toml --quiet)
expect "scripts/sweep with mpirun, DLSCALE_SYSTEM=ethernet" "$id" COMPLETED 0:0 "sweep-$id/nodes-0003.h5" completed
seen=$(every_host "sweep-$id")
check "scripts/its nodes with mpirun" "$seen" test "$seen" = "n1 n2 n3;"

# What is refused on one node is refused on all: it isn't tried three times.
id=$(timeout 30 sbatch --parsable -t 10 -N 4 --ntasks-per-node=1 "$scripts/sweep.sbatch" "no such job.toml")
expect "scripts/sweep of a job that is none" "$id" FAILED 2:0
check "scripts/it ends after one step" "codes $(column_of "sweep-$id" 4)" test "$(column_of "sweep-$id" 4)" = "2 "

# Requeued in the second step: the first is not run again, the second is resumed.
id=$(DLSCALE_NODES="1 2" timeout 30 sbatch --parsable -t 10 -N 2 --ntasks-per-node=1 "$scripts/sweep.sbatch" middle.toml --quiet)
expect_running "scripts/sweep requeued" "$id" "sweep-$id/nodes-0002.h5"
timeout 10 scontrol requeue "$id"
wait_until 30 job_pending "$id"
sleep 3  # as long as the first start may still be ending on its node, Slurm fails the second
timeout 10 scontrol update "jobid=$id" starttime=now  # Slurm itself waits two minutes
expect "scripts/sweep requeued" "$id" COMPLETED 0:0 "sweep-$id/nodes-0002.h5" completed
seen="$(column_of "sweep-$id" 1): $(column_of "sweep-$id" 4): $(launches "sweep-$id/nodes-0002.h5")"
check "scripts/sweep goes on where it was" "nodes, codes, launches $seen" test "$seen" = "1 2 2 : 0 143 0 : 2"

# --- a sweep of jobs that wait for each other; the second fails, the third runs all the same -------------------------
mkdir held
echo "not a run file" >held/nodes-0002.h5
said=$(DLSCALE_SWEEP_DIR=held timeout 90 bash "$scripts/sweep.sh" -N 4 --wait --ntasks-per-node=1 -t 5 -- light.toml --quiet 2>&1)
code=$?
codes=$(sed -n 's/.* node.*: exit code //p' <<<"$said" | tr '\n' ' ')
check "scripts/sweep of dependent jobs, one failing" "exit $code, codes $codes: ${said//$'\n'/|}" test "$code:$codes" = "5:0 5 0 "
check "scripts/the last of them ran" "$(tail -n 2 held/nodes-0004.out | tr '\n' '|')" status_is held/nodes-0004.h5 completed
in_order() {
  local job end=0 start jobs=0 time
  while read -r job; do
    time=$(job_field "$job" StartTime)  # of "" date would make today's midnight
    start=$(date -d "${time:-none}" +%s) && [ "$start" -ge "$end" ] || return 1
    time=$(job_field "$job" EndTime)
    end=$(date -d "${time:-none}" +%s) || return 1
    jobs=$((jobs + 1))
  done < <(tail -n +2 held/jobs.tsv | cut -f 2)
  [ "$jobs" -eq 3 ]
}
check "scripts/no two of them at the same time" "$(cut -f 2 held/jobs.tsv | tr '\n' ' ')" in_order
refuses "holds a sweep already" env DLSCALE_SWEEP_DIR=held bash "$scripts/sweep.sh" -N 4 -t 5 -- light.toml
all_refused "scripts/a sweep's folder is used once"

# --- the program on the nodes' own storage -----------------------------------------------------------------------
# One library lies outside the system's folders, as on a cluster with modules; job files are still found by name.
mkdir -p "$CLUSTER_FOLDER/lib"
cp -L "$(ldd "$DLSCALE" | awk '/libhwloc/ { print $3 }')" "$CLUSTER_FOLDER/lib/"
id=$(DLSCALE_BROADCAST=1 LD_LIBRARY_PATH=$CLUSTER_FOLDER/lib DLSCALE_LAUNCHER=mpirun timeout 30 sbatch --parsable -t 5 \
  -N 3 --ntasks-per-node=1 "$batch" node-check --quiet --only fma* --set run.time_budget=3s --set sampling.blocks=2)
expect "scripts/program copied to the nodes" "$id" COMPLETED 0:0 "run-$id.h5" completed
loaded=$(environment_of "run-$id.h5" 'sorted(l["path"] for l in e["libraries"] if l["path"].startswith("/tmp/"))')
check "scripts/library loaded from there" "$loaded" grep -q "_libs/libhwloc.so.15'" <<<"$loaded"
check "scripts/command found there" "$(grep -o 'mpirun .*/bin/dlscale' "slurm-$id.out")" grep -q "mpirun -np 3 /tmp/dlscale-$id-0/bin/dlscale" "slurm-$id.out"
left=$(for node in 1 2 3; do cluster_on "$node" sh -c 'ls -d /tmp/dlscale-* 2>/dev/null; hostname'; done | tr '\n' ' ')
check "scripts/nothing is left on the nodes" "$left" test "$left" = "n1 n2 n3 "

# --- behind a wrapper, as a container is; the time of the launch is handed over -----------------------------------
id=$(DLSCALE_WRAPPER="env DLSCALE_WRAPPED=yes" timeout 30 sbatch --parsable -t 5 -N 2 --ntasks-per-node=1 "$batch" light.toml --quiet)
expect "scripts/program behind a wrapper" "$id" COMPLETED 0:0 "run-$id.h5" completed
given=$(environment_of "run-$id.h5" 'e["variables"].get("DLSCALE_WRAPPED"), -1 < started - int(e["variables"]["DLSCALE_LAUNCH_NS"]) / 1e9 < 60')
check "scripts/wrapper and launch time reach the program" "$given" test "$given" = "('yes', True)"

# --- the node check ------------------------------------------------------------------------------------------------
# Who is slow is judged elsewhere; here it is a program that says what it was given and ends as it is told.
cat >judge <<'JUDGE'
#!/bin/sh
[ "$1" = --help ] && exit 0
echo "judge was given $# files, the last $(basename "$(eval echo "\$$#")")"
exit "$JUDGED"
JUDGE
chmod +x judge
export DLSCALE_HISTORY="$PWD/his tory" DLSCALE_SLOW=$PWD/judge
light=(--quiet --only 'pairwise*' --set run.time_budget=3s --set sampling.blocks=2 --set pairwise.rounds=3 --set pairwise.bytes=4096)
# node_check JUDGED OPTIONS…: sets code and said.
node_check() {
  said=$(JUDGED=$1 timeout 80 bash "$scripts/node-check.sh" -t 5 "${@:2}" 2>&1)
  code=$?
}
node_check 0 --quiet -- "${light[@]}"
check "scripts/node check, all well" "exit $code, said: ${said//$'\n'/|}" test "$code:$said" = "0:"
file=$(compgen -G "his tory/node-check-*.h5" | head -n 1)
seen=$(hosts "$file" 2>&1 | tail -n 1)
check "scripts/it checked all nodes" "$seen" test "$seen" = "n1 n2 n3 n4"

timeout 10 scontrol update nodename=n3 state=drain reason=test
node_check 3 --group 2 -- "${light[@]}"
timeout 10 scontrol update nodename=n3 state=resume
check "scripts/node check, a slow node" "exit $code, said: ${said//$'\n'/|}" test "$code" = 3
check "scripts/it judges with the history" "${said//$'\n'/|}" grep -q "judge was given 3 files" <<<"$said"
check "scripts/it names who was left out" "${said//$'\n'/|}" grep -q "3 nodes of test, 1 left out: n3 (drain" <<<"$said"

node_check 0 --quiet --nodelist n1 -- --nonsense
check "scripts/node check, a failed job" "exit $code, said: ${said//$'\n'/|}" test "$code" = 2
check "scripts/it shows why" "${said//$'\n'/|}" grep -q "unknown option '--nonsense'" <<<"$said"
DLSCALE=/nowhere node_check 0 --nodelist n1 --quiet
check "scripts/node check without a program" "exit $code, said: ${said//$'\n'/|}" test "$code:$(grep -c 'DLSCALE=/nowhere is no program' <<<"$said")" = 2:1
DLSCALE_SLOW=/nowhere node_check 0 --nodelist n1 --idle --quiet -- "${light[@]}"
check "scripts/node check, not judged" "exit $code, said: ${said//$'\n'/|}" \
  test "$code:$(grep -c 'not judged: DLSCALE_SLOW=/nowhere is no program' <<<"$said")" = 7:1
node_check 0 --dry-run --gpus 2 --partition=urgent
check "scripts/node check of GPUs" "$said" grep -q -- "--partition=urgent .*--gpus-per-node=2 --ntasks-per-node=2 .*--nodes=4 .*--device cuda" <<<"$said"
# By itself, without the script that waits: judged in the job.
id=$(JUDGED=3 timeout 30 sbatch --parsable -N 2 "$scripts/node-check.sbatch" "${light[@]}")
expect "scripts/node check as a job" "$id" FAILED 3:0
