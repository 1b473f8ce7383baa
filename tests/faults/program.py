# SPDX-License-Identifier: BSD-3-Clause
"""The whole program under faults, as a user would meet them. Prints `ok NAME`, `FAILED NAME: why`, `SKIPPED NAME: why`."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import h5py

import networks
from harness import (BINARY, JOB, KILLS, LONG, ROOT, WORK, Skipped, Wrong, check_code, check_file, expect, mpirun, ours,
                     rank_pids, read_cases, run, run_named, started)


# --- the tests -------------------------------------------------------------------------------------------------------

def test_ranks_1_to_8():
    for ranks in range(1, 9):
        path = WORK / f"ranks{ranks}.h5"
        slow = ranks - 1
        # The report wants several blocks: more ranks than cores take longer for one.
        result = run(mpirun(ranks, "-o", path, "--case", f"noop delay=0.003 delay_rank={slow}", "--case",
                            "gemm m=64 n=64 k=64", "--set", f"run.time_budget={4 if ranks <= 4 else 10}s"))
        check_code(result, 0)
        cases, status = read_cases(path)
        expect(status == "completed", f"status {status}")
        expect(all(c["status"] == b"completed" for c in cases), "a case is not completed")
        check_file(path)
        with h5py.File(path) as file:
            expect(file["system/ranks"].shape == (1, ranks), "ranks table")
        if ranks > 1:
            named = [line for line in result.stdout.splitlines() if line.startswith("look at")]
            expect(len(named) == 1 and f"rank {slow} " in named[0], f"{ranks} ranks: {named}")
            report = run([str(ROOT / "analysis" / "dlscale-report"), str(path)])
            check_code(report, 0)
            expect(f"rank {slow}" in report.stdout, f"{ranks} ranks: the report does not name rank {slow}")


def test_bad_input():
    bad = WORK / "bad.toml"
    bad.write_text('[[case]]\nworkload = "gemm"\nm = 10\nbetta = 1.0\n')
    for arguments, words in [(["--bloks"], ["--bloks"]), ([bad], ["bad.toml:4", "betta", "beta"]),
                             (["nowhere.toml"], ["nowhere.toml"]), (["--set", "sampling.blocks=-3"], ["blocks"]),
                             (["--case", "gemm m=-1"], ["m"]), (["--case", "gemn m=1"], ["gemn", "gemm"]),
                             (["--case", "gemm m=2147483647 n=2147483647 k=2147483647"], ["overflow"]),
                             (["--resume", "missing.h5"], ["missing.h5"])]:
        for ranks in (1, 3):
            before = set(WORK.glob("*.h5"))
            result = run(mpirun(ranks, *arguments))
            check_code(result, 2)
            lines = ours(result)
            expect(len(lines) == 1, f"{arguments}: {len(lines)} messages: {result.stderr[-500:]}")
            expect(all(word in lines[0] for word in words), f"{arguments}: {lines[0]}")
            expect(set(WORK.glob("*.h5")) == before, f"{arguments}: a file was made")


def test_output_refused():
    path = WORK / "exists.h5"
    path.write_text("precious")
    result = run(mpirun(2, "-o", path, *JOB))
    check_code(result, 5)
    expect(path.read_text() == "precious", "the existing file was touched")
    expect(len(ours(result)) == 1 and "exists.h5" in ours(result)[0], str(ours(result)))
    check_code(run(mpirun(2, "-o", WORK / "no" / "such" / "folder.h5", *JOB)), 5)


def test_second_run_on_same_output():
    path = WORK / "shared.h5"
    first = started(mpirun(2, "-o", path, *LONG), path)
    try:
        for arguments in (["-o", path, *JOB], ["--resume", path]):
            second = run(mpirun(2, *arguments))
            expect(second.returncode == 5, f"{arguments[0]}: exit code {second.returncode}: {second.stderr[-300:]}")
        expect(first.poll() is None, "the first run ended")
    finally:
        first.terminate()
        first.communicate(timeout=30)
    check_file(path)


def test_sigterm_to_root():
    path = WORK / "term.h5"
    held = ["--case", "gemm m=128 n=128 k=128 dtype=f64,f32 min_time=4", "--set", "run.time_budget=12s"]
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
        process = started(mpirun(2, "-o", path, "--quiet", *JOB), path, blocks=0)
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
    result = run(mpirun(3, "--resume", path))
    check_code(result, 2)
    expect("2 ranks" in ours(result)[0] and "3" in ours(result)[0], str(ours(result)))
    job = WORK / "other.toml"
    job.write_text('[[case]]\nworkload = "gemm"\nm = 10\n')
    result = run(mpirun(2, job, "--resume", path))
    check_code(result, 2)
    expect("job" in ours(result)[0], str(ours(result)))


def test_disk_full():
    mount = WORK / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(mount)], capture_output=True).returncode:
        raise Skipped("mounting a tmpfs is not allowed here")
    try:
        path = mount / "full.h5"
        result = run(mpirun(2, "-o", path, "--case", "noop delay=0,1e-9,2e-9,3e-9,4e-9,5e-9 min_time=20 blocks=100",
                            "--set", "run.time_budget=100s"), timeout=200)
        check_code(result, 5)
        expect(any("space" in line for line in ours(result)), f"no word of the disk: {ours(result)}")
        copy = WORK / "full-copy.h5"
        shutil.copy(path, copy)
        rows = check_file(copy, swmr=True)
        expect(sum(rows.values()) > 0, "no block was kept")
    finally:
        subprocess.run(["umount", str(mount)], check=False)
    return None


def test_failure_on_one_rank():
    for stage, word in (("prepare", "planted"), ("verify", "planted")):
        path = WORK / f"{stage}.h5"
        result = run(mpirun(3, "-o", path, *JOB, DLSCALE_TEST_FAULT=f"{stage}:1:throw:3"), DLSCALE_TEST_FAULT=f"{stage}:1:throw:3")
        check_code(result, 1)
        cases, status = read_cases(path)
        states = [c["status"].decode() for c in cases]
        expect(states.count("failed") == 1 and states[3] == "failed", f"{stage}: {states}")
        expect(states.count("completed") == len(states) - 1, f"{stage}: another case suffered: {states}")
        expect(word in cases[3]["message"].decode() and "rank 1" in cases[3]["message"].decode(), cases[3]["message"])
    path = WORK / "wrong.h5"
    result = run(mpirun(2, "-o", path, *JOB, DLSCALE_TEST_FAULT="verify:1:wrong:3"), DLSCALE_TEST_FAULT="verify:1:wrong:3")
    check_code(result, 1)
    cases, _ = read_cases(path)
    expect(cases[3]["status"] == b"failed" and cases[3]["check_passed"] == 0, "NaN passed")
    expect("WRONG" in result.stdout or "failed" in result.stdout, "the summary is silent")


def test_failure_before_preparing_together():
    """A rank that fails before the others wait for it in prepare(): its case fails, the run goes on."""
    for case in ("pdgemm m=64 n=64 k=64", "train parallel=data image=8 batch=4 data=random", "collective bytes=64"):
        name = case.split()[0]
        job = ["--case", case, "--case", "gemm m=64 n=64 k=64", "--set", "run.time_budget=2s"]
        path = WORK / f"before-{name}.h5"
        check_code(run(mpirun(2, "-o", path, *job)), 0)
        victim = next(int(c["id"]) for c in read_cases(path)[0] if c["workload"].decode() == name)
        fault, path = f"prepare:1:throw:{victim}", WORK / f"before-{name}-fault.h5"
        result = run(mpirun(2, "-o", path, *job, DLSCALE_TEST_FAULT=fault), DLSCALE_TEST_FAULT=fault)
        check_code(result, 1)
        cases, _ = read_cases(path)
        states = [c["status"].decode() for c in cases]
        expect(states[victim] == "failed" and states.count("completed") == len(states) - 1, f"{name}: {states}")
        expect("rank 1" in cases[victim]["message"].decode(), f"{name}: {cases[victim]['message']}")


def test_failure_inside_run():
    """One rank's run() throws, in its first batch or inside a block: its case fails, and no other suffers."""
    for ranks, victim, stage in ((3, 2, "run"), (3, 0, "run"), (1, 0, "run"), (3, 1, "block"), (2, 0, "block")):
        what = f"{stage} of rank {victim} of {ranks}"
        path = WORK / f"inside-{stage}-{ranks}-{victim}.h5"
        fault = f"{stage}:{victim}:throw:4"
        result = run(mpirun(ranks, "-o", path, *JOB, DLSCALE_TEST_FAULT=fault), DLSCALE_TEST_FAULT=fault)
        check_code(result, 1)
        expect("planted" in result.stdout, f"{what}: the summary is silent: {result.stdout[-400:]}")
        cases, status = read_cases(path)
        expect(status == "failed", f"{what}: status {status}")
        states = [c["status"].decode() for c in cases]
        message = cases[4]["message"].decode()
        expect(states[4] == "failed" and states.count("completed") == len(states) - 1, f"{what}: {states}")
        expect(message.startswith(f"rank {victim}: planted") and " on " in message, f"{what}: {message}")
        rows = check_file(path)[4]
        with h5py.File(path) as file:
            start = file["samples/0004/start"][()]
            block = file["samples/0004/block"][()]
        expect(start.shape[0] == rows, f"{what}: {rows} rows are counted, {start.shape[0]} are there")
        absent = start[:, victim] < 0
        expect(absent.any() and not (start < 0)[:, [r for r in range(ranks) if r != victim]].any(),
               f"{what}: another rank's samples are absent")
        first = int(absent.argmax())
        expect(absent[first:].all(), f"{what}: samples after the failed one")
        if stage == "block":
            expect(block[first] == block[-1] == 0 and start[0, victim] >= 0, f"{what}: not inside block 0: {block}")
        resumed = run(mpirun(ranks, "--resume", path))
        check_code(resumed, 1)  # the failed case stays failed
        expect([c["status"].decode() for c in read_cases(path)[0]] == states, f"{what}: resume changed the cases")


