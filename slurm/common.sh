# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Shared by the batch scripts, which set script_name and slurm_folder and source it: messages, the program, the site's
# settings, the run file, signals. launch.sh makes the command.
# shellcheck disable=SC2034  # sets variables for the scripts that source it
: "${script_name:?}" "${slurm_folder:?}"
slurm_folder=$(cd -P "$slurm_folder" && pwd)

say() { echo "$script_name: $1"; }
die() {
  echo "$script_name: $1" >&2
  exit "${2:-2}"
}
is_count() { [[ $1 =~ ^[1-9][0-9]{0,6}$ ]]; }
# counted N NOUN: "1 node", "2 nodes".
counted() { if [ "$1" -eq 1 ]; then echo "1 $2"; else echo "$1 $2s"; fi; }
# doubling N: 1 2 4 … and N.
doubling() {
  local n
  for ((n = 1; n < $1; n *= 2)); do echo "$n"; done | tr '\n' ' '
  echo "$1"
}

in_a_job() {
  [ -n "${SLURM_JOB_ID:-}" ] ||
    die "not inside a Slurm job (SLURM_JOB_ID is not set); submit it: sbatch slurm/$script_name JOB"
}

# has_gpus: Slurm has given the job some.
has_gpus() { [ -n "${SLURM_JOB_GPUS:-${SLURM_GPUS_ON_NODE:-${SLURM_STEP_GPUS:-}}}" ]; }

