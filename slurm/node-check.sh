#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks all nodes of a partition and says which are slow; for cron.
set -uo pipefail

script_name=node-check.sh
usage() {
  cat <<'TEXT'
usage: bash slurm/node-check.sh [options] [sbatch options…] [-- dlscale options…]

Checks the nodes of a partition that are up: slurm/node-check.sbatch on all of them, a few minutes with nothing else on them,
as soon as they are free; waits, and says who is slow, among the others and against its own past.

  -p, --partition P   the partition (default: the cluster's default)
  -w, --nodelist L    these nodes instead, as Slurm writes them: n[1-16],n20
  --idle              only nodes that are idle now
  --group N           jobs of N nodes each, so that they needn't all be free at the same time; from 8 nodes on they can be
                      compared with each other
  --gpus N            one rank for each of the N GPUs of every node
  --within TIME       give up what can't be over within this time, in Slurm's words: 12hours (default), 90minutes, 2days
  --history FOLDER    where the files go (default: DLSCALE_HISTORY, else ~/dlscale-history)
  --quiet             print nothing when the exit code is 0: cron sends no mail then
  --dry-run           print the sbatch commands and submit nothing

Exit code, the first that applies:
  128+n, 6, 5, 2, 4, 1   of dlscale (README.md), the worst of all jobs; 2 also for wrong options, 1 for a failed job
  3    a node is slow, or a performance that was required is missed
  7    nothing wrong was seen, but not all was looked at: a job never ran or did not end, or the files could not be judged
  0    every node that is up was checked, and none is slow
Nodes that are down or drained are listed, and change nothing.

A line of a crontab, on a login node; -p gpu, --gpus 4 for another one:
  17 3 * * 0  DLSCALE_HISTORY=/shared/dlscale-history bash /opt/dlscale/share/dlscale/slurm/node-check.sh --quiet -p cpu
TEXT
}

slurm_folder=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=common.sh
. "$slurm_folder/common.sh"
# shellcheck source=judge.sh
. "$slurm_folder/judge.sh"

partition="" nodelist="" idle=no group="" gpus="" within=12hours quiet=no dry_run=no sbatch_flags=()
value() { [ -n "${2:-}" ] || die "$1 needs a value; see --help"; }
while [ $# -gt 0 ]; do
  case $1 in
    --*=*)  # --option=value, as two words
      set -- "${1%%=*}" "${1#*=}" "${@:2}"
      case $1 in
        --partition | --nodelist | --group | --gpus | --within | --history) ;;
        *)
          sbatch_flags+=("$1=$2")
          shift 2
          ;;
      esac
      continue
      ;;
  esac
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    -p | --partition) value "$@" && partition=$2 && shift ;;
    -w | --nodelist) value "$@" && nodelist=$2 && shift ;;
    --group) value "$@" && group=$2 && shift ;;
    --gpus) value "$@" && gpus=$2 && shift ;;
    --within) value "$@" && within=$2 && shift ;;
    --history) value "$@" && export DLSCALE_HISTORY=$2 && shift ;;
    --idle) idle=yes ;;
    --quiet) quiet=yes ;;
    --dry-run) dry_run=yes ;;
    -N* | --nodes) die "$1 can't be used (all nodes that are up are checked); choose with --nodelist, --idle or --group" ;;
    --)
      shift
      break
      ;;
    *) sbatch_flags+=("$1") ;;
  esac
  shift
done
for number in ${group:+"$group"} ${gpus:+"$gpus"}; do
  is_count "$number" || die "'$number' is no number from 1 on (--group, --gpus)"
done
[[ $within =~ ^[1-9][0-9]*(seconds|minutes|hours|days|weeks)$ ]] || die "--within $within is no time; for example 90minutes, 12hours, 2days"
read_options "$@"
[ -z "$output" ] || die "-o and --resume can't be used in a check (the files go to the history); set DLSCALE_HISTORY"
load_site
command -v sinfo >/dev/null || die "sinfo not found; run this on a login node of a Slurm cluster"
read -r -a site_flags <<<"${DLSCALE_SBATCH_FLAGS:-}"

# --- the nodes, by state; a * behind it means that the node does not answer
[ -n "$partition" ] || partition=$(sinfo -h -o %P 2>/dev/null | sed -n 's/\*$//p' | head -n 1)
listing=$(sinfo -h -N ${partition:+"--partition=$partition"} ${nodelist:+"--nodes=$nodelist"} -o '%N %T' 2>&1) ||
  die "sinfo can't tell the nodes of '$partition' ($(tail -n 1 <<<"$listing"))"
