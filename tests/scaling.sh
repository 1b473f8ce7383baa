#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Ranks that work together, by the whole program and the analysis of its file: scaling.py says what.
set -uo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if ! python=$(python_with h5py numpy pandas); then
  skipped scaling "no Python with h5py, numpy and pandas (Debian: python3-h5py python3-pandas)"
  exit 0
fi
scratch scaling
"$python" "$DLSCALE_ROOT/tests/scaling.py" "$DLSCALE" "$SCRATCH" "$@" || dlscale_failures=1
finish
