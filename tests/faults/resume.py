# SPDX-License-Identifier: BSD-3-Clause
"""Going on with a file: what is left to do, and what is refused. Run by program.py."""
import os
import signal

import h5py
import numpy as np

from harness import LONG, WORK, check_code, expect, mpirun, ours, rank_pids, read_cases, run, started


def test_resume_of_a_finished_run():
    path = WORK / "done.h5"
    check_code(run(mpirun(2, "-o", path, "--case", "gemm m=8 n=8 k=8", "--set", "run.time_budget=1s")), 0)
    with h5py.File(path, "r+") as file:  # as after a kill between the last case and the closing
        file["status"][()] = b"running"
    result = run(mpirun(2, "--resume", path))
    check_code(result, 0)
    expect("nothing to resume" in result.stdout, result.stdout[-300:])
    cases, status = read_cases(path)
    expect(status == "completed", f"status {status}")
    expect(all(c["status"] == b"completed" for c in cases), "a finished case was touched")


def test_resume_refused():
    path = WORK / "resume.h5"
    process = started(mpirun(2, "-o", path, *LONG), path)
    os.kill(rank_pids(process.pid)[1], signal.SIGTERM)
    process.communicate(timeout=30)
    before = path.read_bytes()
    result = run(mpirun(3, "--resume", path))
    check_code(result, 2)
    expect("2 ranks" in ours(result)[0] and "3" in ours(result)[0], str(ours(result)))
    job = WORK / "other.toml"
    job.write_text('[[case]]\nworkload = "gemm"\nm = 10\n')
    result = run(mpirun(2, job, "--resume", path))
    check_code(result, 2)
    expect("job" in ours(result)[0], str(ours(result)))
    expect(path.read_bytes() == before, "the file was changed")
    with h5py.File(path, "r+") as file:
        file.attrs.modify("build_id", np.bytes_(b"0" * len(file.attrs["build_id"])))
    result = run(mpirun(2, "--resume", path))
    check_code(result, 2)
    expect("another binary" in ours(result)[0], str(ours(result)))
