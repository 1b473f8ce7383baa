#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The scripts of slurm/ beside dlscale.sbatch, on four nodes with GPUs that are none: sweeps, the node check, binding, the
# program on node-local storage, site settings, bad input.
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=slurm.sh
. "$DLSCALE_ROOT/tests/cluster/slurm.sh"
# shellcheck source=jobs.sh
. "$DLSCALE_ROOT/tests/cluster/jobs.sh"

if [ ! -x "$DLSCALE" ]; then
  failed scripts "no program at $DLSCALE; build it first"
  exit 1
fi
cluster_enter "$0" "$@" || {
  skipped scripts "$CLUSTER_WHY"
  exit 0
}
scripts=$DLSCALE_ROOT/slurm
export script_name=test slurm_folder=$scripts  # what slurm/common.sh asks for, where it is sourced here

export CLUSTER_GPUS=yes
test_cluster scripts 4 2
export DLSCALE_LAUNCHER=srun

# --- words that are wrong: one sentence, exit code 2 -------------------------------------------------------------
# refuses WORDS COMMAND…: ends with 2 and says one line with these words.
refuses() {
  local words=$1 said code
  shift
  said=$("$@" 2>&1 </dev/null)
  code=$?
  if [ "$code" -ne 2 ] || [ "$(wc -l <<<"$said")" -ne 1 ] || [[ $said != *"$words"* ]]; then
    wrong+=("exit $code of ${*: -3}: ${said//$'\n'/|}")
  fi
}
all_refused() {  # NAME
  check "$1" "${wrong[*]:-}" test ${#wrong[@]} -eq 0
  wrong=()
}
wrong=()
for script in dlscale.sbatch sweep.sbatch gpu.sbatch node-check.sbatch; do
  refuses "submit it: sbatch slurm/$script" env -u SLURM_JOB_ID bash "$scripts/$script" JOB
done
in_job=(env SLURM_JOB_ID=1 SLURM_JOB_NUM_NODES=4)
refuses "no job given" "${in_job[@]}" bash "$scripts/dlscale.sbatch"
refuses "no job given" "${in_job[@]}" bash "$scripts/sweep.sbatch"
refuses "no job given" "${in_job[@]}" bash "$scripts/gpu.sbatch"
refuses "has no GPUs" "${in_job[@]}" bash "$scripts/gpu.sbatch" JOB
for script in dlscale.sbatch sweep.sbatch node-check.sbatch; do
  refuses "valid: apptainer, ethernet, infiniband" "${in_job[@]}" DLSCALE_SYSTEM=nowhere bash "$scripts/$script" --quiet
done
refuses "DLSCALE_SYSTEM=../x is unknown" "${in_job[@]}" DLSCALE_SYSTEM=../x bash "$scripts/dlscale.sbatch" JOB
refuses "cannot source DLSCALE_SETUP" "${in_job[@]}" DLSCALE_SETUP=/dev/null/x bash -c "bash '$scripts/dlscale.sbatch' JOB 2>&1 | tail -n 1; exit 2"
refuses "is no program" "${in_job[@]}" DLSCALE=/nowhere bash "$scripts/dlscale.sbatch" JOB
refuses "but not DLSCALE" "${in_job[@]}" DLSCALE= DLSCALE_WRAPPER=env bash "$scripts/dlscale.sbatch" JOB
refuses "valid: srun, mpirun" "${in_job[@]}" DLSCALE_LAUNCHER=rsh bash "$scripts/dlscale.sbatch" JOB
refuses "valid: rank, closest, slurm" "${in_job[@]}" DLSCALE_GPU_BIND=best bash "$scripts/dlscale.sbatch" JOB
refuses "neither 0 nor 1" "${in_job[@]}" DLSCALE_BROADCAST=yes bash "$scripts/dlscale.sbatch" JOB
refuses "can't be used in a sweep" "${in_job[@]}" bash "$scripts/sweep.sbatch" JOB -o x.h5
refuses "'5' is no number of nodes from 1 to the job's 4" "${in_job[@]}" DLSCALE_NODES="1 5" bash "$scripts/sweep.sbatch" JOB
refuses "6 tasks don't divide by 4 nodes" "${in_job[@]}" SLURM_NTASKS=6 bash "$scripts/sweep.sbatch" JOB
refuses "can't be used in a check" "${in_job[@]}" bash "$scripts/node-check.sbatch" --output=x.h5
all_refused "scripts/batch scripts refuse"

sweep=(bash "$scripts/sweep.sh")
refuses "no -- given" "${sweep[@]}" -N 4 JOB
refuses "no job given" "${sweep[@]}" -N 4 --
refuses "no --nodes given" "${sweep[@]}" -- JOB
refuses "'0' is no number of nodes" "${sweep[@]}" -N 0 -- JOB
refuses "'x' is no number of nodes" "${sweep[@]}" --nodes=1,x -- JOB
refuses "names a number twice" "${sweep[@]}" -N 2,2 -- JOB
refuses "tasks grow with the nodes" "${sweep[@]}" -N 4 -n 8 -- JOB
refuses "can't be used in a sweep" "${sweep[@]}" -N 4 -- JOB --resume x.h5
refuses "Slurm refuses the job on 8 nodes" "${sweep[@]}" -N 8 -- JOB
refuses "Slurm refuses the job on 4 nodes" "${sweep[@]}" -N 4 -p nowhere -- JOB
check_all=(bash "$scripts/node-check.sh")
refuses "Slurm knows no node of 'nowhere'" "${check_all[@]}" -p nowhere
refuses "Slurm knows no node of 'test' among n9" "${check_all[@]}" -w n9
refuses "'0' is no number" "${check_all[@]}" --group 0
refuses "--within soon is no time" "${check_all[@]}" --within soon
refuses "--history needs a value" "${check_all[@]}" --history
refuses "-N can't be used" "${check_all[@]}" -N 3
refuses "can't be used in a check" "${check_all[@]}" -- -o x.h5
refuses "no program given" bash "$scripts/bind-gpu.sh"
refuses "no local rank is set" env -u SLURM_LOCALID bash "$scripts/bind-gpu.sh" true
all_refused "scripts/wrapper scripts refuse"

helped=yes
for script in "$scripts"/*.sbatch "$scripts"/{sweep,node-check,bind-gpu}.sh; do
  bash "$script" --help | grep -q '^usage: ' || helped="not by $script"
done
check "scripts/--help is answered" "$helped" test "$helped" = yes

# What each batch script has to find the files beside it with.
same() { for script in "$scripts"/*.sbatch; do sed -n '/^# Slurm runs a copy/,/common\.sh"$/p' "$script" | md5sum; done | sort | uniq -c | awk '{ print $1 }'; }
check "scripts/batch scripts find their files alike" "sizes of groups: $(same)" test "$(same)" = 4

# The order of docs/metrics.md.
found=$(
  # shellcheck source=../../slurm/common.sh
  . "$scripts/common.sh"
  for pair in "0 0" "0 3" "3 1" "1 4" "4 2" "2 5" "5 6" "6 138" "77 3" "77 2" "138 0"; do
    worst_code "${pair% *}" "${pair#* }"
  done | tr '\n' ' '
)
check "scripts/the worst exit code" "found $found" test "$found" = "0 3 1 4 2 5 6 138 77 2 138 "

# --- a GPU and its cores for each rank: a machine that nvidia-smi and /sys tell of -------------------------------
mkdir -p sys/bus/pci/devices/0000:{17,ca,cb}:00.0 sys/devices/system/node/node{0,1} bin
echo 0 >sys/bus/pci/devices/0000:17:00.0/numa_node
echo 1 | tee sys/bus/pci/devices/0000:{ca,cb}:00.0/numa_node >/dev/null
allowed=$(awk '/^Cpus_allowed_list:/ { gsub(/[,-]/, "\n", $2); print $2 }' /proc/self/status)
first=$(head -n 1 <<<"$allowed") last=$(tail -n 1 <<<"$allowed")
echo "$first" >sys/devices/system/node/node0/cpulist
echo "$last" >sys/devices/system/node/node1/cpulist
printf '#!/bin/sh\necho "0, GPU-aa, 00000000:17:00.0\n1, GPU-bb, 00000000:CA:00.0\n2, GPU-cc, 00000000:CB:00.0"\n' >bin/nvidia-smi
chmod +x bin/nvidia-smi
# bound NAME EXPECTED RANK RANKS [VARIABLE=VALUE…]: a local rank's "GPU:cores", or what was said about it.
bound() {
  local name=$1 expected=$2 rank=$3 ranks=$4 seen
  shift 4
  # shellcheck disable=SC2016  # expanded there
  seen=$(env PATH="$PWD/bin:$PATH" DLSCALE_SYSFS="$PWD/sys" SLURM_LOCALID="$rank" SLURM_NODEID=1 "SLURM_STEP_TASKS_PER_NODE=7,$ranks(x2)" \
    "$@" bash "$scripts/bind-gpu.sh" sh -c 'echo "$CUDA_VISIBLE_DEVICES:$(awk "/^Cpus_allowed_list:/ { print \$2 }" /proc/self/status)"' 2>&1)
  check "scripts/$name" "$seen" grep -qxE "$expected" <<<"$seen"
}
if [ "$first" = "$last" ]; then
  skipped "scripts/binding to GPUs" "two cores are needed, here is one"
else
  bound "GPU and cores of local rank 0" "0:$first" 0 2
  bound "GPU and cores of local rank 1" "1:$last" 1 2
  bound "GPUs of the job alone" "GPU-aa:$first" 1 2 CUDA_VISIBLE_DEVICES=GPU-bb,GPU-aa
  bound "Open MPI's local rank goes first" "1:$last" 0 2 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2
  # Two GPUs in a domain of one core: said, and cores stay.
  bound "too few cores beside a GPU" ".*local rank 1 finds no core of its own beside GPU 1 .*" 1 3
fi

# Which binding: nothing where nobody asks for GPUs or the job has none, a site's setting before the default.
found=$(
  # shellcheck source=../../slurm/common.sh
  . "$scripts/common.sh"
  # shellcheck source=../../slurm/launch.sh
  . "$scripts/launch.sh"
  binding() {  # VARIABLES OPTIONS…
    (
      eval "$1"
      shift
      choose_launcher "$@"
      printf '%s;' "${DLSCALE_GPU_BIND:-}"
    )
  }
  unset DLSCALE_GPU_BIND SLURM_JOB_GPUS SLURM_GPUS_ON_NODE SLURM_STEP_GPUS SLURM_GPUS_PER_TASK
  binding "" JOB --device cuda
  binding "DLSCALE_GPU_BIND=rank" JOB
  binding "SLURM_JOB_GPUS=0" JOB
  binding "SLURM_JOB_GPUS=0" JOB --device cuda
  binding "SLURM_JOB_GPUS=0 SLURM_GPUS_PER_TASK=1 DLSCALE_GPU_JOB=yes" --resume x.h5
  binding "SLURM_JOB_GPUS=0 DLSCALE_GPU_BIND=closest DLSCALE_GPU_JOB=yes" JOB
)
check "scripts/who binds GPUs" "$found" test "$found" = ";;;rank;slurm;closest;"

# A program that says what it was given.
cat >probe <<'PROBE'
#!/bin/sh
echo "$(hostname) gpu=${CUDA_VISIBLE_DEVICES:-none} launch=${DLSCALE_LAUNCH_NS:+set} $*" | sed 's/ -o .*//'
PROBE
chmod +x probe
# probed OPTIONS…: what the ranks of a job with slurm/gpu.sbatch and the words `given` say, sorted.
given=(JOB)
probed() {
  local id
  id=$(DLSCALE=$PWD/probe timeout 30 sbatch --parsable -t 5 "$@" "$scripts/gpu.sbatch" "${given[@]}")
  wait_until 30 job_over "$id"
  grep -E '^n[0-9]|gpu.sbatch: --|dlscale.sbatch: --' "slurm-$id.out" | sort | tr '\n' ';'
}
each="n1 gpu=0 launch=set JOB --device cuda;n1 gpu=1 launch=set JOB --device cuda;n2 gpu=0 launch=set JOB --device cuda;n2 gpu=1 launch=set JOB --device cuda;"
for launcher in srun mpirun; do
  seen=$(DLSCALE_LAUNCHER=$launcher probed -N 2 --gpus-per-node=2 --ntasks-per-node=2)
  check "scripts/a GPU for each rank, $launcher" "$seen" test "$seen" = "$each"
done
seen=$(probed -N 2 --gpus-per-task=1 --ntasks-per-node=2)
check "scripts/--gpus-per-task, srun" "$seen" test "$seen" = "$each"
seen=$(DLSCALE_LAUNCHER=mpirun probed -N 2 --gpus-per-task=1 --ntasks-per-node=2)
check "scripts/--gpus-per-task, mpirun" "$seen" test "${seen%%(*}" = "dlscale.sbatch: --gpus-per-task can't be used with mpirun "
given=(--resume x.h5)
seen=$(probed -N 1 --gpus-per-node=2 --ntasks-per-node=2)
check "scripts/a file to go on with has its device" "$seen" \
  test "$seen" = "n1 gpu=0 launch=set --resume x.h5;n1 gpu=1 launch=set --resume x.h5;"

# shellcheck source=scripts_jobs.sh
. "$DLSCALE_ROOT/tests/cluster/scripts_jobs.sh"
finish