[ -n "$listing" ] || die "Slurm knows no node of '$partition'${nodelist:+ among $nodelist}; correct --partition or --nodelist (see sinfo)"
nodes=() left_out=()
while read -r name state; do
  case $state in
    *'*' | "") left_out+=("$name (${state:-unknown})") ;;
    idle*) nodes+=("$name") ;;
    mixed* | allocated* | completing*) if [ "$idle" = no ]; then nodes+=("$name"); fi ;;
    *) left_out+=("$name ($state)") ;;
  esac
done < <(sort -u <<<"$listing")
[ ${#nodes[@]} -gt 0 ] || die "no node to check in '${partition:-?}'${nodelist:+ among $nodelist} (${left_out[*]:-none that is idle}); see sinfo" 7
history=$(history_folder) || exit

# --- one job, or one for each group; groups differ by at most one node
group=${group:-${#nodes[@]}}
job_count=$(((${#nodes[@]} + group - 1) / group))
arguments=("$@")
shape=()
if [ -n "$gpus" ]; then
  shape=("--gpus-per-node=$gpus" "--ntasks-per-node=$gpus")
  arguments+=(--device cuda)
fi
# group_job I: sets command and list for group I from 0 on.
group_job() {
  local first=$(($1 * ${#nodes[@]} / job_count)) last=$((($1 + 1) * ${#nodes[@]} / job_count))
  list=$(IFS=, && echo "${nodes[*]:first:last-first}")
  list=$(scontrol show hostlist "$list")
  command=(sbatch --parsable ${partition:+"--partition=$partition"} "${site_flags[@]}" "--deadline=now+$within" "${shape[@]}"
    "${sbatch_flags[@]}" "--nodes=$((last - first))" "--nodelist=$list" "--output=${history//%/%%}/node-check-%j.out"
    "$slurm_folder/node-check.sbatch" "${arguments[@]}")
}
if [ "$dry_run" = yes ]; then
  for ((i = 0; i < job_count; i++)); do
    group_job "$i"
    print_command "${command[@]}"
  done
  exit 0
fi

report=$(mktemp) || die "cannot make a temporary file; free space in ${TMPDIR:-/tmp}" 5
trap 'rm -f "$report"' EXIT
exec 4>&1 1>"$report"
# end CODE: prints what was collected, unless it is to be quiet.
end() {
  say "$(counted ${#nodes[@]} node)${partition:+ of $partition}, ${#left_out[@]} left out${left_out[*]:+: ${left_out[*]}}; exit code $1"
  exec 1>&4
  if [ "$quiet" = no ] || [ "$1" -ne 0 ]; then cat "$report"; fi
  exit "$1"
}

export DLSCALE_JUDGE=0  # here, over all jobs, and where there is a Python for it
worst=0 incomplete=no jobs=()
for ((i = 0; i < job_count; i++)); do
  group_job "$i"
  if id=$("${command[@]}" 2>&1); then
    jobs+=("${id%%;*}")
  else
    say "Slurm refused the job on $list ($(sed -n 's/^sbatch: \(error: \)*//p' <<<"$id" | head -n 1))"
    worst=2
  fi
done
[ ${#jobs[@]} -eq 0 ] || wait_for_jobs "${jobs[@]}" || incomplete=yes
files=()
for id in "${jobs[@]}"; do
  code=$(job_code "$id" "$history/node-check-$id.out")
  if [ -z "$code" ]; then
    say "job $id never ran, or did not end by itself (sacct -j $id tells more)"
    incomplete=yes
  elif [ "$code" -ne 0 ]; then
    say "job $id ended with exit code $code: $history/node-check-$id.out"
    tail -n 25 "$history/node-check-$id.out"
    worst=$(worst_code "$worst" "$code")
  fi
  file=$(check_file "$history" "$id")
  if [ -e "$file" ]; then files+=("$file"); fi
done
judge "$history" "${files[@]}"
case $judged in
  3) worst=$(worst_code "$worst" 3) ;;
  7) incomplete=yes ;;
esac
if [ "$worst" -eq 0 ] && [ "$incomplete" = yes ]; then worst=7; fi
end "$worst"
