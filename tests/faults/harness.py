# SPDX-License-Identifier: BSD-3-Clause
"""What the fault tests share: starting runs, finding their processes, judging their files."""
import atexit
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
from named_tests import Skipped, Wrong, expect, run_named  # noqa: E402,F401 - for the scripts that import this

BINARY = os.environ.get("DLSCALE", str(ROOT / "build" / "dlscale"))
FAULTY_IO = pathlib.Path(BINARY).parent / "libfaulty_io.so"
KILLS = int(os.environ.get("DLSCALE_KILLS", "6"))
os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
WORK = pathlib.Path(tempfile.mkdtemp(prefix="dlscale-faults-"))
atexit.register(shutil.rmtree, WORK, ignore_errors=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a test run's time limit; else WORK would stay

# A short job that still has several cases, blocks and ranks.
JOB = ["--case", "gemm m=96 n=96 k=96 dtype=f64,f32", "--case", "gemm m=200 n=64 k=300", "--set", "run.time_budget=2s"]


def mpirun(ranks, *arguments, **environment):
    exports = [word for key in environment for word in ("-x", key)]
    return ["mpirun", "--oversubscribe", *exports, "-np", str(ranks), BINARY, *map(str, arguments)]


def run(command, timeout=120, **environment):
    return subprocess.run(command, cwd=WORK, env={**os.environ, **environment}, capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL)


def ours(result):
    return [line for line in result.stderr.splitlines() if line.startswith("dlscale: ")]


def check_code(result, code):
    expect(result.returncode == code, f"exit code {result.returncode}, expected {code}: {result.stderr[-600:]}")


def read_cases(path, swmr=False):
    with h5py.File(path, "r", swmr=swmr) as file:
        return file["cases"][()], file["status"][()].decode()


def check_file(path, swmr=False):
    """Every row that /cases counts is there and is a time. Returns {case: rows}."""
    counted = {}
    with h5py.File(path, "r", swmr=swmr) as file:
        for row in file["cases"][()]:
            group = file["samples"][f"{row['id']:04d}"]
            rows = int(row["samples"]) + int(row["warmup"])
            start, stop = group["start"][:rows], group["stop"][:rows]
            expect(start.shape[0] == rows, f"case {row['id']}: {start.shape[0]} rows of {rows}")
            present = start >= 0
            expect(np.all(stop[present] >= start[present]), f"case {row['id']}: a sample ends before it starts")
            expect(np.all((group["phase"][:rows] == 255) == ~present), f"case {row['id']}: phase and times differ")
            counted[int(row["id"])] = rows
    return counted


def rank_pids(launcher, binary=BINARY):
    """PIDs of the ranks below an mpirun, in order of rank."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/status"):
        try:
            with open(path) as file:
                parent = next(int(line.split()[1]) for line in file if line.startswith("PPid:"))
            pid = int(path.split("/")[2])
            if parent != launcher or os.readlink(f"/proc/{pid}/exe") != os.path.realpath(binary):
                continue
            with open(f"/proc/{pid}/environ", "rb") as file:
                variables = dict(v.split(b"=", 1) for v in file.read().split(b"\0") if b"=" in v)
            found[int(variables[b"OMPI_COMM_WORLD_RANK"])] = pid
        except (OSError, StopIteration, KeyError, ValueError):
            continue
    return [found[rank] for rank in sorted(found)]


def started(command, path, blocks=1, timeout=60, **environment):
    """Starts a run; returns once `blocks` blocks are on disk."""
    process = subprocess.Popen(command, cwd=WORK, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            cases, _ = read_cases(path, swmr=True)
            if int(cases["blocks"].sum()) >= blocks:
                return process
        except OSError:
            pass
        time.sleep(0.02)
    process.kill()
    raise Wrong("no block was written in time: " + process.communicate()[1][-400:])


def rows_kept(seen, path, swmr=False):
    """No row that was on disk in `seen` (check_file) is lost."""
    kept = check_file(path, swmr)
    lost = {case: (rows, kept.get(case, 0)) for case, rows in seen.items() if kept.get(case, 0) < rows}
    expect(not lost, f"{path.name}: rows of cases were lost: {lost}")
    return kept


def kill_left(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


LONG = ["--case", "gemm m=128 n=128 k=128 dtype=f64,f32 min_time=20", "--set", "run.time_budget=60s"]
# Ends by itself after some seconds.
HELD = ["--case", "gemm m=128 n=128 k=128 dtype=f64,f32 min_time=2", "--set", "run.time_budget=6s"]
