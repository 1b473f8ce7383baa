# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# A real Slurm of N nodes on this machine alone. The script that sources this runs again inside namespaces of its own
# (network, host name, mounts, IPC, process ids); there it is the controller "ctl" on a bridge, and every node n1 … nN is
# a set of such namespaces with one address, a /tmp and a /dev/shm of its own. Nothing of it is visible outside, two
# clusters don't meet, and when the script ends, however it ends, the kernel ends every process of it.
# Source it after tests/lib.sh:
#   cluster_enter "$0" "$@" || { skipped NAME "$CLUSTER_WHY"; … }    # the first thing that the script does
#   cluster_start NODES CPUS || failed NAME "$CLUSTER_WHY"           # then sbatch, srun, sinfo … as on any cluster
# $CLUSTER_FOLDER (no blanks, not in /tmp) is seen by all nodes and goes when the script ends.

export CLUSTER_WHY=""       # why there is no cluster, after a failed start
cluster_node_pids=()        # [node − 1]: its "unshare" process, whose only child is the node's process 1
cluster_namespaces=(--net --uts --mount --ipc --pid --fork --kill-child --mount-proc)

# --- into the cluster's namespaces, from outside -----------------------------------------------------------------
cluster_missing_program() {
  local program
  for program in munged slurmctld slurmd sbatch srun scontrol ip tc unshare nsenter setpriv flock; do
    command -v "$program" >/dev/null || {
      echo "$program"
      return 0
    }
  done
  return 1
}

