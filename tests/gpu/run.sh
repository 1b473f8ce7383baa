#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What GPUs must do, and what must be said where there is none. Runs from the sources (after a build) and from a bundle
# (bin/dlscale-env bash share/dlscale/tests/gpu/run.sh). Without a GPU only the first half is possible; the rest is one
# SKIPPED line. Speed is printed, not judged. GPU_TESTS="refusals plans selftest shared faults sanitizer memory speed" chooses.
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
scratch gpu
here=$(dirname "${BASH_SOURCE[0]}")
# Python's libraries are not the bundle's.
outside() { LD_LIBRARY_PATH=${DLSCALE_OUTSIDE_LIBRARIES-${LD_LIBRARY_PATH-}} "$@"; }
wanted() { [[ " ${GPU_TESTS:-refusals plans selftest shared faults sanitizer memory speed} " == *" $1 "* ]]; }

DLSCALE=$(readlink -f "$DLSCALE")
module=
for place in "$(dirname "$DLSCALE")" "$(dirname "$DLSCALE")"/../lib/dlscale "$(dirname "$DLSCALE")"/../lib/*/dlscale; do
  if [ -z "$module" ] && [ -f "$place/libdlscale_cuda.so" ]; then module=$place/libdlscale_cuda.so; fi
done
case_of_all="noop delay=1e-5"

# --- refusals: one sentence, exit code 4, nothing written ---------------------------------------------------------
# a_copy NAME: the program alone in a folder of its own, where its module may be put; its path is in $copy.
a_copy() {
  mkdir -p "$SCRATCH/$1"
  cp "$DLSCALE" "$SCRATCH/$1/dlscale"
  copy=$SCRATCH/$1/dlscale
}
# refused NAME WORDS PROGRAM…: the sentence has WORDS.
refused() {
  local name=$1 words=$2 code
  shift 2
  "$@" --device cuda --quiet --case "$case_of_all" --set run.time_budget=2s -o "$SCRATCH/refused.h5" \
    </dev/null >"$SCRATCH/out" 2>"$SCRATCH/err"
  code=$?
  if [ "$code" -ne 4 ]; then
    failed "$name" "exit code $code, expected 4: $(head -n 2 "$SCRATCH/err" | tr '\n' '|')"
  elif [ "$(grep -c '^dlscale: no GPU can be used (' "$SCRATCH/err")" -ne 1 ]; then
    failed "$name" "not one sentence: $(head -n 4 "$SCRATCH/err" | tr '\n' '|')"
  elif ! grep -qE "$words" "$SCRATCH/err"; then
    failed "$name" "another reason: $(head -n 1 "$SCRATCH/err")"
  elif [ -e "$SCRATCH/refused.h5" ]; then
    failed "$name" "a run file was made all the same"
  else
    ok "$name"
  fi
}
# on_cpu NAME PROGRAM: --device auto goes on without a GPU.
on_cpu() {
  if "$2" --device auto --quiet --case "$case_of_all" --set run.time_budget=2s -o "$SCRATCH/auto-$1.h5" \
    </dev/null >"$SCRATCH/out" 2>&1; then
    ok "gpu/auto $1"
  else
    failed "gpu/auto $1" "$(tail -n 2 "$SCRATCH/out" | tr '\n' '|')"
  fi
}
# same_length FROM TO FILE: text in a binary file.
same_length() { LC_ALL=C sed -i "s/${1//./\\.}/$2/g" "$3"; }

test_refusals() {
  local library id ids
  a_copy no_module
  refused "gpu/no module" "GPU module can't be loaded" "$copy"
  on_cpu "without a module" "$copy"
  a_copy empty_module
  : >"$SCRATCH/empty_module/libdlscale_cuda.so"
  refused "gpu/an empty file for a module" "GPU module can't be loaded.*too short" "$copy"
  if [ -z "$module" ]; then
    skipped "gpu/module that lacks a library" "this build has no GPU module (no nvcc when it was configured)"
    return
  fi
  for library in libcublasLt libnccl libcudnn; do
    id=$(grep -aoE "$library\.so\.[0-9]+" "$module" | head -n 1)
    if [ -z "$id" ]; then
      skipped "gpu/module without $library" "this build's module does not ask for it"
      continue
    fi
    a_copy "without_$library"
    cp "$module" "$SCRATCH/without_$library/"
    same_length "$id" "${id%?}X" "$SCRATCH/without_$library/libdlscale_cuda.so"
    refused "gpu/module without $library" "${id%?}X" "$copy"
    on_cpu "without $library" "$copy"
  done
  # Both are told what the shared headers were, by one sum; other text may end in digits right before it.
  ids=$(grep -aoE '[0-9a-f]{32,}' "$DLSCALE" | awk '{ for (i = 1; i + 31 <= length; ++i) print substr($0, i, 32) }' |
    sort -u | while read -r id; do if grep -qaF "$id" "$module"; then echo "$id"; fi; done)
  if [ -z "$ids" ]; then
    failed "gpu/module of another build" "program and module have no sum in common"
  else
    a_copy other_build
    cp "$module" "$SCRATCH/other_build/"
    while read -r id; do same_length "$id" "$(tr 0-9a-f 1-9a-f0 <<<"$id")" "$SCRATCH/other_build/libdlscale_cuda.so"; done <<<"$ids"
    refused "gpu/module of another build" "of another dlscale" "$copy"
  fi
  if [ -n "$gpu" ]; then return; fi
  refused "gpu/no GPU" "cudaGetDeviceCount failed" "$DLSCALE"
  on_cpu "without a GPU" "$DLSCALE"
  refused_on_two_ranks
}
# One sentence from one rank, and the same exit code from all (mpirun passes it on).
refused_on_two_ranks() {
  local code
  mpi 2 "$DLSCALE" --device cuda --quiet --case "$case_of_all" -o "$SCRATCH/refused.h5" >"$SCRATCH/out" 2>"$SCRATCH/err"
  code=$?
  if [ "$code" -eq 4 ] && [ "$(grep -c 'no GPU can be used' "$SCRATCH/err")" -eq 1 ]; then
    ok "gpu/no GPU on two ranks"
  else
    failed "gpu/no GPU on two ranks" "exit code $code: $(head -n 4 "$SCRATCH/err" | tr '\n' '|')"
  fi
}

# --- plans: every job can be planned for GPUs, here and for ranks nobody here has ----------------------------------
test_plans() {
  local jobs="$DLSCALE_ROOT/jobs" job ranks
  [ -d "$jobs" ] || jobs=$(dirname "$DLSCALE")/../share/dlscale/jobs
  for job in "$jobs"/*.toml; do
    for ranks in 1 8 1024; do
      if timeout 60 "$DLSCALE" "$job" --device cuda --plan --ranks "$ranks" </dev/null >"$SCRATCH/plan" 2>&1; then
        ok "gpu/plan $(basename "$job" .toml) on $ranks"
      else
        failed "gpu/plan $(basename "$job" .toml) on $ranks" "$(tail -n 1 "$SCRATCH/plan")"
      fi
    done
  done
}

# --- with a GPU ----------------------------------------------------------------------------------------------------
# ran NAME LOG COMMAND…: ends well; the failed cases are named.
ran() {
  local name=$1 log=$2 code
  shift 2
  "$@" >"$log" 2>&1
  code=$?
  if [ "$code" -eq 0 ]; then
    ok "$name"
    return 0
  fi
  failed "$name" "exit code $code: $(grep -iE 'failed|error|wrong|watchdog|did not arrive' "$log" | head -n 6 | tr '\n' '|')"
  return 1
}
# Every workload's own examples: checked against float64, exact sums or the CPU's values.
test_selftest() {
  ran "gpu/selftest on 1 rank" "$SCRATCH/selftest" timeout 600 "$DLSCALE" --selftest --device cuda -o "$SCRATCH/selftest.h5"
  grep -E 'passed|skipped|checks' "$SCRATCH/selftest" | tail -n 2
}
# NCCL refuses two ranks on one GPU, unless it takes them for ranks of two hosts.
shared_ranks() {
  local ranks=$1
  shift
  # shellcheck disable=SC2016
  DLSCALE_MPI_LIMIT=600 mpi "$ranks" bash -c 'export NCCL_HOSTID=dlscale-$OMPI_COMM_WORLD_RANK NCCL_SOCKET_IFNAME=lo; exec "$@"' - \
    "$DLSCALE" --device cuda --allow shared-gpu "$@"
}
test_shared() {
  local ranks
  for ranks in 2 4; do
    ran "gpu/selftest of $ranks ranks on one GPU" "$SCRATCH/shared$ranks" \
      shared_ranks "$ranks" --selftest -o "$SCRATCH/shared$ranks.h5"
  done
  if mpi 2 "$DLSCALE" --device cuda --quiet --case "$case_of_all" -o "$SCRATCH/shared.h5" >"$SCRATCH/out" 2>&1; then
    if [ "$(nvidia-smi -L 2>/dev/null | wc -l)" -gt 1 ]; then
      skipped "gpu/shared GPU refused" "there are several GPUs"
    else
      failed "gpu/shared GPU refused" "two ranks ran on one GPU without --allow shared-gpu"
    fi
  else
    check "gpu/shared GPU refused" "$(tail -n 1 "$SCRATCH/out")" grep -q 'share one GPU' "$SCRATCH/out"
  fi
}

# One rank hangs before it comes to NCCL, or throws there: the others wait on the device and must not for ever. The
# watchdog's patience covers NCCL's first connection, which takes seconds.
test_faults() {
  local kind id code want
  id=$("$DLSCALE" --device cuda --plan --ranks 2 --case 'collective bytes=1048576' 2>/dev/null |
    awk '/collective/ && $1 ~ /^[0-9]+$/ { print $1; exit }')
  if [ -z "$id" ]; then
    failed "gpu/faults" "no number of a collective in the plan"
    return
  fi
  for kind in hang:6 throw:1; do
    want=${kind#*:}
    DLSCALE_TEST_FAULT="run:1:${kind%:*}:$id" shared_ranks 2 --quiet --case 'collective bytes=1048576' \
      --set run.watchdog=20s --set run.time_budget=10s -o "$SCRATCH/fault-${kind%:*}.h5" >"$SCRATCH/out" 2>&1
    code=$?
    if [ "$code" -eq "$want" ] && grep -q 'rank 1' "$SCRATCH/out"; then
      ok "gpu/a rank that ${kind%:*}s leaves nobody in NCCL"
    else
      failed "gpu/a rank that ${kind%:*}s leaves nobody in NCCL" "exit code $code, expected $want: $(tail -n 3 "$SCRATCH/out" | tr '\n' '|')"
    fi
  done
}

sanitized=(
  "gemm m=61 n=37 k=83 dtype=f64" "gemm m=48 n=32 k=80 dtype=bf16 layout=row" "triad bytes=1000000" "fma dtype=f32"
  "collective op=allreduce bytes=4036 in_place=true" "collective op=alltoall bytes=4036 dtype=bf16 implementation=mpi"
  "pdgemm m=61 n=37 k=83 mb=8 nb=7 kb=5" "conv2d batch=2 channels=3 filters=5 height=9 width=7"
  "train batch=8 data=random train_images=32" "infer batch=4"
)
test_sanitizer() {
  local tool text limit=300
  # Libraries try calls that a driver may refuse, and their kernels share memory in ways that racecheck takes for races:
  # calls are checked by the program itself, races are looked for in its own kernels.
  local -A only=([memcheck]="--report-api-errors no" [racecheck]="--kernel-name kns=dlscale")
  if ! command -v compute-sanitizer >/dev/null; then
    skipped "gpu/sanitizer" "compute-sanitizer is not installed (it comes with the CUDA Toolkit)"
    return
  fi
  for text in "${sanitized[@]}"; do
    for tool in memcheck racecheck; do
      if ! "$DLSCALE" --device cuda --plan --case "$text" 2>/dev/null | grep -q "${text%% *}"; then
        skipped "gpu/$tool $text" "this build can't plan it"
        continue
      fi
      # shellcheck disable=SC2086
      ran "gpu/$tool ${text%% *}" "$SCRATCH/sanitizer" timeout "$limit" compute-sanitizer --tool "$tool" ${only[$tool]} \
        --error-exitcode 99 "$DLSCALE" --device cuda --quiet --case "$text" --set sampling.blocks=1 --set run.time_budget=2s \
        -o "$SCRATCH/$tool-${text//[^a-z0-9]/_}.h5" || grep -m 12 '=========' "$SCRATCH/sanitizer"
    done
  done
}

# What does not fit is skipped with the numbers, and the run goes on.
test_memory() {
  ran "gpu/too large costs no other case" "$SCRATCH/out" "$DLSCALE" --device cuda --case "gemm m=300000 n=300000 k=300000 dtype=f64" \
    --case "gemm m=64" --set run.time_budget=5s -o "$SCRATCH/memory.h5" </dev/null
  check "gpu/too large is skipped with numbers" "$(tail -n 3 "$SCRATCH/out" | tr '\n' '|')" \
    grep -qE 'needs .* per rank, .* available' "$SCRATCH/out"
}

test_speed() {
  local python
  if ! python=$(outside python_with torch) || ! outside "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    skipped "gpu/speed" "no Python with PyTorch that sees a GPU (set DLSCALE_PYTHON)"
    return
  fi
  if outside "$python" "$here/speed.py" "$DLSCALE" >"$SCRATCH/speed" 2>&1; then ok "gpu/speed beside PyTorch"; else
    failed "gpu/speed beside PyTorch" "$(tail -n 2 "$SCRATCH/speed" | tr '\n' '|')"
  fi
  cat "$SCRATCH/speed"
}

# -------------------------------------------------------------------------------------------------------------------
gpu=yes why=
if ! "$DLSCALE" --device cuda --quiet --case "$case_of_all" --set run.time_budget=2s -o "$SCRATCH/first.h5" \
  </dev/null >"$SCRATCH/first" 2>&1; then
  gpu='' why=$(head -n 1 "$SCRATCH/first")
fi
for part in refusals plans; do
  if wanted "$part"; then "test_$part"; fi
done
if [ -z "$gpu" ]; then
  skipped "gpu/selftest, shared GPU, faults, sanitizer, memory, speed" "${why#dlscale: }"
else
  for part in selftest shared faults sanitizer memory speed; do
    if wanted "$part"; then "test_$part"; fi
  done
fi
finish
