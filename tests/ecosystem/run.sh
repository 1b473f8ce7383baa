#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What other tools take from dlscale: manual page, ReFrame, JUBE, Spack, Apptainer (packaging/, docs/ecosystem.md). And what a
# batch script hands over: the time of the launch.
# Usage: run.sh [manual|recipes|launch|reframe|jube]…   ReFrame is installed into build/ecosystem when PyPI can be reached.
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
scratch ecosystem
here=$DLSCALE_ROOT/tests/ecosystem
packaging=$DLSCALE_ROOT/packaging
unset DLSCALE_LAUNCH_NS  # each run's own
export OMPI_MCA_rmaps_base_oversubscribe=1  # two ranks on one core, where ReFrame and JUBE start mpirun

test_manual() {
  local page=$SCRATCH/dlscale.1 warnings
  if ! "$DLSCALE" --man >"$page" || ! "$DLSCALE" --help >"$SCRATCH/help"; then
    failed manual/printed "dlscale --man or --help failed"
    return
  fi
  if ! command -v groff >/dev/null; then
    skipped manual "groff is not installed (jobs/packages.sh ecosystem)"
    return
  fi
  # LC_ALL: groff's own messages; -ww: every warning; HY=0: no words broken at line ends
  warnings=$(LC_ALL=C groff -ww -man -Tascii -rHY=0 -rLL=200n -P-cbou "$page" 2>&1 >"$SCRATCH/text")
  check manual/groff "$(head -n 3 <<<"$warnings" | tr '\n' '|')" test -z "$warnings"
  if command -v man >/dev/null; then
    warnings=$(LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
    check manual/man "$(head -n 3 <<<"$warnings" | tr '\n' '|')" test -z "$warnings"
  else
    skipped manual/man "man is not installed (jobs/packages.sh ecosystem)"
  fi
  check manual/ascii "the page has other bytes than ASCII" sh -c "! LC_ALL=C grep -q '[^ -~]' '$page'"
  python3 "$here/manual.py" "$SCRATCH/help" "$SCRATCH/text" "$packaging/reframe/dlscale_checks.py" || dlscale_failures=$((dlscale_failures + 1))
}

test_recipes() {
  python3 "$here/recipes.py" "$DLSCALE_ROOT" || dlscale_failures=$((dlscale_failures + 1))
}

# launch_run NAME RANKS LAUNCH_NS COMMAND…: a short run into NAME.h5.
launch_run() {
  DLSCALE_LAUNCH_NS=$3 mpi "$2" "${@:4}" --case noop --set run.time_budget=1s --quiet -o "$SCRATCH/$1.h5" >"$SCRATCH/$1.log" 2>&1 ||
    failed "launch/$1 runs" "$(tail -n 2 "$SCRATCH/$1.log" | tr '\n' '|')"
}
ago() { echo $(($(date +%s%N) - $1 * 1000000000)); }
test_launch() {
  local python ranks
  if ! python=$(python_with h5py); then
    skipped launch "no Python with h5py (set DLSCALE_PYTHON)"
    return
  fi
  for ranks in 1 2 3 4; do launch_run "ranks$ranks" "$ranks" "$(ago 2)" "$DLSCALE"; done
  # Started in the process that becomes dlscale: as if its libraries took half a second to load.
  # shellcheck disable=SC2016  # expanded by that shell
  launch_run slow 2 "$(ago 0)" sh -c 'sleep 0.5; exec "$0" "$@"' "$DLSCALE"
  launch_run empty 1 "" "$DLSCALE"
  launch_run text 1 "soon" "$DLSCALE"
  launch_run future 1 "$(ago -3600)" "$DLSCALE"
  launch_run old 1 "$(ago 90000)" "$DLSCALE"
  "$python" "$here/launch_times.py" "$SCRATCH" || dlscale_failures=$((dlscale_failures + 1))
}

# reframe_program: prints ReFrame's command; installs it once, into the build folder.
reframe_program() {
  local venv=$DLSCALE_ROOT/build/ecosystem
  if command -v reframe >/dev/null; then
    command -v reframe
    return
  fi
  if [ ! -x "$venv/bin/reframe" ]; then
    rm -rf "$venv"
    { python3 -m venv "$venv" || /usr/bin/python3 -m venv "$venv"; } >"$SCRATCH/pip.log" 2>&1 || return 1
    timeout 120 "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 'reframe-hpc>=4.6,<5' \
      >>"$SCRATCH/pip.log" 2>&1 || return 1
  fi
  echo "$venv/bin/reframe"
}

test_reframe() {
  local reframe jobs
  if ! reframe=$(reframe_program); then
    skipped reframe "ReFrame can't be installed: $(tail -n 1 "$SCRATCH/pip.log")"
    return
  fi
  jobs=$here/jobs/good.toml,$here/jobs/missed.toml,$here/jobs/bad.toml,$here/jobs/wrong.toml
  cat >"$SCRATCH/references.yaml" <<'YAML'
example:
  good: {gemm_m64_n64_k64_dtypef32_median: [1e9, -0.1, null, GFLOP/s]}  # overruled by the partition's
example:cpu:
  good:
    gemm_m64_n64_k64_dtypef32_median: [1e-9, -0.1, null, GFLOP/s]
    noop_median: [1, null, 0, s]
YAML
  # The same job again: against a reference out of reach, and against one that the output does not have.
  cat >"$SCRATCH/strict.yaml" <<'YAML'
example:cpu:
  good: {gemm_m64_n64_k64_dtypef32_median: [1e9, -0.1, null, GFLOP/s]}
  fast: {gemm_m128_n128_k128_dtypef32_median: [1, -0.1, null, GFLOP/s]}
YAML
  cp "$here/jobs/good.toml" "$SCRATCH/fast.toml"
  run_reframe "$reframe" first "$jobs" references.yaml
  run_reframe "$reframe" second "$here/jobs/good.toml,$SCRATCH/fast.toml" strict.yaml
  python3 "$here/reframe_report.py" "$SCRATCH/first" "$SCRATCH/second" || dlscale_failures=$((dlscale_failures + 1))
}
run_reframe() {  # PROGRAM NAME JOBS REFERENCES
  timeout 200 "$1" --nocolor --prefix "$SCRATCH/$2" --report-file "$SCRATCH/$2/report.json" --keep-stage-files \
    -C "$packaging/reframe/settings.py" -c "$packaging/reframe/dlscale_checks.py" --system example:cpu -n dlscale_job \
    -P "jobfile=$3" -S num_tasks=2 -S "program=$DLSCALE" -S "references=$SCRATCH/$4" -r >"$SCRATCH/$2.log" 2>&1
}

test_jube() {
  if ! command -v jube >/dev/null; then
    skipped jube "JUBE is not installed (jobs/packages.sh ecosystem)"
    return
  fi
  (
    cd "$SCRATCH" || exit
    export DLSCALE_JOBS="$here/jobs/good.toml $here/jobs/missed.toml" DLSCALE_RANKS=2
    timeout 200 jube --strict run "$packaging/jube/dlscale.yaml" --outpath "$SCRATCH/jube" --hide-animation -r
  ) >"$SCRATCH/jube.log" 2>&1
  python3 "$here/jube_tables.py" "$SCRATCH/jube/000000" || dlscale_failures=$((dlscale_failures + 1))
}

[ $# -gt 0 ] || set -- manual recipes launch reframe jube
for part in "$@"; do
  case $part in
    manual | recipes | launch | reframe | jube) "test_$part" ;;
    *) failed ecosystem "unknown part '$part'; valid: manual, recipes, launch, reframe, jube" ;;
  esac
done
finish
