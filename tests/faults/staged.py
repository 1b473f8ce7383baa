# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are written in node-local storage and copied to a network file system. Run by program.py."""
import errno
import os
import signal
import socket
import time

from harness import (HELD, WORK, Wrong, check_code, check_file, expect, kill_left, mpirun, ours, rank_pids,
                     read_cases, rows_kept, run, started)
from output import faulty, mounted


class Staged:
    """A run with the hook that takes any file system for a network's, and the place where it is written."""

    def __init__(self, name):
        self.folder, self.local = WORK / f"net-{name}", WORK / f"local-{name}"
        self.folder.mkdir()
        self.local.mkdir()
        self.path, self.switch = self.folder / "run.h5", WORK / f"net-{name}.switch"
        self.hit = WORK / f"net-{name}.switch.hit"  # an error was given
        # The lock lies there too, and is written before the faults begin.
        self.environment = {"DLSCALE_TEST_STAGE": "1", "TMPDIR": str(self.local), **faulty(self.path, self.switch)}
        self.exports = [word for key in self.environment if key != "TMPDIR" for word in ("-x", f"{key}={self.environment[key]}")]
        # mpirun's own files would lie in TMPDIR as well.
        self.shell = ["env", f"TMPDIR={self.local}"]

    def command(self, *arguments):
        launcher = mpirun(2, *arguments)
        at = launcher.index("-np")
        return launcher[:at] + self.exports + launcher[at:at + 2] + self.shell + launcher[at + 2:]

    def start(self, *job):
        process = started(self.command("-o", self.path, *job), self.path, blocks=0)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if sum(self.seen().values()) > 0:
                return process
            time.sleep(0.05)
        process.kill()
        raise Wrong("no block was written in time: " + process.communicate()[1][-400:])

    def staging(self):
        files = list(self.local.glob("dlscale-*-run.h5"))
        return files[0] if len(files) == 1 else None

    def seen(self):
        """Rows in the node-local file."""
        try:
            return check_file(self.staging(), swmr=True) if self.staging() else {}
        except OSError:
            return {}

    def ahead(self):
        """Cases that are completed in the node-local file, and not in the copy."""
        try:
            here, there = states(self.staging(), swmr=True), states(self.path, swmr=True)
        except OSError:
            return []
        return [case for case, state in here.items() if state == "completed" and there.get(case) != "completed"]

    def resume(self):
        return run(self.command("--resume", self.path), timeout=200)


def states(path, swmr=False):
    return {int(case["id"]): case["status"].decode() for case in read_cases(path, swmr)[0]}


def test_network_full_for_a_while():
    """A copy on the way fails: told once, and the run goes on; the last copy has everything."""
    staged = Staged("while")
    process = staged.start("--case", "gemm m=128 n=128 k=128 dtype=f64,f32 min_time=9", "--set", "run.time_budget=24s")
    staged.switch.write_text(str(errno.ENOSPC))
    # Copies may take one per cent of the time: on a slow machine the next one is far.
    deadline = time.monotonic() + 30
    while not staged.hit.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    expect(process.poll() is None, "the run ended")
    expect(staged.hit.exists(), "no copy was tried in 30 s")
    time.sleep(0.5)
    staged.switch.unlink()
    _, errors = process.communicate(timeout=90)
    expect(process.returncode == 0, f"exit code {process.returncode}: {errors[-400:]}")
    told = [line for line in errors.splitlines() if line.startswith("dlscale: warning: can't copy")]
    expect(len(told) == 1 and "No space left on device" in told[0], errors[-600:])
    expect(read_cases(staged.path)[1] == "completed" and staged.staging() is None, "not complete in its place")
    check_file(staged.path)


def test_network_full_at_the_end():
    """The last copy fails: exit code 5; the node-local file is kept, and --resume brings it to its place."""
    staged = Staged("end")
    process = staged.start(*HELD)
    staged.switch.write_text(str(errno.ENOSPC))
    _, errors = process.communicate(timeout=90)
    expect(process.returncode == 5, f"exit code {process.returncode}: {errors[-400:]}")
    expect(f"dlscale: can't copy {staged.staging()} to {staged.path} (No space left on device)" in errors, errors[-400:])
    seen = check_file(staged.staging())
    staged.switch.unlink()
    result = staged.resume()
    check_code(result, 0)
    expect("nothing to resume" in result.stdout, result.stdout[-300:])
    rows_kept(seen, staged.path)
    expect(read_cases(staged.path)[1] == "completed" and staged.staging() is None, "not complete in its place")


