# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Shared by the batch scripts, beside common.sh: which launcher and how, the program on node-local storage.
# shellcheck disable=SC2154  # program, slurm_folder: common.sh

# choose_launcher OPTIONS…: sets launcher, launcher_flags, wrapper and DLSCALE_GPU_BIND; dlscale's options say whether it is
# for GPUs. After load_site, whose settings are kept.
choose_launcher() {
  launcher=${DLSCALE_LAUNCHER:-}
  if [ -z "$launcher" ]; then
    if srun --mpi=list 2>&1 | grep -qw "${DLSCALE_SRUN_MPI:-pmix}"; then launcher=srun; else launcher=mpirun; fi
  fi
  case $launcher in
    srun | mpirun) ;;
    *) die "DLSCALE_LAUNCHER=$launcher is unknown; valid: srun, mpirun" ;;
  esac
  # Refused before anything is started.
  case ${DLSCALE_GPU_BIND:-} in
    "" | rank | closest | slurm) ;;
    *) die "DLSCALE_GPU_BIND=$DLSCALE_GPU_BIND is unknown; valid: rank, closest, slurm" ;;
  esac
  case ${DLSCALE_BROADCAST:-0} in
    0 | 1) ;;
    *) die "DLSCALE_BROADCAST=$DLSCALE_BROADCAST is neither 0 nor 1; 1 copies the program to the nodes first" ;;
  esac
  read -r -a launcher_flags <<<"${DLSCALE_LAUNCHER_FLAGS:-}"
  read -r -a wrapper <<<"${DLSCALE_WRAPPER:-}"
  # A site's setting is for jobs that have GPUs. The default is for those that ask for them: gpu.sbatch, --device cuda.
  has_gpus || {
    DLSCALE_GPU_BIND=""
    return 0
  }
  case "${DLSCALE_GPU_JOB:-no} $* " in
    yes* | *" --device cuda "* | *" --device=cuda "*)
      if [ -n "${SLURM_GPUS_PER_TASK:-}" ]; then : "${DLSCALE_GPU_BIND:=slurm}"; else : "${DLSCALE_GPU_BIND:=rank}"; fi
      ;;
  esac
}

# launch_command NODES TASKS: sets command, to be followed by dlscale's arguments; on the first NODES nodes of the job, or
# (both empty) on all of it.
launch_command() {
  local nodes=$1 tasks=$2 threads=${SLURM_CPUS_PER_TASK:-}
  if [ "$launcher" = srun ]; then
    # srun ignores the job's -c since Slurm 22.05: it is passed on here. --wait bounds how long ranks outlive the first that
    # ended: one that crashed before the program's watchdog is awake, or one that is stopped. mpirun does so by itself.
    # Slurm's default fence, a ring, lets ranks out of MPI_Init before all are in it: their first messages crash others (Open
    # MPI jumps to a handler not yet there). 11 of 40 starts of 4 nodes × 2 ranks did (Slurm 22.05, Open MPI 4.1.4), none of
    # 40 with a tree.
    export SLURM_PMIX_FENCE=${SLURM_PMIX_FENCE:-tree}
    command=(srun "--mpi=${DLSCALE_SRUN_MPI:-pmix}" --wait=60 ${threads:+"--cpus-per-task=$threads"}
      ${nodes:+"--nodes=$nodes"} ${tasks:+"--ntasks=$tasks"})
  else
    # Open MPI binds a rank to one core unless told how many (PE), and fills node after node; it forwards USR1 to the
    # ranks by itself.
    command=(mpirun -np "${tasks:-${SLURM_NTASKS:-${SLURM_JOB_NUM_NODES:-1}}}")
    if [ "${threads:-1}" -gt 1 ] && mpirun --version 2>/dev/null | grep -q 'Open MPI'; then
      command+=(--map-by "slot:PE=$threads")
    fi
    if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
  fi
  bind_gpus
  command+=("${launcher_flags[@]}" "${gpu_wrapper[@]}" "${wrapper[@]}" "$program")
}

