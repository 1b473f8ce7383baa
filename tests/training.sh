#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Training by the whole program: three epochs of the synthetic set reach 97 %, a target that is missed is a failure, memory
# does not grow over ten epochs and is what the plan predicted. DLSCALE_TRAINING_BUDGET: seconds for learning (50).
set -uo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if ! python=$(python_with h5py numpy); then
  skipped training "no Python with h5py and numpy (Debian: python3-h5py)"
  exit 0
fi
scratch training
"$python" "$DLSCALE_ROOT/tests/training.py" "$DLSCALE" "$SCRATCH" || dlscale_failures=1

cases=("train batch=64" "train batch=256" "infer batch=1" "conv2d" "conv2d pass=backward_weights batch=32 channels=256 filters=256 height=28 width=28")
[ -z "${DLSCALE_LONG:-}" ] || cases+=("train model=vgg19 image=32 batch=16" "train model=resnet50v2 image=96 batch=4")
if grep -qw avx512_bf16 /proc/cpuinfo; then cases+=("train batch=256 dtype=bf16"); fi
if ! bash -c 'echo 5 >/proc/self/clear_refs' 2>/dev/null; then
  skipped training/memory_as_predicted "the peak can't be reset here (/proc/self/clear_refs)"
  finish
  exit
fi
if "$python" "$DLSCALE_ROOT/tests/peers/memory_prediction.py" --within 0.15 "$DLSCALE" "${cases[@]}" >"$SCRATCH/memory" 2>&1; then
  ok training/memory_as_predicted
else
  failed training/memory_as_predicted "$(grep -E 'OFF|failed|completed|exit code|nothing' "$SCRATCH/memory" | tr '\n' '|')"
fi
cat "$SCRATCH/memory"
finish
