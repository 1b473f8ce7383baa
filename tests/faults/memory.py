# SPDX-License-Identifier: BSD-3-Clause
"""Too little memory for one rank: refused, or taken with force. Run by program.py."""
import os
import pathlib
import signal
import subprocess
import time

from harness import BINARY, JOB, WORK, Skipped, Wrong, check_code, check_file, expect, rank_pids, read_cases, run

BIG = "gemm m=6000 n=6000 k=6000"  # 864 MB; the program and triad take 780 MB of address space


def test_memory_refused():
    """One rank has less address space than the others: its case fails with the size, all others are measured."""
    path = WORK / "refused.h5"
    script = 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then ulimit -v 1000000; fi; exec "$0" "$@"'
    result = run(["mpirun", "--oversubscribe", "-np", "2", "bash", "-c", script, BINARY, "-o", str(path), "--case", BIG, *JOB],
                 timeout=200)
    check_code(result, 1)
    cases, status = read_cases(path)
    expect(status == "failed", f"status {status}")
    failed = [c for c in cases if c["status"] == b"failed"]
    expect(len(failed) == 1 and b"m=6000" in failed[0]["repro"], str([c["status"] for c in cases]))
    message = failed[0]["message"].decode()
    expect(message.startswith("rank 1: can't allocate 2") and "the system refused" in message, message)
    expect(all(c["status"] == b"completed" for c in cases if c["id"] != failed[0]["id"]), "another case suffered")
    expect(message.split(" (")[0] in " ".join(result.stdout.split()), "the summary is silent")
    check_file(path)


class ControlGroup:
    """A memory limit, of either version of control groups; it goes with the test."""

    def __init__(self, limit_bytes):
        top = pathlib.Path("/sys/fs/cgroup")
        version2 = (top / "cgroup.controllers").exists()
        self.folder = (top if version2 else top / "memory") / f"dlscale-faults-{os.getpid()}"
        try:
            self.folder.mkdir()
            (self.folder / ("memory.max" if version2 else "memory.limit_in_bytes")).write_text(str(limit_bytes))
        except OSError as error:
            self.remove()
            raise Skipped(f"no control group can be made here: {error}") from error

    def add(self, pid):
        (self.folder / "cgroup.procs").write_text(str(pid))

    def remove(self):
        if self.folder.is_dir():
            self.folder.rmdir()


def test_memory_killer():
    """The kernel kills a rank that outgrows its control group: as any killed rank, the root closes its file."""
    group = ControlGroup(600 << 20)
    try:
        path = WORK / "oom.h5"
        process = subprocess.Popen(["mpirun", "--oversubscribe", "-np", "2", BINARY, "-o", str(path), "--case", BIG,
                                    "--set", "run.time_budget=20s"], cwd=WORK, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not path.exists():  # the plan is made: it would skip what does not fit
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise Wrong("the run did not start: " + process.communicate()[1][-400:])
            time.sleep(0.01)
        group.add(rank_pids(process.pid)[1])
        _, errors = process.communicate(timeout=120)
        expect(process.returncode == 128 + signal.SIGKILL, f"mpirun returned {process.returncode}: {errors[-400:]}")
        expect("closed (interrupted); go on with --resume" in errors, errors[-400:])
        expect(read_cases(path)[1] == "interrupted", f"status {read_cases(path)[1]}")
        expect(sum(check_file(path).values()) > 0, "no block was kept")
    finally:
        group.remove()