# A folder of a run that was killed outright stays: it goes when its process is gone and nobody holds its lock.
cluster_remove_leftovers() {
  local folder owner
  for folder in /var/tmp/dlscale-cluster.*.*; do
    if [ ! -d "$folder" ] || [ ! -O "$folder" ]; then continue; fi
    owner=${folder#/var/tmp/dlscale-cluster.}
    [ ! -e "/proc/${owner%%.*}" ] || continue
    (flock --nonblock 9 && rm -rf "$folder") 9>"$folder/lock"
  done
}

# cluster_enter SCRIPT [ARGUMENT…]: inside, does nothing. Outside, runs SCRIPT inside and exits with its code; returns 1
# with the reason in CLUSTER_WHY where that can't be done.
cluster_enter() {
  [ -z "${CLUSTER_FOLDER:-}" ] || return 0
  local program
  if program=$(cluster_missing_program); then
    CLUSTER_WHY="$program is not installed (jobs/packages.sh cluster)"
    return 1
  fi
  if ! CLUSTER_WHY=$(unshare "${cluster_namespaces[@]}" ip link add probe type bridge 2>&1); then
    CLUSTER_WHY="namespaces with a network are not allowed here ($CLUSTER_WHY)"
    return 1
  fi
  cluster_remove_leftovers
  CLUSTER_FOLDER=$(mktemp -d "/var/tmp/dlscale-cluster.$$.XXXXXX") || exit 1
  export CLUSTER_FOLDER
  at_exit "rm -rf $CLUSTER_FOLDER"
  exec {cluster_lock}>"$CLUSTER_FOLDER/lock"  # held by every process of the cluster as well
  flock "$cluster_lock"
  # Whoever kills this shell kills the cluster: its process 1 dies with unshare, all others with process 1.
  setpriv --pdeathsig KILL unshare "${cluster_namespaces[@]}" bash "$@" &
  cluster_inside=$!
  trap 'cluster_leave 130' INT
  trap 'cluster_leave 143' TERM
  wait "$cluster_inside"
  exit
}
# cluster_leave CODE: a signal came. The script inside gets five seconds to end by itself.
cluster_leave() {
  local first
  first=$(cat "/proc/$cluster_inside/task/$cluster_inside/children" 2>/dev/null)
  if [ -n "$first" ]; then kill -TERM "${first% }" 2>/dev/null; fi
  wait_until 5 pid_gone "$cluster_inside" || kill -KILL "$cluster_inside" 2>/dev/null
  exit "$1"
}

# --- the cluster, from inside --------------------------------------------------------------------------------------
cluster_address() { echo "10.77.0.$1"; }  # of node 1, 2, …; 254 is the controller

cluster_config() {  # NODES CPUS
  local nodes=$1 cpus=$2 memory node gres=""
  memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
  cat >"$CLUSTER_FOLDER/slurm.conf" <<CONF
ClusterName=dlscale_test
SlurmctldHost=ctl($(cluster_address 254))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$CLUSTER_FOLDER/munge.sock
StateSaveLocation=$CLUSTER_FOLDER/state
SlurmdSpoolDir=$CLUSTER_FOLDER/spool.%n
SlurmctldPidFile=$CLUSTER_FOLDER/slurmctld.pid
SlurmdPidFile=$CLUSTER_FOLDER/slurmd.%n.pid
SlurmctldLogFile=$CLUSTER_FOLDER/slurmctld.log
SlurmdLogFile=$CLUSTER_FOLDER/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobRequeue=1
KillWait=5
MessageTimeout=5
SlurmdTimeout=${CLUSTER_NODE_TIMEOUT:-20}
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=DEFAULT Nodes=ALL MaxTime=INFINITE State=UP
PartitionName=test Default=YES PriorityTier=1
PartitionName=urgent PriorityTier=10 PreemptMode=OFF
CONF
  if [ "${CLUSTER_GPUS:-no}" = yes ]; then
    gres=" Gres=gpu:2"
    echo 'GresTypes=gpu' >>"$CLUSTER_FOLDER/slurm.conf"
    echo 'Name=gpu File=/dev/null,/dev/zero' >"$CLUSTER_FOLDER/gres.conf"
  fi
  printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' >"$CLUSTER_FOLDER/cgroup.conf"
  printf '127.0.0.1 localhost\n%s ctl\n' "$(cluster_address 254)" >"$CLUSTER_FOLDER/hosts"
  for node in $(seq "$nodes"); do
    printf '%s n%d\n' "$(cluster_address "$node")" "$node" >>"$CLUSTER_FOLDER/hosts"
    printf 'NodeName=n%d NodeAddr=%s CPUs=%d RealMemory=%d State=UNKNOWN%s\n' "$node" "$(cluster_address "$node")" "$cpus" \
      "$((memory / nodes))" "$gres" >>"$CLUSTER_FOLDER/slurm.conf"
  done
}

# What Open MPI needs here: the nodes' network for its own messages, no binding on nodes that share the cores.
cluster_environment() {
  export SLURM_CONF=$CLUSTER_FOLDER/slurm.conf
  export OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_oob_tcp_if_include=eth0 OMPI_MCA_hwloc_base_binding_policy=none
  export OMPI_MCA_mpi_yield_when_idle=1  # a rank that waits must not keep another node from the core they share
  unset TMPDIR  # a folder that all nodes see is no place for their PMIx
}

# cluster_start NODES CPUS: 0 when all nodes (each with so many CPUs to Slurm) are idle; else 1 with the reason in
# CLUSTER_WHY. CLUSTER_PIN=yes pins node k to core (k − 1) modulo the cores and puts it before other work, for measurements. CLUSTER_PATHS: more folders of /tmp that the
# nodes must see (the tree, the program and the current folder are seen anyway), one a line. CLUSTER_NODE_TIMEOUT: seconds
# after which Slurm gives up a silent node (20). CLUSTER_GPUS=yes: two GPUs on every node, as far as Slurm can tell.
cluster_start() {
  local nodes=$1 cpus=$2 node
  mkdir -p "$CLUSTER_FOLDER/state" "$CLUSTER_FOLDER/munge"
  chmod 755 "$CLUSTER_FOLDER"
  chmod 700 "$CLUSTER_FOLDER/munge"
  cluster_config "$nodes" "$cpus"
  cluster_environment
  mount --bind "$CLUSTER_FOLDER/hosts" /etc/hosts
  hostname ctl
  ip link set lo up
  ip link add eth0 type bridge  # the controller's interface has the name that Open MPI is told
  ip addr add "$(cluster_address 254)/24" dev eth0
  ip link set eth0 up

  (umask 077 && head -c 128 /dev/urandom >"$CLUSTER_FOLDER/munge/munge.key")
  munged --foreground --force --key-file="$CLUSTER_FOLDER/munge/munge.key" --socket="$CLUSTER_FOLDER/munge.sock" \
    --num-threads=2 --pid-file="$CLUSTER_FOLDER/munge/munged.pid" --seed-file="$CLUSTER_FOLDER/munge/munged.seed" \
    --log-file="$CLUSTER_FOLDER/munge/munged.log" </dev/null >"$CLUSTER_FOLDER/munge/out" 2>&1 &
  wait_until 10 test -S "$CLUSTER_FOLDER/munge.sock" || {
    CLUSTER_WHY="munged did not start: $(tail -n 1 "$CLUSTER_FOLDER/munge/out")"
    return 1
  }
  slurmctld -D -i </dev/null >"$CLUSTER_FOLDER/slurmctld.out" 2>&1 &
  for node in $(seq "$nodes"); do cluster_start_node "$node"; done
  wait_until 20 scontrol ping >/dev/null 2>&1
  wait_until 30 cluster_idle "$nodes" || {
    CLUSTER_WHY="the nodes did not come up ($(sinfo -h -o '%n %T' 2>&1 | tr '\n' ' ')): $(cluster_complaint)"
    return 1
  }
}
cluster_complaint() { grep -hE 'error|fatal' "$CLUSTER_FOLDER"/slurm*.log "$CLUSTER_FOLDER"/*.out 2>/dev/null | tail -n 1; }
cluster_idle() { [ "$(sinfo -h -p test -t idle -o %D 2>/dev/null)" = "$1" ]; }

# cluster_start_node NUMBER: also a node that was ended before.
cluster_start_node() {
  local node=$1 pin=()
  # Measurements go before other work of the machine, or its load looks like a fault of the cluster. Tests must not: their own
  # script has to act while the ranks compute.
  if [ "${CLUSTER_PIN:-no}" = yes ]; then pin=(nice -n -15 taskset -c "$(((node - 1) % $(nproc)))"); fi
  mkdir -p "$CLUSTER_FOLDER/spool.n$node"
  "${pin[@]}" unshare "${cluster_namespaces[@]}" bash "$DLSCALE_ROOT/tests/cluster/node.sh" "n$node" \
    "$(cluster_address "$node")" </dev/null >"$CLUSTER_FOLDER/n$node.out" 2>&1 &
  cluster_node_pids[node - 1]=$!
  wait_until 10 test -e "$CLUSTER_FOLDER/spool.n$node/ready" || return 1
  ip link add "n$node" type veth peer name eth0 netns "$!"
  ip link set "n$node" master eth0
  ip link set "n$node" up
}

# cluster_on NUMBER COMMAND…: runs a command on a node.
cluster_on() {
  local pid=${cluster_node_pids[$1 - 1]}
  shift
  nsenter --target "$pid" --net --uts --mount --ipc --pid="/proc/$pid/ns/pid_for_children" "$@"
}
# cluster_ranks NUMBER: the process ids, as seen from here, of dlscale's ranks on a node.
cluster_ranks() {
  local namespace process
  namespace=$(readlink "/proc/${cluster_node_pids[$1 - 1]}/ns/pid_for_children")
  for process in /proc/[0-9]*; do
    if [ "$(readlink "$process/ns/pid")" = "$namespace" ] && [ "$(readlink "$process/exe")" = "$(realpath "$DLSCALE")" ]; then
      echo "${process#/proc/}"
    fi
  done 2>/dev/null
}
# cluster_link NUMBER up|down: the cable between a node and the switch.
cluster_link() { ip link set "n$1" "$2"; }
# cluster_slow_link NUMBER RATE: both directions of that cable at RATE, such as 200mbit; "none" for full speed.
cluster_slow_link() {
  local node=$1 rate=$2
  if [ "$rate" = none ]; then
    tc qdisc del dev "n$node" root
    cluster_on "$node" tc qdisc del dev eth0 root
  else
    tc qdisc add dev "n$node" root tbf rate "$rate" burst 64k latency 50ms
    cluster_on "$node" tc qdisc add dev eth0 root tbf rate "$rate" burst 64k latency 50ms
  fi
}
# cluster_end_node NUMBER: the node's power is cut: nobody hears of it any more, and all its processes are gone.
cluster_end_node() {
  local pid=${cluster_node_pids[$1 - 1]}
  cluster_link "$1" down
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null
}

# --- jobs --------------------------------------------------------------------------------------------------------
# job_field ID FIELD: e.g. JobState, ExitCode ("3:0" = code 3).
job_field() { timeout 10 scontrol -o show job "$1" 2>/dev/null | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1; }
job_over() {
  case $(job_field "$1" JobState) in
    PENDING | RUNNING | COMPLETING | CONFIGURING | SUSPENDED | "") return 1 ;;
  esac
}
job_running() { [ "$(job_field "$1" JobState)" = RUNNING ]; }
job_pending() { [ "$(job_field "$1" JobState)" = PENDING ]; }
