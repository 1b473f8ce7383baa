#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The first two commands a user types, and the installed tree. With DLSCALE_LONG=1 also a build from a bare copy of the
# sources in a folder with a blank in its name, as from an unpacked archive.
set -uo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
scratch "quick start"

# has_run_and_report FOLDER: one completed run file and its page.
has_run_and_report() {
  local files=("$1"/run-*.h5) page
  [ ${#files[@]} -eq 1 ] && [ -f "${files[0]}" ] || return 1
  page=${files[0]%.h5}.html
  [ "$(h5_text "${files[0]}" /status)" = completed ] && [ -s "$page" ] && grep -qi '<html' "$page"
}
# quickstart FOLDER ROOT ARGUMENTS…: runs ROOT's script in FOLDER, prints nothing, leaves FOLDER/log.
quickstart() {
  local folder=$1 root=$2
  shift 2
  mkdir -p "$folder"
  (cd "$folder" && timeout --kill-after=10 900 bash "$root/jobs/quickstart.sh" "$@" </dev/null >log 2>&1)
}
tail_of() { tail -n 3 "$1/log" | tr '\n' '|'; }

quickstart "$SCRATCH/run here" "$DLSCALE_ROOT" --no-install --np 2 -- --set run.time_budget=10s
code=$?
if [ "$code" -ne 0 ]; then
  failed "quickstart/runs and reports" "exit code $code: $(tail_of "$SCRATCH/run here")"
else
  check "quickstart/runs and reports" "no completed run file with a page in: $(ls "$SCRATCH/run here")" \
    has_run_and_report "$SCRATCH/run here"
fi

# refused NAME CODE ARGUMENTS…: ends with the code and says a sentence.
refused() {
  local name=$1 want=$2 code
  shift 2
  quickstart "$SCRATCH/refused" "$DLSCALE_ROOT" "$@"
  code=$?
  if [ "$code" -eq "$want" ] && grep -q '^quickstart: ' "$SCRATCH/refused/log"; then
    ok "$name"
  else
    failed "$name" "exit code $code, expected $want: $(tail_of "$SCRATCH/refused")"
  fi
}
refused "quickstart/unknown option" 2 --nonsense
refused "quickstart/bad number of ranks" 2 --np many
refused "quickstart/missing job file" 2 --no-install --job "no such job.toml"

# --- the installed tree finds its own job files, wherever it lies and whatever the current folder is.
tree="$SCRATCH/installed tree"
if cmake --install "$DLSCALE_ROOT/build" --prefix "$tree" >"$SCRATCH/install.log" 2>&1; then
  for job in quick deepbench-gemm; do
    if (cd / && timeout 60 "$tree/bin/dlscale" "$job" --plan --ranks 4 </dev/null >"$SCRATCH/plan.log" 2>&1); then
      ok "install tree/$job found"
    else
      failed "install tree/$job found" "$(tail -n 2 "$SCRATCH/plan.log" | tr '\n' '|')"
    fi
  done
else
  failed "install tree" "cmake --install failed: $(tail -n 2 "$SCRATCH/install.log" | tr '\n' '|')"
fi

if [ "${DLSCALE_LONG:-0}" = 1 ]; then
  copy="$SCRATCH/bare copy"
  mkdir -p "$copy"
  (cd "$DLSCALE_ROOT" && tar -c --exclude=./.git --exclude='./build*' --exclude='*.h5' .) | tar -x -C "$copy"
  if quickstart "$SCRATCH/run copy" "$copy" --no-install --np 2 -- --set run.time_budget=10s &&
    has_run_and_report "$SCRATCH/run copy"; then
    ok "quickstart/from an archive without .git"
  else
    failed "quickstart/from an archive without .git" "$(tail_of "$SCRATCH/run copy")"
  fi
else
  skipped "quickstart/from an archive without .git" "a whole build: tests/long.sh does it"
fi
finish
