#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The whole program under faults: kills, signals, full disks, planted failures, mis-launches, 1 … 8 ranks.
# Usage: program.sh [NAME…]   DLSCALE=path of the binary (default build/dlscale)   DLSCALE_KILLS=number of SIGKILLs
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
for python in "${DLSCALE_PYTHON:-}" python3 /usr/bin/python3; do
  if [ -n "$python" ] && "$python" -c 'import h5py, numpy' 2>/dev/null; then
    exec "$python" "$here/program.py" "$@"
  fi
done
echo "SKIPPED faults.program: no Python with h5py and numpy (Debian: python3-h5py)"
