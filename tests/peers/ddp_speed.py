#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Data-parallel training against PyTorch's DistributedDataParallel (gloo): weak scaling, one thread per rank, the Top
Flight CNN, images in memory. Runs alternate; images/s are of all ranks together.

    python3 tests/peers/ddp_speed.py [build/dlscale] [pairs = 5] [ranks = 2] [batches = 64,256]

Beside it each program's efficiency against one rank alone, and against independent ranks side by side, and the ways to
overlap. Needs PyTorch and mpirun; on a quiet machine with a core per rank.
"""
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import torch

HERE = pathlib.Path(__file__).resolve().parent
binary = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "build/dlscale")
pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
ranks = int(sys.argv[3]) if len(sys.argv) > 3 else 2
batches = [int(batch) for batch in (sys.argv[4] if len(sys.argv) > 4 else "64,256").split(",")]
SECONDS, STEPS = 6, 60


def mpirun(count, *command):
    # One BLAS or OpenMP thread per rank whatever the surroundings say.
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                   "OMP_NUM_THREADS": "1"}
    full = ["mpirun", "-np", str(count), "--bind-to", "core", *map(str, command)]
    done = subprocess.run(full, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(full)} ended with {done.returncode}: {done.stdout[-800:]}{done.stderr[-800:]}")
    return done.stdout


def ours(count, batch, keys):
    """images/s of all ranks together."""
    with tempfile.TemporaryDirectory() as folder:
        case = f"train batch={batch} data=random train_images={1 << 20} {keys}"
        out = mpirun(count, binary, "--quiet", "--only", "train*", "--case", case, "--threads", 1, "--set",
                     f"run.time_budget={SECONDS}s", "-o", f"{folder}/train.h5")
    return float(re.search(r"^FOM: train\S*_sum = (\S+) images/s", out, re.M).group(1))


def theirs(count, batch, ddp):
    out = mpirun(count, sys.executable, HERE / "torch_train.py", "topflight-cnn", batch, 1, "f32", STEPS,
                 *(["--ddp"] if ddp else []))
    values = [float(line) for line in out.split()]
    return values[0] if ddp else sum(values)


def line(name, values):
    return f"{name} {statistics.median(values):7.0f} ({min(values):.0f} to {max(values):.0f})"


SETTINGS = {
    "dlscale none": lambda batch: ours(ranks, batch, "parallel=data overlap=none"),
    "PyTorch DDP": lambda batch: theirs(ranks, batch, True),
    "dlscale test": lambda batch: ours(ranks, batch, "parallel=data overlap=test"),
    "dlscale thread": lambda batch: ours(ranks, batch, "parallel=data overlap=thread"),
    "dlscale without communication": lambda batch: ours(ranks, batch, "parallel=data communicate=false"),
    "dlscale independent": lambda batch: ours(ranks, batch, ""),
    "dlscale one rank": lambda batch: ours(1, batch, "parallel=data"),
    "PyTorch independent": lambda batch: theirs(ranks, batch, False),
    "PyTorch one rank": lambda batch: theirs(1, batch, False),
}

print(f"PyTorch {torch.__version__}; {ranks} ranks × 1 thread, images/s of all ranks, medians of {pairs} rounds "
      "(smallest to largest)")
for batch in batches:
    found = {name: [] for name in SETTINGS}
    for _ in range(pairs):
        for name, measure in SETTINGS.items():
            found[name].append(measure(batch))
    print(f"batch {batch} per rank")
    for name, values in found.items():
        print(f"  {line(f'{name:30}', values)}", flush=True)
    for ours_name, own in found.items():
        if ours_name not in ("dlscale none", "dlscale test", "dlscale thread"):
            continue
        ratios = sorted(a / b for a, b in zip(own, found["PyTorch DDP"]))
        alone = sorted(a / b / ranks for a, b in zip(own, found["dlscale one rank"]))
        beside = sorted(a / b for a, b in zip(own, found["dlscale independent"]))
        print(f"  {ours_name:15} over PyTorch DDP {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
              f"efficiency against one rank {statistics.median(alone):.3f}, against independent ranks "
              f"{statistics.median(beside):.3f} ({beside[0]:.3f} to {beside[-1]:.3f})", flush=True)
    other = found["PyTorch DDP"]
    alone = statistics.median(a / b / ranks for a, b in zip(other, found["PyTorch one rank"]))
    beside = statistics.median(a / b for a, b in zip(other, found["PyTorch independent"]))
    print(f"  PyTorch DDP: efficiency against one rank {alone:.3f}, against independent ranks {beside:.3f}", flush=True)
