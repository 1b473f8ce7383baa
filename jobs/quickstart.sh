#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# From nothing to the first report: install what is missing, build, run the main job, write an HTML report.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: quickstart.sh [--np N] [--job FILE] [--no-install] [--help] [-- DLSCALE-OPTIONS…]

  --np N         ranks (default: physical cores this process may use, 2 to 8)
  --job FILE     job file, or the name of one in jobs/ (default: the built-in quick job, about a minute)
  --no-install   install nothing: the libraries come from modules, Spack or an administrator (INSTALL.md)
  -- OPTIONS     passed on to dlscale, e.g.  -- --set run.time_budget=20s

Writes run-<UTC time>.h5 and a report beside it (run-<UTC time>.html) into the current folder.
Environment: DLSCALE_CMAKE_FLAGS (more flags for cmake, split at blanks), DLSCALE_PYTHON (interpreter for the report).
TEXT
}

step=starting
die() {
  step=finished
  echo "quickstart: $1" >&2
  exit "${2:-1}"
}
say() {
  step=$1
  printf '\n== %s\n' "$1"
}
trap 'code=$?; if [ $code -ne 0 ] && [ "$step" != finished ]; then echo "quickstart: stopped while $step (exit code $code)" >&2; fi' EXIT

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ranks=""
job=()
install=1
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --np)
      [[ ${2:-} =~ ^[1-9][0-9]{0,5}$ ]] || die "--np needs a number of ranks from 1 on, not '${2:-}'" 2
      ranks=$2
      shift
      ;;
    --job)
      [ -n "${2:-}" ] || die "--job needs a job file" 2
      job=("$2")
      shift
      ;;
    --no-install) install=0 ;;
    -h | --help)
      usage
      exit 0
      ;;
    --)
      shift
      options=("$@")
      break
      ;;
    *) die "unknown option '$1' (dlscale's own options come after --); see --help" 2 ;;
  esac
  shift
done

# Physical cores this process may use: distinct core ids among the CPUs of its affinity mask.
physical_cores() {
  local mask cpu range first last
  mask=$(awk '/^Cpus_allowed_list:/ { print $2 }' /proc/self/status)
  for range in ${mask//,/ }; do
    first=${range%-*} last=${range#*-}
    for cpu in $(seq "$first" "$last"); do
      cat "/sys/devices/system/cpu/cpu$cpu/topology/thread_siblings_list" 2>/dev/null || echo "$cpu"
    done
  done | sort -u | wc -l
}

if [ "$install" -eq 1 ]; then
  say "installing what is missing"
  bash "$root/jobs/packages.sh" run
fi
for program in cmake mpirun; do
  command -v "$program" >/dev/null || die "$program not found (needed to build and run); run without --no-install, or load the module, see INSTALL.md"
done

say "configuring $root/build"
read -r -a cmake_flags <<<"${DLSCALE_CMAKE_FLAGS:-}"
# A first build leaves the tests out; an existing build keeps what it was configured with.
if [ ! -f "$root/build/CMakeCache.txt" ]; then cmake_flags=(-DDLSCALE_TESTS=OFF "${cmake_flags[@]}"); fi
(cd "$root" && cmake --preset default "${cmake_flags[@]}" >build-quickstart.log 2>&1) || {
  tail -n 15 "$root/build-quickstart.log" >&2
  die "configuring failed (the end of the log is above, all of it in $root/build-quickstart.log); a build folder of another machine or path? remove $root/build"
}
say "building"
targets=(dlscale)
# The GPU module is loaded at run time, so the program does not pull it in.
if cmake --build "$root/build" --target help 2>/dev/null | grep -q '^dlscale_cuda:'; then targets+=(dlscale_cuda); fi
cmake --build "$root/build" --target "${targets[@]}" --parallel "$(nproc)" >"$root/build-quickstart.log" 2>&1 || {
  tail -n 30 "$root/build-quickstart.log" >&2
  die "building failed (the end of the log is above, all of it in $root/build-quickstart.log)"
}
rm -f "$root/build-quickstart.log"

# --- run
cores=$(physical_cores)
[ "$cores" -ge 1 ] || cores=1
if [ -z "$ranks" ]; then ranks=$((cores < 2 ? 2 : cores > 8 ? 8 : cores)); fi
launch=(mpirun -np "$ranks")
if mpirun --version 2>/dev/null | grep -q 'Open MPI'; then
  if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
  if [ "$ranks" -gt "$cores" ]; then
    launch+=(--oversubscribe)
  else
    # Every rank gets its share of the cores; left alone, Open MPI binds each of one or two ranks to a single core.
    share=$((cores / ranks))
    if [ "$share" -gt 1 ]; then launch+=(--map-by "slot:PE=$share"); fi
  fi
fi
file=""
previous=""
for option in "${options[@]}"; do
  case $previous in -o | --output | --resume) file=$option ;; esac
  previous=$option
done
if [ -z "$file" ]; then
  file=run-$(date -u +%Y%m%dT%H%M%SZ).h5
  options=(-o "$file" "${options[@]}")
fi
report=${file%.h5}.html
say "running ${launch[*]} dlscale ${job[*]} (results in $file)"
code=0
"${launch[@]}" "$root/build/dlscale" "${job[@]}" "${options[@]}" </dev/null || code=$?
if [ ! -f "$file" ]; then
  step=finished
  # --plan, --list and --help leave no file and are no failure.
  [ "$code" -ne 0 ] || exit 0
  die "dlscale left no run file (exit code $code, its message is above); docs/metrics.md explains the codes" "$code"
fi

file_path=$(realpath "$file")
say "reporting"
"$root/analysis/dlscale-report" "$file" --html "$report" ||
  die "the report could not be made (its message is above); the run itself is in $file_path"

step=finished
printf '\nrun file: %s\nreport:   %s\n' "$file_path" "${file_path%.h5}.html"
[ "$code" -eq 0 ] || die "dlscale ended with exit code $code: its verdict is above, docs/metrics.md explains the codes" "$code"
