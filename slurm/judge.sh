# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Shared by node-check.sbatch and node-check.sh, beside common.sh: where the files of checks are kept, who is slow.
# shellcheck disable=SC2154  # slurm_folder: the scripts that source it

history_folder() {
  local folder=${DLSCALE_HISTORY:-${HOME:-$PWD}/dlscale-history}
  if ! mkdir -p "$folder" 2>/dev/null || [ ! -w "$folder" ]; then
    die "cannot write the folder $folder (DLSCALE_HISTORY); choose another" 5
  fi
  (cd "$folder" && pwd)
}
# check_file FOLDER ID: the run file of the check that was job ID; the day in its name is that of its first start.
check_file() {
  local found
  found=$(compgen -G "$1/node-check-*-$2.h5" | head -n 1)
  echo "${found:-$1/node-check-$(date -u +%Y%m%d)-$2.h5}"
}
# judge FOLDER FILE…: dlscale-slow over the newest files of the history and those of today, which come last. Sets
# judged: 0 nobody is slow, 3 somebody is, 7 it could not be told.
judge() {
  local folder=$1 tool=${DLSCALE_SLOW:-$slurm_folder/../analysis/dlscale-slow} past=() message
  shift
  judged=7
  [ $# -gt 0 ] || return 0
  if [ ! -x "$tool" ] && [ -n "${DLSCALE_SLOW:-}" ]; then
    say "not judged: DLSCALE_SLOW=$tool is no program; correct the path"
    return 0
  fi
  [ -x "$tool" ] || tool=$(command -v dlscale-slow) || {
    say "not judged: dlscale-slow was not found beside this script or on the PATH (DLSCALE_SLOW names another place)"
    return 0
  }
  # It looks for its Python itself; without one it says which packages are missing.
  message=$("$tool" --help 2>&1 >/dev/null) || {
    say "not judged: ${message##*$'\n'}"
    return 0
  }
  mapfile -t past < <(printf '%s\n' "$folder"/node-check-*.h5 | grep -vxFf <(printf '%s\n' "$@") | sort | tail -n "${DLSCALE_HISTORY_FILES:-60}")
  "$tool" "${past[@]}" "$@"
  judged=$?
  case $judged in
    0 | 3) return 0 ;;
  esac
  # One unreadable file of the past must not end all judging.
  say "dlscale-slow ended with exit code $judged on the history in $folder (its message is above); without it:"
  "$tool" "$@"
  judged=$?
  if [ "$judged" -ne 3 ]; then judged=7; fi
}
