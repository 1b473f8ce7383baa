#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Everything that a change must pass, in about 40 minutes on two cores, a quarter of them the build. Ends with
# "N passed, N failed, N skipped"; exit code 0 only when nothing failed.
set -uo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$DLSCALE_ROOT" || exit 1

stages=(install build format shellcheck unit mpi plans quickstart faults gpu training scaling cluster ecosystem analysis)
on_demand=(sanitize)  # a second build: tests/long.sh asks for it
usage() {
  cat <<TEXT
usage: tests/all.sh [--only STAGE]… [--no-install] [--list]

  --only STAGE   this stage (with build where it needs the program); may be repeated
  --no-install   install no packages
  --list         the stages, in order; sanitize only runs when it is named

Environment: DLSCALE_CMAKE_FLAGS (more flags for cmake, split at blanks), DLSCALE_PYTHON (interpreter for analysis).
TEXT
}

only=()
while [ $# -gt 0 ]; do
  case $1 in
    --only)
      if [[ " ${stages[*]} ${on_demand[*]} " != *" ${2:-} "* ]] || [ -z "${2:-}" ]; then
        echo "all.sh: unknown stage '${2:-}'; valid: ${stages[*]} ${on_demand[*]}" >&2
        exit 2
      fi
      only+=("$2")
      shift
      ;;
    --no-install) stages=("${stages[@]/install/}") ;;
    --list)
      printf '%s\n' "${stages[@]}" "${on_demand[@]}"
      exit 0
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done

passed=0 failures=0 skips=0
built=yes        # "no" after a failed build
failure_lines=()
log_folder=$DLSCALE_ROOT/build/test-logs
mkdir -p "$log_folder"
read -r -a cmake_flags <<<"${DLSCALE_CMAKE_FLAGS:-}"
jobs=$(nproc)

