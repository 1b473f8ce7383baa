#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Training speed against PyTorch on the same cores: runs alternate, ratios are images/s of dlscale over PyTorch's.

    python3 tests/peers/train_speed.py [build/dlscale] [pairs = 5] [FILTER]

FILTER picks settings by a part of their text ("topflight-cnn 64 1 f32"). Needs PyTorch; on a quiet machine.
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
wanted = sys.argv[3] if len(sys.argv) > 3 else ""

# model, image, batch, threads, dtype, seconds for dlscale, steps for PyTorch
SETTINGS = [
    (model, image, batch, threads, dtype, seconds, steps)
    for model, image, batches, dtypes, thread_counts, seconds, steps in (
        ("topflight-cnn", 0, (64, 256), ("f32", "bf16"), (1, 2), 4, 40),
        ("vgg19", 32, (16,), ("f32",), (1, 2), 8, 10),
        ("resnet50v2", 224, (16,), ("f32",), (1, 2), 40, 4),
    )
    for dtype in dtypes
    for batch in batches
    for threads in thread_counts
]


def run(command, threads):
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:threads])
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = subprocess.run(["taskset", "-c", cores, *command], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-800:]}{done.stderr[-400:]}")
    return done.stdout


def ours(model, image, batch, threads, dtype, seconds):
    with tempfile.TemporaryDirectory() as folder:
        case = f"train model={model} image={image} batch={batch} dtype={dtype} data=random train_images={8 * batch}"
        out = run([binary, "--quiet", "--only", "train*", "--case", case, "--threads", str(threads), "--set",
                   f"run.time_budget={seconds}s", "-o", f"{folder}/train.h5"], threads)
    found = re.search(r"^FOM: train\S*_median = (\S+) images/s", out, re.M)
    return float(found.group(1)) if found else None  # skipped: this processor can't


def theirs(model, batch, threads, dtype, steps):
    command = [sys.executable, str(HERE / "torch_train.py"), model, str(batch), str(threads), dtype, str(steps)]
    return float(run(command, threads))


print(f"PyTorch {torch.__version__}; images/s, medians of {pairs} alternating pairs; ratio median (smallest to largest)")
for model, image, batch, threads, dtype, seconds, steps in SETTINGS:
    name = f"{model} {batch} {threads} {dtype}"
    if wanted not in name:
        continue
    own, other = [], []
    for _ in range(pairs):
        speed = ours(model, image, batch, threads, dtype, seconds)
        if speed is None:
            break
        own.append(speed)
        other.append(theirs(model, batch, threads, dtype, steps))
    if not own:
        print(f"{model:14} batch {batch:3} {dtype:4} × {threads} thread: skipped, dlscale has no {dtype} on this processor")
        continue
    ratios = sorted(a / b for a, b in zip(own, other))
    print(f"{model:14} batch {batch:3} {dtype:4} × {threads} thread: dlscale {statistics.median(own):7.0f}  "
          f"PyTorch {statistics.median(other):7.0f}  ratio {statistics.median(ratios):.2f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
