#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Memory that the plan predicts against the peak that the run sees, case by case, each in a process of its own.

    python3 tests/peers/memory_prediction.py [--within 0.15] [--threads 2] [build/dlscale] [CASE …]

The peak is results.memory_peak_bytes: resident memory while the case is prepared, warmed up and measured; the check is in
neither. With --within the exit code is 1 if a ratio, measured over predicted, is off by more.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py

CASES = [
    *(f"train batch={batch} dtype={dtype}" for dtype in ("f32", "bf16") for batch in (64, 256, 512)),
    "train batch=64 whole_epochs=true test_batch=1000 max_time=1",
    "train batch=64 optimizer=sgd workers=2",
    "train model=vgg19 image=32 batch=16",
    "train model=resnet50v2 image=96 batch=4",
    "infer batch=1",
    "infer batch=64",
    "infer model=vgg19 image=32 batch=1",
    "infer model=resnet50v2 batch=8",
    "conv2d",
    "conv2d dtype=bf16",
    "conv2d batch=32 channels=256 filters=256 height=28 width=28",
    "conv2d batch=4 channels=3 filters=64 height=224 width=224 kernel_h=7 kernel_w=7 stride_h=2 stride_w=2",
    "conv2d pass=backward_weights batch=32 channels=256 filters=256 height=28 width=28",
]


def measure(binary, case, threads):
    """(status, message, predicted bytes, measured bytes)"""
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    workload = case.split()[0]
    with tempfile.TemporaryDirectory(prefix="dlscale-memory-") as folder:
        path = f"{folder}/run.h5"
        done = subprocess.run([binary, "--quiet", "--case", case, "--only", f"{workload}*", "--threads", str(threads), "--set",
                               "run.time_budget=1s", "-o", path], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=300)
        if not os.path.exists(path):
            sys.exit(f"{case}: exit code {done.returncode}: {done.stdout[-400:]}{done.stderr[-400:]}")
        with h5py.File(path) as file:
            row = next(row for row in file["cases"][()] if row["workload"].decode() == workload)
    results = json.loads(row["results"].decode() or "{}")
    return row["status"].decode(), row["message"].decode(), row["memory_bytes"], results.get("memory_peak_bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--within", type=float, help="largest relative difference that is no failure")
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("binary", nargs="?", default="build/dlscale")
    parser.add_argument("cases", nargs="*", default=CASES)
    arguments = parser.parse_args()
    binary = str(pathlib.Path(arguments.binary).resolve())
    bad = compared = 0
    print(f"{'predicted':>10} {'measured':>10} {'ratio':>6}  case  (MB = 10⁶ B)")
    for case in arguments.cases or CASES:
        status, message, predicted, measured = measure(binary, case, arguments.threads)
        if measured is None:
            why = message or "the system does not tell the peak"
            print(f"{predicted / 1e6:10.1f} {'-':>10} {'-':>6}  {case}: {status}: {why}", flush=True)
            bad += status != "skipped"
            continue
        compared += 1
        ratio = measured / predicted
        off = arguments.within is not None and abs(ratio - 1) > arguments.within
        bad += off
        print(f"{predicted / 1e6:10.1f} {measured / 1e6:10.1f} {ratio:6.3f}  {case}{'  OFF' if off else ''}", flush=True)
    if compared == 0:
        print("nothing was compared")
    return 1 if bad or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
