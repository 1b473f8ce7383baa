#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Process 1 of a node: names it, gives it folders of its own, waits for its network, runs slurmd.
# Usage: node.sh NAME ADDRESS   (from cluster_start_node, inside the node's namespaces)
set -euo pipefail
name=$1 address=$2
hostname "$name"

# PMIx and shared memory name their files alike on all nodes: /tmp and /dev/shm are the node's own. What lies in /tmp and
# must be seen (a checkout may) is bound back.
own_tmp() {
  local behind=$CLUSTER_FOLDER/spool.$name/tmp path
  mkdir -p "$behind"
  mount --rbind /tmp "$behind"
  mount -t tmpfs tmpfs /tmp
  chmod 1777 /tmp
  while IFS= read -r path; do
    if [[ $path == /tmp/* ]] && [ -d "$behind${path#/tmp}" ]; then
      mkdir -p "$path"
      mount --rbind "$behind${path#/tmp}" "$path"
    fi
  done <<<"$1"
  umount --lazy "$behind"
}
paths=$DLSCALE_ROOT$'\n'$(dirname "$DLSCALE")$'\n'$PWD$'\n'${CLUSTER_PATHS:-}
own_tmp "$(while IFS= read -r path; do realpath -m "$path"; done <<<"$paths" | sort -u)"
mount -t tmpfs tmpfs /dev/shm

ip link set lo up
touch "$CLUSTER_FOLDER/spool.$name/ready"
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip addr add "$address/24" dev eth0
ip link set eth0 up
rm "$CLUSTER_FOLDER/spool.$name/ready"

cd /
slurmd -D -N "$name" &  # not exec: process 1 has to take in orphans, and bash does
wait "$!"