def test_staged_run_killed():
    """SIGKILL of the root: what was not copied yet is not measured again by --resume, and not lost."""
    staged = Staged("killed")
    process = staged.start("--case", "gemm m=64 n=64 k=64 max_time=0.5", "--case",
                           "gemm m=128 n=128 k=128 dtype=f64,f32 min_time=3", "--set", "run.time_budget=10s")
    staged.switch.write_text(str(errno.ENOSPC))
    deadline = time.monotonic() + 4
    while not staged.ahead() and time.monotonic() < deadline:
        time.sleep(0.05)
    before, seen = states(staged.staging(), swmr=True), staged.seen()
    pids = rank_pids(process.pid)
    os.kill(pids[0], signal.SIGKILL)
    process.communicate(timeout=60)
    staged.switch.unlink()
    expect(sum(check_file(staged.path, swmr=True).values()) < sum(seen.values()), "the copy was not behind: nothing is tested")
    result = staged.resume()
    check_code(result, 0)
    rows_kept(seen, staged.path)
    after = states(staged.path)
    changed = {case for case, state in before.items() if state == "completed" and after[case] != "completed"}
    expect(not changed, f"finished cases {changed} were taken for unfinished")
    expect(read_cases(staged.path)[1] == "completed" and staged.staging() is None, "not complete in its place")


def test_network_hangs():
    """A copy never returns: the watchdog ends the run, and --resume finds the node-local file."""
    staged = Staged("hangs")
    process = staged.start(*HELD, "--set", "run.watchdog=3s")  # if none before, the last copy hangs
    pids = rank_pids(process.pid)
    seen = staged.seen()
    staged.switch.write_text("hang")
    try:
        _, errors = process.communicate(timeout=120)
    finally:
        kill_left(pids)
    expect(process.returncode == 6, f"exit code {process.returncode}: {errors[-400:]}")
    expect(f"its finished blocks are kept in {staged.staging()}: --resume {staged.path}" in errors, errors[-400:])
    rows_kept(seen, staged.staging(), swmr=True)
    staged.switch.unlink()
    adopted = run(staged.command("--recover", staged.path))
    check_code(adopted, 0)
    rows_kept(seen, staged.path)


def test_staged_on_another_host():
    """The node that has the last blocks is not this one: --resume says so, and goes on from the copy."""
    staged = Staged("host")
    process = staged.start(*HELD)
    os.kill(rank_pids(process.pid)[0], signal.SIGKILL)
    process.communicate(timeout=60)
    lock = staged.folder / "run.h5.lock"
    lock.write_text(lock.read_text().replace(socket.gethostname(), "n17", 1))
    result = staged.resume()
    check_code(result, 0)
    told = [line for line in result.stderr.splitlines() if "may lack the last blocks of the earlier launch" in line]
    expect(len(told) == 1 and "of host n17" in told[0], result.stderr[-400:])
    expect(read_cases(staged.path)[1] == "completed", "not completed")


def test_node_storage_full():
    """The node-local file system is full: what was flushed is copied to its place, and the run ends with 5."""
    with mounted(WORK / "tiny", "-o", "size=320k") as tiny:
        staged = Staged("tiny")
        staged.shell = ["env", f"TMPDIR={tiny}"]
        result = run(staged.command("-o", staged.path, "--case", "noop delay=0,1e-9,2e-9,3e-9,4e-9,5e-9 min_time=20 blocks=100",
                                    "--set", "run.time_budget=100s"), timeout=200)
        check_code(result, 5)
        expect(any("No space left on device" in line for line in ours(result)), str(ours(result)))
        kept = check_file(staged.path, swmr=True)
        expect(sum(kept.values()) > 0, "no block was kept")
        there = list(tiny.glob("dlscale-*-run.h5"))
        expect(len(there) == 1 and there[0].read_bytes() == staged.path.read_bytes(), "not all that was flushed was copied")
