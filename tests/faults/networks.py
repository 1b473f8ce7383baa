# SPDX-License-Identifier: BSD-3-Clause
"""Faults of training, run by program.py: a loss that explodes, a target that is missed, replicas that differ."""
import json
import re

import h5py

from harness import JOB, WORK, check_code, check_file, expect, mpirun, read_cases, run


def test_training_explodes():
    """A loss that explodes is a failed case that names step and tensor; the other case is none the worse."""
    for name, case in (("topflight", "train batch=16 train_images=64 test_images=1 lr=1e6 optimizer=sgd"),
                       ("vgg19", "train model=vgg19 image=32 batch=2 data=random train_images=16 lr=1e6 optimizer=sgd"),
                       ("epochs", "train batch=16 train_images=64 test_images=16 whole_epochs=true lr=1e6 optimizer=sgd")):
        path = WORK / f"explodes-{name}.h5"
        result = run(mpirun(1, "-o", path, "--case", case, "--case", "gemm m=256 n=256 k=256", "--set", "run.time_budget=2s"))
        check_code(result, 1)
        cases, status = read_cases(path)
        expect(status == "failed", f"{name}: status {status}")
        states = {c["workload"].decode(): c["status"].decode() for c in cases}
        expect(states.pop("train") == "failed" and set(states.values()) == {"completed"}, f"{name}: {states}")
        row = next(c for c in cases if c["workload"] == b"train")
        message = row["message"].decode()
        failed = re.search(r"^rank 0: training failed at step ([1-9][0-9]*): .* on ", message)
        expect(failed, f"{name}: {message}")
        expect(re.search(r"tensor [a-z ]*: .*[a-z0-9_]+\.(weight|bias)|output of [a-z0-9_]+", message), f"{name}: {message}")
        expect("lower lr" in message and "training failed" in result.stdout, f"{name}: {message}")
        # Steps before it may have been measured where warming up was cut short by the budget: never the one that failed.
        expect(row["check_passed"] == -1 and row["samples"] < int(failed[1]), f"{name}: {row['samples']} samples are measured")
        check_file(path)


def test_training_misses_its_target():
    path = WORK / "target.h5"
    result = run(mpirun(1, "-o", path, "--case", "train batch=32 train_images=320 test_images=100 whole_epochs=true "
                        "target_accuracy=0.9999 max_time=1", *JOB))
    check_code(result, 1)
    cases, _ = read_cases(path)
    row = next(c for c in cases if c["workload"] == b"train")
    message = row["message"].decode()
    expect(row["status"] == b"failed" and row["check_passed"] == 0, f"{row['status']} {row['check_passed']}")
    expect("test accuracy" in message and "target_accuracy = 0.9999" in message and "epoch" in message, message)
    expect("hardware" not in message and "test accuracy" in " ".join(result.stdout.split()), message)
    expect(0 < row["check_error"] < 1 and row["check_tolerance"] == 0, f"{row['check_error']} {row['check_tolerance']}")
    expect(sum(c["status"] == b"failed" for c in cases) == 1, "another case suffered")


def test_one_network_on_all_ranks():
    """What fails on all ranks together costs no other case; buckets and thread level are in the file."""
    small = "train parallel=data image=8 batch=4 data=random bucket_bytes=100000"
    for name, keys, fault, words in (
            ("flip", "check_replicas=1", "1:1:conv2.weight", ("replicas differ: conv2.weight of rank 1",)),
            ("explode", "optimizer=sgd lr=1e6", "", ("training failed at step",)),
            ("apart", "communicate=false optimizer=sgd lr=1e6", "", ("training failed at step",)),
            ("thread", "overlap=thread", "", ())):
        path = WORK / f"parallel-{name}.h5"
        result = run(mpirun(2, "-o", path, *JOB, "--case", f"{small} {keys}", DLSCALE_TEST_FLIP=fault), DLSCALE_TEST_FLIP=fault)
        check_code(result, 1 if words else 0)
        cases, status = read_cases(path)
        states = [c["status"].decode() for c in cases]
        expect(status == ("failed" if words else "completed"), f"{name}: status {status}")
        expect(states.count("completed") == len(states) - (1 if words else 0), f"{name}: {states}")
        last = cases[-1]
        expect(all(word in last["message"].decode() for word in words), f"{name}: {last['message']}")
        check_file(path)
        if name == "apart":  # nothing is reduced
            continue
        with h5py.File(path) as file:
            group = file[f"samples/{len(cases) - 1:04d}"]
            buckets, kept = group["buckets"][()], group["bucket_bytes"].shape[0]
            expect(kept > 3 and buckets.shape[1:] == (2, kept, 3), f"{name}: buckets {buckets.shape} of {kept}")
            there = group["start"][()] >= 0
            expect((buckets[there] > 0).all() and (buckets[there][:, :, 1:] >= buckets[there][:, :, :-1]).all(),
                   f"{name}: times of buckets are out of order")
        if name == "thread":
            facts = json.loads(last["results"].decode())["parallel"]
            expect(facts["mpi_thread_multiple"] is True and facts["replicas"] == 2, str(facts))
