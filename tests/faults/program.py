# SPDX-License-Identifier: BSD-3-Clause
"""The whole program under faults, as a user would meet them. Prints `ok NAME`, `FAILED NAME: why`, `SKIPPED NAME: why`.
What is tested where: endings.py (killed, signalled, stopped), output.py and staged.py (disks and file servers), memory.py,
results.py and networks.py (wrong numbers), resume.py, table.py (docs/faults.md itself); the rest is here."""
import concurrent.futures
import sys

import h5py

import endings
import memory
import networks
import output
import results
import resume
import staged
import table
from harness import BINARY, JOB, ROOT, WORK, check_code, check_file, expect, mpirun, ours, read_cases, run, run_named


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
            # Others may really be slow on a machine that does other work.
            said = result.stdout[result.stdout.index("look at"):].splitlines()
            expect(any(f"rank {slow} on" in line and "late in noop" in line for line in said), f"{ranks} ranks: {said}")
            report = run([str(ROOT / "analysis" / "dlscale-report"), str(path)])
            check_code(report, 0)
            expect(f"rank {slow}" in report.stdout, f"{ranks} ranks: the report does not name rank {slow}")


def test_bad_input():
    bad = WORK / "bad.toml"
    bad.write_text('[[case]]\nworkload = "gemm"\nm = 10\nbetta = 1.0\n')
    wanted = []
    for arguments, words in [(["--bloks"], ["--bloks"]), ([bad], ["bad.toml:4", "betta", "beta"]),
                             (["nowhere.toml"], ["nowhere.toml"]), (["--set", "sampling.blocks=-3"], ["blocks"]),
                             (["--case", "gemm m=-1"], ["m"]), (["--case", "gemn m=1"], ["gemn", "gemm"]),
                             (["--case", "gemm m=2147483647 n=2147483647 k=2147483647"], ["overflow"]),
                             (["--resume", "missing.h5"], ["missing.h5"])]:
        wanted += [(arguments, words, ranks) for ranks in (1, 3)]
    before = set(WORK.glob("*.h5"))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # mpirun takes a second to end what failed, and waits in it
        results = list(pool.map(lambda each: run(mpirun(each[2], *each[0])), wanted))
    for (arguments, words, ranks), result in zip(wanted, results):
        expect(result.returncode == 2, f"{arguments} on {ranks} ranks: exit code {result.returncode}: {result.stderr[-600:]}")
        lines = ours(result)
        expect(len(lines) == 1, f"{arguments} on {ranks} ranks: {len(lines)} messages: {result.stderr[-500:]}")
        expect(all(word in lines[0] for word in words), f"{arguments} on {ranks} ranks: {lines[0]}")
    expect(set(WORK.glob("*.h5")) == before, "a file was made")


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
    # Nothing is known of a skipped case: it misses what is required of it.
    path = WORK / "require_skipped.h5"
    job.write_text('[run]\ntime_budget = 2\n[[case]]\nworkload = "gemm"\nm = 500000\nn = 500000\nk = 500000\nrequire = { max_time = 1e9 }\n')
    result = run(mpirun(1, job, "-o", path))
    check_code(result, 3)
    expect("max_time" in result.stdout, "the summary does not name what a skipped case missed")
    message = next(c["message"] for c in read_cases(path)[0] if c["status"] == b"skipped")
    expect(b"iB" in message and b"max_time" in message, str(message))
    check_code(run(mpirun(1, "--resume", path)), 3)


def test_selftest():
    path = WORK / "selftest.h5"
    result = run(mpirun(2, "--selftest", "--only", "noop*", "--only", "triad*", "-o", path))
    check_code(result, 0)
    expect("rank 1 on" in result.stdout, "the delayed rank is not named")
    # A detection that finds nothing must fail: with the delay gone there is nobody to name.
    # On a shared machine that rank may really be slower for a while, and be named for it: not three times in a row.
    for attempt in range(3):
        result = run(mpirun(2, "--selftest", "--only", "triad*", "--set", "run.time_budget=10s", "-o",
                            WORK / f"blind{attempt}.h5"))
        if result.returncode != 0:
            break
    check_code(result, 1)
    expect("is not named" in result.stdout, "the failed self-test says nothing")


if __name__ == "__main__":
    modules = (endings, output, staged, memory, results, networks, resume, table)
    tests = {name: test for module in modules for name, test in vars(module).items() if name.startswith("test_")}
    sys.exit(run_named({**globals(), **tests}, "faults", sys.argv[1:]))
