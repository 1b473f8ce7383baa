#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A node sweep as separate jobs that wait for each other, so that no two run at the same time.
set -uo pipefail

script_name=sweep.sh
usage() {
  cat <<'TEXT'
usage: bash slurm/sweep.sh --nodes N|LIST [--wait] [--dry-run] [sbatch options…] -- JOB [dlscale options…]

Submits JOB on 1, 2, 4 … N nodes (or those of a list such as 1,3,6) as one job each, every one beginning when the one before
it has ended, in whatever way (--dependency=afterany): a failed or cancelled point costs no other, and points don't
disturb each other. For example

  bash slurm/sweep.sh --nodes 16 --ntasks-per-node=8 -c 4 -t 20 -- train-strong

  -N, --nodes   the largest number of nodes, or a list of numbers with commas between
  --wait        wait for the last; the exit code is the worst of theirs
  --dry-run     print the sbatch commands and submit nothing

Files: sweep-<UTC time>/nodes-0001.h5, nodes-0001.out (what the job printed) … and jobs.tsv, a line for each job; or in the
folder DLSCALE_SWEEP_DIR. The jobs are slurm/dlscale.sbatch with its settings (slurm/README.md); DLSCALE_SBATCH_FLAGS holds
more sbatch options (account, partition), as a site file may set them.

All points in one allocation, which waits only once in the queue: slurm/sweep.sbatch.
TEXT
}

slurm_folder=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=common.sh
. "$slurm_folder/common.sh"

asked="" wait_for_them=no dry_run=no sbatch_flags=() found_end=no
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    -N | --nodes)
      [ $# -ge 2 ] || die "$1 needs a number of nodes, or a list such as 1,2,4; see --help"
      asked=$2
      shift
      ;;
    --nodes=*) asked=${1#*=} ;;
    -N?*) asked=${1#-N} ;;
    --wait) wait_for_them=yes ;;
    --dry-run) dry_run=yes ;;
    -n | -n[0-9]* | --ntasks | --ntasks=*) die "$1 can't be used (tasks grow with the nodes); use --ntasks-per-node" ;;
    -d | --dependency*) die "$1 can't be used (the jobs depend on each other); submit the sweep later" ;;
    --)
      found_end=yes
      shift
      break
      ;;
    *) sbatch_flags+=("$1") ;;
  esac
  shift
done
[ "$found_end" = yes ] || die "no -- given (it stands between sbatch's options and the job); see --help"
[ $# -ge 1 ] || die "no job given after --; see --help"
[ -n "$asked" ] || die "no --nodes given; the largest number of nodes, or a list such as 1,2,4"
if is_count "$asked"; then read -r -a points <<<"$(doubling "$asked")"; else IFS=, read -r -a points <<<"$asked"; fi
[ ${#points[@]} -gt 0 ] || die "--nodes $asked is no number of nodes and no list of such; for example 8, or 1,2,4"
for nodes in "${points[@]}"; do
  is_count "$nodes" || die "--nodes $asked: '$nodes' is no number of nodes from 1 on; for example 8, or 1,2,4"
done
[ "$(printf '%s\n' "${points[@]}" | sort | uniq -d | wc -l)" -eq 0 ] || die "--nodes $asked names a number twice; each has one file"
read_options "$@"
[ -z "$output" ] || die "-o and --resume can't be used in a sweep (every job has its own file); set DLSCALE_SWEEP_DIR"
load_site
command -v sbatch >/dev/null || die "sbatch not found; run this on a login node of a Slurm cluster"
read -r -a site_flags <<<"${DLSCALE_SBATCH_FLAGS:-}"
sbatch_flags=("${site_flags[@]}" "${sbatch_flags[@]}")

folder=${DLSCALE_SWEEP_DIR:-${DLSCALE_OUTPUT_DIR:-$PWD}/sweep-$(date -u +%Y%m%dT%H%M%SZ)}
[[ $folder = /* ]] || folder=$PWD/$folder
# point NODES DEPENDENCY ARGUMENTS…: sets command.
point() {
  local nodes=$1 after=$2 name
  shift 2
  name=$folder/$(printf 'nodes-%04d' "$nodes")
  command=(sbatch --parsable "--job-name=dlscale-n$nodes" "--output=${name//%/%%}.out" ${after:+"--dependency=afterany:$after"}
    "${sbatch_flags[@]}" "--nodes=$nodes" "$slurm_folder/dlscale.sbatch" "$@" -o "$name.h5")
}
if [ "$dry_run" = yes ]; then
  after=""
  for nodes in "${points[@]}"; do
    point "$nodes" "$after" "$@"
    print_command "${command[@]}"
    after="<job before>"
  done
  exit 0
fi
# What the largest is refused for is said before any job waits.
largest=$(printf '%s\n' "${points[@]}" | sort -n | tail -n 1)
point "$largest" "" "$@"
refusal=$("${command[@]:0:1}" --test-only "${command[@]:2}" 2>&1) ||
  die "Slurm refuses the job on $(counted "$largest" node) ($(tail -n 1 <<<"$refusal")); correct the sbatch options, nothing was submitted"

mkdir -p "$folder" || die "cannot make the folder $folder; set DLSCALE_SWEEP_DIR" 5
table=$folder/jobs.tsv
[ ! -e "$table" ] || die "$folder holds a sweep already; set DLSCALE_SWEEP_DIR to another folder, or resume its files one by one"
printf 'nodes\tjob\tfile\n' >"$table" || die "cannot write $table; set DLSCALE_SWEEP_DIR" 5
after="" jobs=()
for nodes in "${points[@]}"; do
  point "$nodes" "$after" "$@"
  after=$("${command[@]}") ||
    die "Slurm refused the job on $(counted "$nodes" node) (see above); submitted before it: ${jobs[*]:-none} (scancel ends them)" 1
  after=${after%%;*}  # "number;cluster" with several clusters
  jobs+=("$after")
  printf '%d\t%s\tnodes-%04d.h5\n' "$nodes" "$after" "$nodes" >>"$table"
  say "job $after on $(counted "$nodes" node)"
done
say "files in $folder; stop all: scancel ${jobs[*]}"
[ "$wait_for_them" = yes ] || exit 0

wait_for_jobs "${jobs[@]}" || exit 1
worst=0
for i in "${!jobs[@]}"; do
  code=$(job_code "${jobs[i]}" "$(printf '%s/nodes-%04d.out' "$folder" "${points[i]}")")
  say "$(counted "${points[i]}" node), job ${jobs[i]}: ${code:+exit code }${code:-never ended by itself (squeue, sacct -j ${jobs[i]} tell more)}"
  worst=$(worst_code "$worst" "${code:-1}")
done
say "exit code $worst"
exit "$worst"
