# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# A real Slurm on this machine alone: munged, slurmctld and one slurmd, without systemd, in one folder with free ports.
# Source it after tests/lib.sh:  cluster_start FOLDER CPUS || echo "$CLUSTER_WHY";  … sbatch …;  cluster_stop
# Runs as whoever calls it; only the three processes started here are ended, by their ids.

export CLUSTER_WHY=""   # why the cluster can't run here, after a failed start
cluster_pids=()  # slurmd, slurmctld, munged: the order in which they are stopped

# free_port: a TCP port nobody listens on, below the range the system hands out to clients.
free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 10000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return 0
    fi
  done
  return 1
}

cluster_missing_program() {
  local program
  for program in munged slurmctld slurmd sbatch srun scontrol; do
    command -v "$program" >/dev/null || {
      echo "$program"
      return 0
    }
  done
  return 1
}

cluster_config() {  # FOLDER CPUS
  local folder=$1 cpus=$2 user host memory
  user=$(id -un)
  host=$(hostname -s 2>/dev/null || uname -n)
  memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
  cat >"$folder/slurm.conf" <<CONF
ClusterName=dlscale_test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.sock
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobRequeue=1
KillWait=10
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
  printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' >"$folder/cgroup.conf"
}

cluster_node_idle() { [ "$(sinfo -h -o %T 2>/dev/null)" = idle ]; }

# cluster_start FOLDER CPUS: 0 when the node is idle; else 1 with the reason in CLUSTER_WHY, nothing left running.
cluster_start() {
  local folder=$1 cpus=$2 program
  if program=$(cluster_missing_program); then
    CLUSTER_WHY="$program is not installed (jobs/packages.sh cluster)"
    return 1
  fi
  mkdir -p "$folder/state" "$folder/spool" "$folder/munge"
  chmod 700 "$folder/munge"
  cluster_config "$folder" "$cpus"
  export SLURM_CONF=$folder/slurm.conf
  (umask 077 && head -c 128 /dev/urandom >"$folder/munge/munge.key")

  munged --foreground --force --key-file="$folder/munge/munge.key" --socket="$folder/munge.sock" --num-threads=2 \
    --pid-file="$folder/munge/munged.pid" --seed-file="$folder/munge/munged.seed" \
    --log-file="$folder/munge/munged.log" </dev/null >"$folder/munge/out" 2>&1 &
  cluster_pids=("$!")
  wait_until 10 test -S "$folder/munge.sock" || {
    cluster_give_up "munged did not start: $(tail -n 1 "$folder/munge/out")"
    return 1
  }
  slurmctld -D -i </dev/null >"$folder/slurmctld.out" 2>&1 &
  cluster_pids=("$!" "${cluster_pids[@]}")
  wait_until 20 scontrol ping >/dev/null 2>&1
  slurmd -D </dev/null >"$folder/slurmd.out" 2>&1 &
  cluster_pids=("$!" "${cluster_pids[@]}")
  wait_until 30 cluster_node_idle || {
    cluster_give_up "the node did not come up: $(grep -hE 'error|fatal' "$folder"/slurm{d,ctld}.{log,out} 2>/dev/null | tail -n 1)"
    return 1
  }
}

cluster_give_up() {
  CLUSTER_WHY=$1
  cluster_stop
}

# cluster_stop: ends jobs, then the three daemons; safe to call twice.
cluster_stop() {
  [ ${#cluster_pids[@]} -gt 0 ] || return 0
  timeout 10 scancel --state=PENDING >/dev/null 2>&1 || true
  timeout 10 scancel --state=RUNNING >/dev/null 2>&1 || true
  wait_until 15 cluster_is_empty || true
  local pid
  for pid in "${cluster_pids[@]}"; do end_pid "$pid" 10; done
  cluster_pids=()
}
cluster_is_empty() { [ -z "$(timeout 5 squeue -h 2>/dev/null)" ]; }

# job_field ID FIELD: e.g. JobState, ExitCode ("3:0" = code 3).
job_field() { scontrol -o show job "$1" 2>/dev/null | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1; }
job_over() {
  case $(job_field "$1" JobState) in
    PENDING | RUNNING | COMPLETING | CONFIGURING | SUSPENDED | "") return 1 ;;
  esac
}
job_running() { [ "$(job_field "$1" JobState)" = RUNNING ]; }
