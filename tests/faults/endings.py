# SPDX-License-Identifier: BSD-3-Clause
"""Ranks that are killed, signalled or stopped. Run by program.py."""
import os
import random
import re
import signal
import subprocess
import time

from harness import (BINARY, HELD, JOB, KILLS, LONG, WORK, Wrong, check_code, check_file, expect, kill_left, mpirun,
                     rank_pids, read_cases, rows_kept, run, started)

# Short blocks: a rank is given twenty times what was expected of it, and the patience.
COLLECTIVE = ["--case", "collective op=allreduce bytes=4194304 min_time=20 blocks=100", "--set", "run.time_budget=60s"]
ALONE = ["--case", "gemm m=128 n=128 k=128 min_time=20 blocks=100", "--set", "run.time_budget=60s"]


def test_sigterm_to_root():
    path = WORK / "term.h5"
    held = ["--case", "gemm m=128 n=128 k=128 dtype=f64,f32 min_time=3", "--set", "run.time_budget=8s"]
    process = started(mpirun(2, "-o", path, *held), path, blocks=3)
    begin = time.monotonic()
    os.kill(rank_pids(process.pid)[0], signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    expect(time.monotonic() - begin < 10, "took too long")
    expect(process.returncode == 143, f"mpirun returned {process.returncode}")
    cases, status = read_cases(path)
    expect(status == "interrupted", f"status {status}")
    expect("--resume" in errors, "no word on how to go on")
    check_file(path)
    resumed = run(mpirun(2, "--resume", path), timeout=200)
    check_code(resumed, 0)
    again, status = read_cases(path)
    expect(status == "completed" and len(again) > len(cases), "resume did not complete it")
    check_file(path)


def test_sigterm_to_other_rank_and_to_mpirun():
    for victim in (1, None):
        path = WORK / f"term-{victim}.h5"
        process = started(mpirun(2, "-o", path, *LONG), path)
        os.kill(process.pid if victim is None else rank_pids(process.pid)[victim], signal.SIGTERM)
        process.communicate(timeout=30)
        expect(process.returncode != 0, "exit code 0 after SIGTERM")
        expect(read_cases(path)[1] == "interrupted", f"status {read_cases(path)[1]}")
        check_file(path)


def test_sigusr1_closes():
    path = WORK / "usr1.h5"
    process = started(mpirun(1, "-o", path, *LONG), path)
    os.kill(rank_pids(process.pid)[0], signal.SIGUSR1)
    process.communicate(timeout=30)
    expect(process.returncode == 128 + signal.SIGUSR1, f"mpirun returned {process.returncode}")
    expect(read_cases(path)[1] == "interrupted", "status")


def test_kills():
    generator = random.Random(int(os.environ.get("DLSCALE_SEED", "1")))
    for number in range(KILLS):
        path = WORK / f"kill{number}.h5"
        process = started(mpirun(2, "-o", path, "--quiet", *JOB, "--set", "run.time_budget=3s"), path, blocks=0)
        time.sleep(generator.uniform(0, 2.5))
        pids = rank_pids(process.pid)
        try:
            seen = check_file(path, swmr=True)
        except OSError:
            seen = {}  # the run had ended and was being closed
        victim = pids[generator.randrange(len(pids))] if pids else process.pid
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate(timeout=60)
        try:
            kept = check_file(path, swmr=True)
        except OSError:
            kept = check_file(path)
        lost = {case for case in seen if kept.get(case, 0) < seen[case]}
        expect(not lost, f"kill {number}: blocks of cases {lost} were lost")
        result = run(mpirun(2, "--resume", path))
        check_code(result, 0)
        after = check_file(path)
        expect(all(after[case] >= rows for case, rows in kept.items()), f"kill {number}: resume lost blocks")
        expect(read_cases(path)[1] == "completed", f"kill {number}: not completed by --resume")
        if number >= 2:
            path.unlink()


def test_recover():
    path = WORK / "recover.h5"
    process = started(mpirun(1, "-o", path, *LONG), path)
    os.kill(rank_pids(process.pid)[0], signal.SIGKILL)
    process.communicate(timeout=30)
    check_code(run([BINARY, "--recover", str(path)]), 0)
    check_file(path)  # plainly, without swmr
    expect(read_cases(path)[1] == "interrupted", "status")


def test_rank_killed():
    """SIGKILL of one rank of three, in a per-rank case and inside a collective: the root closes its file."""
    for name, job in (("alone", ALONE), ("collective", COLLECTIVE)):
        path = WORK / f"killed-{name}.h5"
        process = started(mpirun(3, "-o", path, *job), path, blocks=2)
        seen = check_file(path, swmr=True)
        os.kill(rank_pids(process.pid)[1], signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        expect(process.returncode == 128 + signal.SIGKILL, f"{name}: mpirun returned {process.returncode}")
        expect("closed (interrupted); go on with --resume" in errors, f"{name}: {errors[-400:]}")
        expect(read_cases(path)[1] == "interrupted", f"{name}: status {read_cases(path)[1]}")
        rows_kept(seen, path)


def test_wall_time():
    """As Slurm does: SIGTERM to every rank, SIGKILL to what is left after a while; then the job is queued again."""
    path = WORK / "wall.h5"
    process = started(mpirun(2, "-o", path, *HELD), path, blocks=3)
    seen = check_file(path, swmr=True)
    pids = rank_pids(process.pid)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    time.sleep(2)
    kill_left(pids)
    _, errors = process.communicate(timeout=30)
    expect(process.returncode == 128 + signal.SIGTERM, f"mpirun returned {process.returncode}")
    expect("go on with --resume" in errors, errors[-300:])
    expect(read_cases(path)[1] == "interrupted", f"status {read_cases(path)[1]}")
    rows_kept(seen, path)
    check_code(run(mpirun(2, "--resume", path), timeout=200), 0)
    rows_kept(seen, path)
    expect(read_cases(path)[1] == "completed", "not completed by --resume")


def test_hangup():
    """The terminal is gone: the file is closed; under nohup the run goes on."""
    path = WORK / "hangup.h5"
    process = started(mpirun(1, "-o", path, *LONG), path)
    os.kill(rank_pids(process.pid)[0], signal.SIGHUP)
    process.communicate(timeout=30)
    expect(process.returncode == 128 + signal.SIGHUP, f"mpirun returned {process.returncode}")
    expect(read_cases(path)[1] == "interrupted", "status")
    path = WORK / "nohup.h5"
    process = started(["nohup", BINARY, "-o", str(path), *HELD], path)
    os.kill(process.pid, signal.SIGHUP)
    process.communicate(timeout=90)
    expect(process.returncode == 0, f"under nohup: exit code {process.returncode}")
    expect(read_cases(path)[1] == "completed", "under nohup: status")


def test_reader_of_stdout_leaves():
    """dlscale | head: the run ends as it would, and its file is complete."""
    path = WORK / "pipe.h5"
    process = subprocess.Popen([BINARY, "-o", str(path), *JOB], cwd=WORK, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.close()
    expect(process.wait(timeout=90) == 0, f"exit code {process.returncode}")
    expect(read_cases(path)[1] == "completed", "status")


def test_watchdog():
    limit = 3
    path = WORK / "hang.h5"
    result = run(mpirun(3, "-o", path, *JOB, "--set", f"run.watchdog={limit}s", DLSCALE_TEST_FAULT="run:1:hang:3"),
                 DLSCALE_TEST_FAULT="run:1:hang:3")
    check_code(result, 6)
    expect(any("rank 1" in line for line in result.stderr.splitlines()), result.stderr[-400:])
    expect(read_cases(path)[1] == "failed", "status")
    check_file(path)


def stop_one(path, job, ranks, victim, limit=3):
    """Stops a rank; what the run said, and what was on disk before."""
    process = started(mpirun(ranks, "-o", path, *job, "--set", f"run.watchdog={limit}s"), path, blocks=2)
    pids = rank_pids(process.pid)
    seen = check_file(path, swmr=True)
    os.kill(pids[victim], signal.SIGSTOP)
    try:
        _, errors = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Wrong("the run hangs")
    finally:
        kill_left(pids)
    expect(process.returncode == 6, f"rank {victim} stopped: exit code {process.returncode}: {errors[-300:]}")
    return errors, seen


def test_rank_stopped():
    """The watchdog names the rank within its limit; the file is closed by the root, or whole if that is the rank."""
    limit = 3
    for name, job, victim in (("alone", ALONE, 1), ("collective", COLLECTIVE, 1), ("root", ALONE, 0)):
        path = WORK / f"stopped-{name}.h5"
        errors, seen = stop_one(path, job, 2, victim, limit)
        named = re.search(r"^dlscale: rank (\d+) \(host .*\) did not (?:arrive at|finish) '(.*)' within (\d+) s "
                          r"\(last word: (.*?)\)", errors, re.M)
        expect(named, f"{name}: no rank is named: {errors[-400:]}")
        expect(int(named[1]) == victim, f"{name}: {named[0]}")
        # Its limit is the patience and twenty times what was expected; rank 1 gives rank 0 two seconds more.
        expect(limit <= int(named[3]) <= 60, f"{name}: {named[0]}")
        if victim == 0:
            rows_kept(seen, path, swmr=True)
            continue
        cases, status = read_cases(path)  # plainly: it was closed
        expect(status == "failed", f"{name}: status {status}")
        expect(any(named[0].removeprefix("dlscale: ")[:40] in c["message"].decode() for c in cases), f"{name}: not in the file")
        expect(len([line for line in errors.splitlines() if "closed (failed)" in line]) == 1, f"{name}: {errors[-400:]}")
        rows_kept(seen, path)
