# SPDX-License-Identifier: BSD-3-Clause
"""Wrong numbers and exceptions on one rank, planted in the running program. Run by program.py."""
import h5py

from harness import JOB, WORK, check_code, check_file, expect, mpirun, read_cases, run

# Every workload that leaves numbers behind; the roofs (fma, triad, pairwise) come with them.
EVERY = ["--set", "run.time_budget=4s"] + [word for case in (
    "gemm m=64 n=48 k=80 dtype=f64,f32", "conv2d batch=2 channels=4 height=9 width=9 filters=8",
    "infer batch=4", "collective op=allreduce,allgather,alltoall bytes=4096", "pairwise bytes=1024",
    "pdgemm m=96 n=96 k=96 mb=16 nb=16", "triad", "fma", "noop delay=1e-4") for word in ("--case", case)]


def test_damaged_results():
    """One bit, then one NaN, in what every case left on rank 1: each is a failed case; without damage none is."""
    for kind in ("", "flip", "nan"):
        path = WORK / f"damaged-{kind}.h5"
        fault = f"result:1:{kind}:*" if kind else ""
        result = run(mpirun(2, "-o", path, *EVERY, DLSCALE_TEST_FAULT=fault), DLSCALE_TEST_FAULT=fault)
        check_code(result, 1 if kind else 0)
        cases, status = read_cases(path)
        expect(status == ("failed" if kind else "completed"), f"{kind}: status {status}")
        for case in cases:
            name, state = case["workload"].decode(), case["status"].decode()
            damaged = bool(kind) and name != "noop"
            expect(state == ("failed" if damaged else "completed"), f"{kind}: {name} {case['dtype']} is {state}")
            expect(case["check_passed"] == (0 if damaged else 1), f"{kind}: {name}: check_passed {case['check_passed']}")
            # The check of C is made by all ranks of the grid together: each of them sees that it is wrong.
            named = b"2 of 2 ranks" if name == "pdgemm" else b"rank 1"
            expect(not damaged or named in case["message"], f"{kind}: {name}: {case['message']}")
            expect(case["samples"] > 0, f"{kind}: {name}: its samples are not kept")
        check_file(path)
        seen = {case["workload"].decode() for case in cases}
        missing = {"gemm", "conv2d", "infer", "collective", "pairwise", "pdgemm", "triad", "fma", "noop"} - seen
        expect(not missing, f"not run: {missing}")


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
