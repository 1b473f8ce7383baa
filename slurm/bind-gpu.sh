#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# One GPU for each rank of a node, by local rank, and the cores beside that GPU; then the program.
set -uo pipefail

script_name=bind-gpu.sh
usage() {
  cat <<'TEXT'
usage: srun --cpu-bind=none … slurm/bind-gpu.sh PROGRAM [arguments…]      (DLSCALE_GPU_BIND=rank does it)

Local rank i gets the GPU number i of those that the job has on the node (CUDA_VISIBLE_DEVICES), and its share of the cores
of the NUMA domain that the GPU is attached to (nvidia-smi, /sys). Where the system doesn't tell, cores stay as they are.
TEXT
}
case ${1:-} in -h | --help) usage && exit 0 ;; esac
sysfs=${DLSCALE_SYSFS:-/sys}

# Inside mpirun Slurm's variable is that of mpirun's daemon, so Open MPI's come first.
rank=${OMPI_COMM_WORLD_LOCAL_RANK:-${MPI_LOCALRANKID:-${SLURM_LOCALID:-}}}
ranks=${OMPI_COMM_WORLD_LOCAL_SIZE:-${MPI_LOCALNRANKS:-}}
if [ -z "$ranks" ] && [ -n "${SLURM_STEP_TASKS_PER_NODE:-}" ] && [ -n "${SLURM_NODEID:-}" ]; then
  # "4(x3),2": of the step's nodes, in order
  ranks=$(awk -v node="$SLURM_NODEID" 'BEGIN { RS = "," } { split($1, a, /[(x)]+/); n = a[2] ? a[2] : 1
    if (node < at + n && !found) { print a[1]; found = 1 }; at += n }' <<<"$SLURM_STEP_TASKS_PER_NODE")
fi
if [ $# -eq 0 ]; then
  echo "$script_name: no program given; see --help" >&2
  exit 2
fi
if [ -z "$rank" ]; then
  echo "$script_name: no local rank is set (it was not started by srun or mpirun); see --help" >&2
  exit 2
fi

# list: index, UUID and PCI address of every GPU of the node, in the order of the driver
list=$(nvidia-smi --query-gpu=index,uuid,pci.bus_id --format=csv,noheader 2>/dev/null | tr -d ' ')
if [ -n "${CUDA_VISIBLE_DEVICES:-}" ]; then
  IFS=, read -r -a devices <<<"$CUDA_VISIBLE_DEVICES"
else
  mapfile -t devices < <(cut -d , -f 1 <<<"$list")
fi
# Without a GPU the program says so itself.
[ -n "${devices[0]:-}" ] || exec "$@"

# near DEVICE: CPUs of its NUMA domain, as /sys lists them; nothing where that is unknown.
near() {
  local address node
  address=$(awk -F , -v d="$1" '$1 == d || index($2, d) == 1 { print tolower($3); exit }' <<<"$list")
  # nvidia-smi writes eight digits of the PCI domain, /sys four.
  node=$(cat "$sysfs/bus/pci/devices/${address#0000}/numa_node" 2>/dev/null) || return 0
  [ "$node" -ge 0 ] && cat "$sysfs/devices/system/node/node$node/cpulist" 2>/dev/null
}
# expand LIST: 0-2,8 → 0 1 2 8, one a line.
expand() { tr ',' '\n' <<<"$1" | awk -F - 'NF { for (i = $1; i <= (NF > 1 ? $2 : $1); i++) print i }'; }
core_of() { expand "$(cat "$sysfs/devices/system/cpu/cpu$1/topology/thread_siblings_list" 2>/dev/null || echo "$1")" | head -n 1; }

device=${devices[rank % ${#devices[@]}]}
export CUDA_VISIBLE_DEVICES=$device
cpus=$(near "$device")
[ -n "$cpus" ] || exec "$@"
# Ranks whose GPUs are in the same domain share its cores: whole cores, with all their threads.
mates=0 place=0
for ((i = 0; i < ${ranks:-${#devices[@]}}; i++)); do
  if [ "$i" -ne "$rank" ] && [ "$(near "${devices[i % ${#devices[@]}]}")" != "$cpus" ]; then continue; fi
  if [ "$i" -eq "$rank" ]; then place=$mates; fi
  mates=$((mates + 1))
done
allowed=$(awk '/^Cpus_allowed_list:/ { print $2 }' /proc/self/status)
mapfile -t here < <(grep -xFf <(expand "$allowed") <(expand "$cpus"))
mapfile -t cores < <(for cpu in "${here[@]}"; do core_of "$cpu"; done | sort -nu)
first=$((place * ${#cores[@]} / mates)) last=$(((place + 1) * ${#cores[@]} / mates))
mine=()
for cpu in "${here[@]}"; do
  core=$(core_of "$cpu")
  for own in "${cores[@]:first:last-first}"; do
    if [ "$own" = "$core" ]; then mine+=("$cpu"); fi
  done
done
if [ ${#mine[@]} -eq 0 ]; then
  echo "$script_name: local rank $rank finds no core of its own beside GPU $device (allowed $allowed, beside it $cpus); its cores stay as they are" >&2
  exec "$@"
fi
exec taskset --cpu-list "$(IFS=, && echo "${mine[*]}")" "$@"
