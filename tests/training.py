# SPDX-License-Identifier: BSD-3-Clause
"""Training by the whole program: it learns, says when it has not, and holds no more memory after ten epochs than after two.

    python3 tests/training.py BINARY FOLDER [NAME …]      prints `ok NAME`, `FAILED NAME: why`
"""
import os
import pathlib
import subprocess
import sys
import time

import h5py

from named_tests import expect, run_named

BINARY, WORK = sys.argv[1], pathlib.Path(sys.argv[2])
THREADS = str(min(2, len(os.sched_getaffinity(0))))
BUDGET_S = float(os.environ.get("DLSCALE_TRAINING_BUDGET", "50"))  # of learning; slow machines get a quarter more
os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def command(path, case, *settings, threads="1"):  # two would wait for each other where the cores are busy
    sets = [word for setting in settings for word in ("--set", setting)]
    return [BINARY, "--quiet", "--threads", threads, "--only", "train*", "--case", case, *sets, "-o", str(path)]


def run(*arguments, **keywords):
    return subprocess.run(command(*arguments, **keywords), capture_output=True, text=True, timeout=400, stdin=subprocess.DEVNULL)


def read(path, swmr=False):
    """The row of the training case, and its epochs as {column: values of rank 0}."""
    with h5py.File(path, "r", swmr=swmr) as file:
        row = next(row for row in file["cases"][()] if row["workload"] == b"train")
        group = file["samples"][f"{row['id']:04d}"]
        names = [name.decode() for name in group["epoch_names"][()]]
        return row, dict(zip(names, group["epochs"][:, 0, :].T))


def test_learns():
    path = WORK / "learns.h5"
    # blocks = 3 is the least; what remains of the budget goes into further epochs.
    result = run(path, "train batch=64 test_batch=1000 whole_epochs=true target_accuracy=0.97", "sampling.blocks=3",
                 f"run.time_budget={BUDGET_S:.0f}s", threads=THREADS)
    expect(result.returncode == 0, f"exit code {result.returncode}: {result.stdout[-800:]}{result.stderr[-400:]}")
    row, epochs = read(path)
    accuracy, loss = epochs["test_accuracy"], epochs["loss"]
    expect(row["status"] == b"completed" and row["check_passed"] == 1, f"{row['status']} {row['message']}")
    expect(len(accuracy) == row["blocks"] >= 1, f"{len(accuracy)} epochs, {row['blocks']} blocks")
    third = min(2, len(accuracy) - 1)  # of a slow machine the last one it managed: harder, not easier
    expect(accuracy[third] >= 0.97, f"test accuracy {accuracy[third]} after epoch {third + 1}")
    expect(all(epochs["images"] == 60000), f"images: {epochs['images']}")
    expect(all(loss[i + 1] < loss[i] for i in range(third)) and loss[third] < 0.5, f"losses: {loss}")
    expect(b'"synthetic":true' in row["results"] and b'"data":"synthetic"' in row["results"], str(row["results"]))
    return f"accuracy {accuracy[third]:.4f} after epoch {third + 1} of {len(accuracy)}"


def test_misses_a_target():
    path = WORK / "misses.h5"
    result = run(path, "train batch=64 train_images=3200 test_images=1000 test_batch=500 whole_epochs=true "
                 "target_accuracy=0.9999 max_time=1", "run.time_budget=6s")
    expect(result.returncode == 1, f"exit code {result.returncode}, expected 1: {result.stdout[-600:]}")
    row, epochs = read(path)
    message = row["message"].decode()
    expect(row["status"] == b"failed" and row["check_passed"] == 0, f"{row['status']} {row['check_passed']}")
    expect("accuracy" in message and "0.9999" in message, message)
    expect(f"the test accuracy {epochs['test_accuracy'][-1]:g} " in message, message)
    expect("hardware" not in message and "BLAS" not in message, f"blames the machine: {message}")
    expect("test accuracy" in " ".join(result.stdout.split()), "the summary is silent")
    return message


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def test_memory_does_not_grow():
    path = WORK / "grows.h5"
    case = "train batch=64 train_images=1600 test_images=200 test_batch=100 workers=1 whole_epochs=true"
    process = subprocess.Popen(command(path, case, "sampling.blocks=14", "run.time_budget=60s"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen = {}  # epochs done: resident memory
    try:
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline and process.poll() is None and max(seen, default=0) < 10:
            time.sleep(0.05)
            try:
                row, _ = read(path, swmr=True)
                seen.setdefault(int(row["blocks"]), resident_kb(process.pid))
            except (OSError, StopIteration, KeyError):
                continue  # no file yet, or no case in it
    finally:
        process.terminate()
        process.wait(timeout=30)
    early = min((count for count in seen if count >= 2), default=None)
    late = max(seen, default=0)
    expect(early is not None and late >= 10 and early <= 4, f"epochs seen: {sorted(seen)}")
    growth = seen[late] / seen[early] - 1
    expect(growth <= 0.02, f"{100 * growth:.1f} % more after epoch {late} than after epoch {early}: {seen} kB")
    return f"{seen[early] / 1e3:.0f} MB after epoch {early}, {seen[late] / 1e3:.0f} MB after epoch {late}"


if __name__ == "__main__":
    sys.exit(run_named(globals(), "training", sys.argv[3:]))