# --- the site: modules, interfaces, launcher --------------------------------------------------------------------
system_names() {
  local file names=()
  for file in "$slurm_folder"/systems/*.sh; do
    file=${file##*/}
    if [ "$file" != template.sh ] && [ "$file" != "*.sh" ]; then names+=("${file%.sh}"); fi
  done
  printf -v names '%s, ' "${names[@]}"
  echo "${names%, }"
}
# source_file NAME FILE: module commands may use variables that are not set.
source_file() {
  set +u
  # shellcheck source=/dev/null
  . "$2" || die "cannot source $1 ($2); correct the path, or see the message above"
  set -u
}
# load_site: systems/$DLSCALE_SYSTEM.sh, then the file DLSCALE_SETUP.
load_site() {
  local name=${DLSCALE_SYSTEM:-} file
  if [ -n "$name" ]; then
    file=$slurm_folder/systems/$name.sh
    if [[ ! $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || [ ! -f "$file" ]; then
      die "DLSCALE_SYSTEM=$name is unknown (no $file); valid: $(system_names), or write that file from systems/template.sh"
    fi
    source_file DLSCALE_SYSTEM "$file"
  fi
  if [ -n "${DLSCALE_SETUP:-}" ]; then source_file DLSCALE_SETUP "$DLSCALE_SETUP"; fi
}

# --- the program ------------------------------------------------------------------------------------------------
program_candidates() {
  local home
  for home in ${DLSCALE_HOME:+"$DLSCALE_HOME"} "$slurm_folder/.."; do
    printf '%s\n' "$home/build/dlscale" "$home/bin/dlscale" "$home/../../bin/dlscale"
  done
  printf '%s\n' "${SLURM_SUBMIT_DIR:-.}/build/dlscale" "${SLURM_SUBMIT_DIR:-.}/dlscale"
}
# find_program: sets program. Behind a wrapper (a container) the path is one inside: only DLSCALE can name it.
find_program() {
  local candidate
  program=${DLSCALE:-}
  if [ -n "${DLSCALE_WRAPPER:-}" ]; then
    [ -n "$program" ] || die "DLSCALE_WRAPPER is set, but not DLSCALE (the path of dlscale inside); set both"
    return 0
  fi
  if [ -n "$program" ]; then
    if [ ! -f "$program" ] || [ ! -x "$program" ]; then
      die "DLSCALE=$program is no program; build it or correct the path"
    fi
    return 0
  fi
  while IFS= read -r candidate; do
    if [ -f "$candidate" ] && [ -x "$candidate" ]; then
      program=$(realpath "$candidate")
      return 0
    fi
  done < <(program_candidates)
  program=$(command -v dlscale) ||
    die "dlscale not found (looked beside this script, in the submit folder and on the PATH); build it, or set DLSCALE or DLSCALE_HOME"
}

# --- the run file -----------------------------------------------------------------------------------------------
# read_options ARGUMENTS…: sets output and resume from dlscale's own options; kept: those that --resume allows beside
# it, for the job itself is in the file.
read_options() {
  local argument previous=""
  output="" resume=0 kept=()
  for argument in "$@"; do
    case $previous in
      -o | --output) output=$argument ;;
      --resume) output=$argument resume=1 ;;
      --allow) kept+=(--allow "$argument") ;;
    esac
    case $argument in
      --output=*) output=${argument#*=} ;;
      --resume=*) output=${argument#*=} resume=1 ;;
      -o?*) output=${argument#-o} ;;
      --allow=* | -q | --quiet) kept+=("$argument") ;;
    esac
    previous=$argument
  done
}
# output_folder: where run files go; made if it isn't there.
output_folder() {
  local folder=${DLSCALE_OUTPUT_DIR:-${SLURM_SUBMIT_DIR:-$PWD}}
  mkdir -p "$folder" 2>/dev/null || die "cannot make the folder $folder (DLSCALE_OUTPUT_DIR); choose another" 5
  echo "$folder"
}
# resumed OUTPUT: a requeued job finds the file it left. Any other existing file is refused by dlscale itself.
resumed() { [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [ -e "$1" ]; }

# --- running, and signals ---------------------------------------------------------------------------------------
# B:USR1 reaches the batch shell alone, 60 s or more before the time limit: it is handed to the launcher, which hands
# it to the ranks, which close the file. A cancelled job's ranks get SIGTERM from Slurm itself; this shell only has to
# outlive them, so that their exit code is the job's.
child=""
signalled=0    # a signal came since wait began
stopping=""    # the signal after which nothing more is begun
watch_signals() {
  trap 'signalled=1 stopping=USR1
        say "the time limit is near (SIGUSR1); closing the run file"
        if [ -n "$child" ]; then kill -USR1 "$child" 2>/dev/null; fi' USR1
  trap 'signalled=1 stopping=TERM
        say "SIGTERM; waiting for the ranks to close the run file"' TERM
}
# run_command COMMAND…: runs it to its end, whatever signals come; sets code. Nothing is begun after a signal.
run_command() {
  # The program reads it: what starting took, from here to its main().
  DLSCALE_LAUNCH_NS=$(date +%s%N)
  export DLSCALE_LAUNCH_NS
  # Right before the start: a signal that came while date ran would be told to nobody.
  case $stopping in
    USR1) code=138 && return ;;
    TERM) code=143 && return ;;
  esac
  "$@" </dev/null &
  child=$!
  # A trap makes wait return early, with the signal's code instead of the launcher's: then wait again.
  while :; do
    signalled=0
    wait "$child"
    code=$?
    [ "$signalled" -eq 1 ] || break
  done
  child=""
}
# worst_code A B: the one that comes first in docs/metrics.md, "Exit codes"; codes not listed there count as 1.
worst_code() {
  local code at places=() order=(6 5 2 4 1 3 0)
  for code in "$1" "$2"; do
    if [ "$code" -ge 128 ]; then
      places+=(0)
      continue
    fi
    for at in "${!order[@]}"; do [ "${order[at]}" != "$code" ] || break; done
    if [ "${order[at]}" != "$code" ]; then at=4; fi
    places+=("$((at + 1))")
  done
  if [ "${places[0]}" -le "${places[1]}" ]; then echo "$1"; else echo "$2"; fi
}
# wait_for_jobs ID…: until Slurm has none of them any more; asks every 2 to 30 s. 1 when squeue fails for 20 minutes.
wait_for_jobs() {
  local ids left pause=2 failures=0
  printf -v ids '%s,' "$@"
  while [ "$failures" -lt 40 ]; do
    if left=$(squeue -h -o %i -j "${ids%,}" 2>&1); then
      [ -n "$left" ] || return 0
      failures=0
    elif grep -qi 'invalid job id' <<<"$left"; then
      return 0  # over for so long that Slurm has forgotten it
    else
      failures=$((failures + 1))
    fi
    sleep "$pause"
    pause=$((pause < 30 ? pause + 2 : 30))
  done
  say "squeue does not answer (${left##*error: }); giving up waiting for $*"
  return 1
}
# job_code ID FILE: the exit code that the batch script's output ends with, else (it refused to begin) what Slurm knows of a
# job that has just failed; nothing if it was cancelled or never ran.
job_code() {
  local code
  code=$(sed -n 's/^[a-z.-]*: exit code \([0-9]*\)$/\1/p' "$2" 2>/dev/null | tail -n 1)
  if [ -z "$code" ]; then
    code=$(scontrol -o show job "$1" 2>/dev/null | sed -n 's/.* JobState=FAILED .* ExitCode=\([1-9][0-9]*\):.*/\1/p')
  fi
  echo "$code"
}
print_command() {
  printf '%s:' "$script_name"
  printf ' %q' "$@"
  echo
}