# One result on its own, from this script.
pass_one() {
  ok "$1"
  passed=$((passed + 1))
}
fail_one() {
  failed "$1" "$2"
  failures=$((failures + 1))
  failure_lines+=("$1: $2")
}
skip_one() {
  skipped "$1" "$2"
  skips=$((skips + 1))
}
# count LOG CODE NAME: adds the result lines of a script; dying without a failure, or saying nothing, is a failure.
count() {
  local log=$1 code=$2 name=$3 p f s
  p=$(grep -c '^ok ' "$log")
  f=$(grep -c '^FAILED ' "$log")
  s=$(grep -c '^SKIPPED ' "$log")
  passed=$((passed + p)) failures=$((failures + f)) skips=$((skips + s))
  while IFS= read -r line; do failure_lines+=("${line#FAILED }"); done < <(grep '^FAILED ' "$log")
  if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
    fail_one "$name" "did not end within its time limit"
  elif [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then
    fail_one "$name" "exit code $code without a FAILED line"
  elif [ $((p + f + s)) -eq 0 ]; then
    fail_one "$name" "printed no result"
  fi
}
# script NAME LIMIT_S COMMAND…: a test script in the form above.
script() {
  local name=$1 limit=$2 log
  shift 2
  log=$log_folder/${name//\//-}.log
  timeout --kill-after=20 "$limit" "$@" </dev/null 2>&1 | tee "$log"
  count "$log" "${PIPESTATUS[0]}" "$name"
}
# quiet NAME LIMIT_S COMMAND…: one result; the end of its output only when it fails.
quiet() {
  local name=$1 limit=$2 log code
  shift 2
  log=$log_folder/${name//[^a-zA-Z0-9._-]/-}.log
  timeout --kill-after=20 "$limit" "$@" </dev/null >"$log" 2>&1
  code=$?
  if [ "$code" -eq 0 ]; then
    pass_one "$name"
    return 0
  fi
  tail -n 40 "$log"
  fail_one "$name" "exit code $code, log: $log"
  return 1
}
# ctest prints " 3/12 Test  #3: unit_plan ....   Passed  0.1 sec": counted test by test.
count_ctest() {
  local log=$1 name=$2 p f s
  p=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: .* Passed ' "$log")
  s=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: .*\*\*\*(Skipped|Not Run \(Disabled\))' "$log")
  f=$(($(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: ' "$log") - p - s))
  passed=$((passed + p)) skips=$((skips + s))
  if [ "$f" -gt 0 ]; then
    failures=$((failures + f))
    while IFS= read -r line; do failure_lines+=("$name: $line"); done \
      < <(grep -E '^ *[0-9]+/[0-9]+ Test +#[0-9]+: ' "$log" | grep -vE ' Passed |\*\*\*Skipped')
  fi
  [ $((p + f + s)) -gt 0 ] || fail_one "$name" "ctest ran no test"
}
run_ctest() {  # NAME LIMIT_S FOLDER LABEL
  local log=$log_folder/$1.log
  timeout --kill-after=20 "$2" ctest --test-dir "$3" -L "^$4\$" --output-on-failure --no-tests=error </dev/null 2>&1 | tee "$log"
  local code=${PIPESTATUS[0]} before=$failures
  count_ctest "$log" "$1"
  if [ "$code" -ne 0 ] && [ "$failures" -eq "$before" ]; then fail_one "$1" "ctest ended with exit code $code"; fi
}

# --- the stages ------------------------------------------------------------------------------------------------
stage_install() {
  quiet install 600 bash jobs/packages.sh run test cluster
  # Where a package of these is not to be had, the test that needs it is skipped and says so.
  bash jobs/packages.sh ecosystem </dev/null >"$log_folder/install-ecosystem.log" 2>&1 || tail -n 1 "$log_folder/install-ecosystem.log"
}

stage_build() {
  if quiet "build/configure" 120 cmake --preset default -DDLSCALE_WERROR=ON -DDLSCALE_TESTS=ON \
    -DDLSCALE_TESTS_IN_BATCHES=ON "${cmake_flags[@]}" &&
    quiet "build/compile" 1200 cmake --build build --parallel "$jobs" &&
    quiet "build/program" 10 test -x build/dlscale; then
    return
  fi
  built=no
}

# Formatting is that of one clang-format: other versions disagree on details.
stage_format() {
  local version files=()
  version=$(clang-format --version 2>/dev/null | grep -oE 'version [0-9]+' | grep -oE '[0-9]+')
  if [ "$version" != 14 ]; then
    skip_one format "formatted with clang-format 14, here it is '${version:-missing}'"
    return
  fi
  mapfile -t files < <(find src tests -name '*.cpp' -o -name '*.hpp' -o -name '*.cu' | sort)
  quiet format 120 clang-format --dry-run -Werror "${files[@]}"
}

stage_shellcheck() {
  local files=()
  mapfile -t files < <(find .ci jobs packaging slurm tests analysis \( -name '*.sh' -o -name '*.sbatch' \) | sort)
  files+=(.ci/run analysis/dlscale-report)
  if command -v shellcheck >/dev/null; then
    quiet shellcheck 120 shellcheck "${files[@]}"
  else
    skip_one shellcheck "shellcheck is not installed"
  fi
}

stage_unit() { run_ctest unit 900 build unit; }
stage_mpi() {
  run_ctest mpi 600 build mpi
  script mpi/comm_harness 240 bash tests/mpi/comm_harness.sh "$DLSCALE_ROOT/build/mpi_tests"
}

# Every job file must be a plan here and for ranks nobody here has.
stage_plans() {
  local job ranks
  for job in jobs/*.toml; do
    for ranks in 2 1024; do
      quiet "plan/$(basename "$job") on $ranks ranks" 30 "$DLSCALE" "$job" --plan --ranks "$ranks"
    done
  done
}

stage_quickstart() { script quickstart 300 bash tests/quickstart.sh; }

# A script with a probe of its own (X.sh, X_probe.cpp) is given the built probe; the others test dlscale itself.
fault_probe() {
  local probe=${1%.sh}_probe
  if [ -f "$probe.cpp" ]; then echo "$DLSCALE_ROOT/build/$(basename "$probe")"; fi
}
stage_faults() {
  local test probe found=no
  for test in tests/faults/*.sh; do
    [ -f "$test" ] || continue
    found=yes
    probe=$(fault_probe "$test")
    script "faults/$(basename "$test" .sh)" 1800 bash "$test" ${probe:+"$probe"}
  done
  [ "$found" = yes ] || fail_one faults "no script in tests/faults"
}

stage_gpu() { script gpu 900 bash tests/gpu/run.sh; }

stage_training() { script training 400 bash tests/training.sh; }

stage_scaling() { script scaling 300 bash tests/scaling.sh; }

# Each script has a cluster of its own; a few runs with a slow node prove little and are for tests/long.sh.
stage_cluster() {
  local test
  for test in run nodes faults scripts; do script "cluster/$test" 600 bash "tests/cluster/$test.sh"; done
}

stage_ecosystem() { script ecosystem 300 bash tests/ecosystem/run.sh; }

stage_analysis() {
  local python log=$log_folder/analysis.log code summary word number before=$failures workers=()
  if ! python=$(python_with pytest h5py numpy pandas rich jinja2); then
    skip_one analysis "no Python with pytest, h5py, numpy, pandas, rich and jinja2 (set DLSCALE_PYTHON)"
    return
  fi
  if "$python" -c "import xdist" 2>/dev/null; then workers=(-n "$jobs"); fi
  (cd analysis && timeout --kill-after=20 600 "$python" -B -m pytest "${workers[@]}" -q -p no:cacheprovider -rsfE tests </dev/null 2>&1) | tee "$log"
  code=${PIPESTATUS[0]}
  # "1 failed, 20 passed, 2 skipped, 1 error in 3.21s"
  summary=$(grep -E '^[=]* ?[0-9]+ (passed|failed|skipped|error)' "$log" | tail -n 1)
  while read -r number word; do
    case $word in
      passed* | xpassed*) passed=$((passed + number)) ;;
      failed* | error*) failures=$((failures + number)) ;;
      skipped* | xfailed*) skips=$((skips + number)) ;;
    esac
  done < <(grep -oE '[0-9]+ (passed|failed|skipped|errors?|xpassed|xfailed)' <<<"$summary")
  while IFS= read -r line; do failure_lines+=("analysis: ${line#FAILED }"); done < <(grep -E '^(FAILED|ERROR) ' "$log")
  if [ "$code" -ne 0 ] && [ "$failures" -eq "$before" ]; then fail_one analysis "pytest ended with exit code $code"; fi
  if [ -z "$summary" ] && [ "$code" -eq 0 ]; then fail_one analysis "pytest printed no result"; fi
}

# The one-process tests again, with ASan and UBSan.
stage_sanitize() {
  local targets=() room
  for room in tests/unit/*/; do
    if compgen -G "${room}*.cpp" >/dev/null; then targets+=("unit_$(basename "$room")"); fi
  done
  quiet "sanitize/configure" 120 cmake --preset sanitize -DDLSCALE_WERROR=ON "${cmake_flags[@]}" &&
    quiet "sanitize/compile" 1200 cmake --build build-sanitize --parallel "$jobs" --target "${targets[@]}" &&
    run_ctest sanitize 900 build-sanitize unit
}

needs_program() { case $1 in unit | mpi | plans | quickstart | faults | gpu | training | scaling | cluster | ecosystem) true ;; *) false ;; esac }
wanted() {
  local stage
  if [ ${#only[@]} -eq 0 ]; then
    [[ " ${on_demand[*]} " != *" $1 "* ]]
    return
  fi
  for stage in "${only[@]}"; do
    if [ "$stage" = "$1" ] || { [ "$1" = build ] && needs_program "$stage"; }; then return 0; fi
  done
  return 1
}

summary=()
for stage in "${stages[@]}" "${on_demand[@]}"; do
  [ -n "$stage" ] || continue
  wanted "$stage" || continue
  printf '\n=== %s\n' "$stage"
  start=$SECONDS before="$passed $failures $skips"
  if [ "$built" = no ] && needs_program "$stage"; then
    skip_one "$stage" "the build failed"
  else
    "stage_$stage"
  fi
  read -r p f s <<<"$before"
  summary+=("$(printf '%-11s %4d s  %4d passed  %3d failed  %3d skipped' "$stage" "$((SECONDS - start))" \
    "$((passed - p))" "$((failures - f))" "$((skips - s))")")
done

printf '\n'
printf '%s\n' "${summary[@]}"
printf 'total       %4d s\n' "$SECONDS"
if [ ${#failure_lines[@]} -gt 0 ]; then
  printf '\nfailed:\n'
  printf '  %s\n' "${failure_lines[@]}"
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failures" "$skips"
[ "$failures" -eq 0 ]