def test_watchdog():
    limits = ["--set", "run.watchdog=3s"]
    path = WORK / "hang.h5"
    result = run(mpirun(3, "-o", path, *JOB, *limits, DLSCALE_TEST_FAULT="run:1:hang:3"), DLSCALE_TEST_FAULT="run:1:hang:3")
    check_code(result, 6)
    expect(any("rank 1" in line for line in result.stderr.splitlines()), result.stderr[-400:])
    expect(read_cases(path)[1] == "failed", "status")
    check_file(path)
    for victim in (0, 1):
        path = WORK / f"stopped-{victim}.h5"
        process = started(mpirun(2, "-o", path, *LONG, *limits), path)
        pids = rank_pids(process.pid)
        os.kill(pids[victim], signal.SIGSTOP)
        try:
            _, errors = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Wrong("the run hangs")
        finally:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        expect(process.returncode == 6, f"rank {victim} stopped: exit code {process.returncode}: {errors[-300:]}")
        expect(f"rank {victim}" in errors, f"rank {victim} is not named: {errors[-300:]}")
        check_file(path, swmr=victim == 0)


def test_mislaunch():
    launchers = ({"PMI_SIZE": "4", "PMI_RANK": "0"}, {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"})
    for number, variables in enumerate(launchers):
        result = run([BINARY, *JOB, "-o", str(WORK / "single.h5")], **variables)
        check_code(result, 4)
        expect(len(ours(result)) == 1 and "singletons" in ours(result)[0], str(ours(result)))
        result = run([BINARY, *JOB, "-o", str(WORK / f"allowed{number}.h5"), "--allow", "singletons"], **variables)
        check_code(result, 0)
    threads = run(["mpirun", "--oversubscribe", "-np", "1", "--bind-to", "core", BINARY, *JOB, "--threads", "2", "-o",
                   str(WORK / "threads.h5")])
    check_code(threads, 0)
    expect("PE=2" in threads.stdout and "PE=2" in threads.stderr, "2 threads on one core: the flag is not named")
    cuda = run(mpirun(2, "--device", "cuda", *JOB))
    if cuda.returncode != 4:
        expect(cuda.returncode == 0, f"--device cuda: {cuda.returncode}")
    else:
        expect(len(ours(cuda)) == 1 and "GPU" in ours(cuda)[0], str(ours(cuda)))


def test_skipped_and_missed():
    path = WORK / "skip.h5"
    result = run(mpirun(2, "-o", path, "--case", "gemm m=500000 n=500000 k=500000", *JOB))
    check_code(result, 0)
    cases, _ = read_cases(path)
    skipped = [c for c in cases if c["status"] == b"skipped"]
    expect(len(skipped) == 1 and b"GiB" in skipped[0]["message"] or b"TiB" in skipped[0]["message"], str(skipped))
    job = WORK / "require.toml"
    job.write_text('[run]\ntime_budget = 2\n[[case]]\nworkload = "gemm"\nm = 64\nn = 64\nk = 64\nrequire = { max_time = 1e-12 }\n')
    result = run(mpirun(1, job, "-o", WORK / "require.h5"))
    check_code(result, 3)
    expect("max_time" in result.stdout, "the summary does not name it")


def test_selftest():
    path = WORK / "selftest.h5"
    result = run(mpirun(2, "--selftest", "--only", "noop*", "--only", "triad*", "-o", path))
    check_code(result, 0)
    expect("rank 1 on" in result.stdout, "the delayed rank is not named")
    # A detection that finds nothing must fail: with the delay gone there is nobody to name.
    # On a shared machine that rank may really be slower for a while, and be named for it: not three times in a row.
    for attempt in range(3):
        result = run(mpirun(2, "--selftest", "--only", "triad*", "-o", WORK / f"blind{attempt}.h5"))
        if result.returncode != 0:
            break
    check_code(result, 1)
    expect("is not named" in result.stdout, "the failed self-test says nothing")


if __name__ == "__main__":
    sys.exit(run_named({**globals(), **vars(networks)}, "faults", sys.argv[1:]))