# bind_gpus: which GPU and which cores a rank gets, by DLSCALE_GPU_BIND.
#   rank     all GPUs of the node are visible to its ranks, so that they reach each other's; bind-gpu.sh narrows the
#            choice by local rank and takes the cores beside it
#   closest  Slurm's choice by the rank's cores (srun --gpu-bind=closest)
#   slurm    whatever the job's own options say (--gpus-per-task)
# mpirun's ranks see what Slurm gave to the one daemon of their node: with --gpus-per-task a single GPU (tried).
bind_gpus() {
  gpu_wrapper=()
  [ -n "${DLSCALE_GPU_BIND:-}" ] || return 0
  if [ "$launcher" = mpirun ] && [ -n "${SLURM_GPUS_PER_TASK:-}" ]; then
    die "--gpus-per-task can't be used with mpirun (all ranks of a node would get the same GPU); use --gpus-per-node and --ntasks-per-node"
  fi
  case $DLSCALE_GPU_BIND in
    rank)
      [ -z "${SLURM_GPUS_PER_TASK:-}" ] ||
        die "DLSCALE_GPU_BIND=rank needs --gpus-per-node and --ntasks-per-node; with --gpus-per-task use slurm, or leave it out"
      if [ "$launcher" = srun ]; then command+=(--cpu-bind=none); else command+=(--bind-to none); fi
      gpu_wrapper=("$slurm_folder/bind-gpu.sh")
      ;;
    closest)
      [ "$launcher" = srun ] || die "DLSCALE_GPU_BIND=closest needs srun (mpirun starts its ranks itself); use rank"
      command+=(--gpu-bind=closest)
      ;;
  esac
}

# --- the program on node-local storage ----------------------------------------------------------------------------
# At thousands of ranks reading one program and its libraries from a shared file system can take minutes.
# broadcast_program copies them with sbcast and lets program and LD_LIBRARY_PATH point there; libraries in system folders (slurm.conf's
# BcastExclude: /lib, /usr/lib, /lib64, /usr/lib64) are on the nodes already.
on_every_node() {
  srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --cpus-per-task=1 \
    --mpi=none "$@" </dev/null
}
local_folder=""
remove_broadcast() {
  [ -n "$local_folder" ] || return 0
  on_every_node rm -rf "$local_folder" >/dev/null 2>&1 || say "could not remove $local_folder on every node"
  local_folder=""
}
broadcast_program() {
  [ "${DLSCALE_BROADCAST:-0}" = 1 ] || return 0
  [ -z "${DLSCALE_WRAPPER:-}" ] || die "DLSCALE_BROADCAST can't be used with DLSCALE_WRAPPER (a container brings its own libraries); unset one"
  local folder module home start=$SECONDS
  folder=${DLSCALE_LOCAL_DIR:-/tmp}/dlscale-$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0}
  home=$(dirname "$(realpath "$program")")
  # mkdir without -p: never into a folder that somebody else has put there. Job files are found beside the program.
  # shellcheck disable=SC2016  # expanded on the nodes
  on_every_node sh -c 'mkdir -m 700 "$1" && mkdir -p "$1/bin" "$1/share/dlscale" && ln -s "$2" "$1/share/dlscale/jobs"' \
    sh "$folder" "$(realpath "$slurm_folder/../jobs")" ||
    die "cannot make $folder on every node (see above); set DLSCALE_LOCAL_DIR to a folder that each has" 5
  local_folder=$folder
  trap remove_broadcast EXIT
  sbcast --force --preserve --send-libs "$program" "$folder/bin/dlscale" ||
    die "sbcast of $program failed (see above); start without DLSCALE_BROADCAST" 5
  for module in "$home/libdlscale_cuda.so" "$home/../lib/dlscale/libdlscale_cuda.so"; do
    [ -f "$module" ] || continue
    sbcast --force --preserve "$module" "$folder/bin/libdlscale_cuda.so" || die "sbcast of $module failed (see above)" 5
    break
  done
  program=$folder/bin/dlscale
  export LD_LIBRARY_PATH="$folder/bin/dlscale_libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  say "copied the program to $folder on $(counted "$SLURM_JOB_NUM_NODES" node) in $((SECONDS - start)) s"
}
