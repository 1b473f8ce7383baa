# SPDX-License-Identifier: BSD-3-Clause
"""Scaling by the whole program: the summary and the analysis say the same of one run, and losses that are planted stand in
their own terms of the ledger.

    python3 tests/scaling.py BINARY FOLDER [NAME …]      prints `ok NAME`, `FAILED NAME: why`
"""
import json
import os
import pathlib
import re
import subprocess
import sys

import h5py
import numpy as np

from named_tests import Skipped, expect, run_named

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "analysis"))
from dlscale_analysis.load import load  # noqa: E402
from dlscale_analysis.overview import look  # noqa: E402

PRINTED = 0.051  # points: half of the digit that is printed
BINARY, WORK = os.path.realpath(sys.argv[1]), pathlib.Path(sys.argv[2])
os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def run(ranks, name, *arguments, code=0, **environment):
    """Standard output, and the path of the file, of a run with this exit code."""
    path = WORK / f"{name}.h5"
    command = ["mpirun", "--oversubscribe", "-np", str(ranks), BINARY, *arguments, "--threads", "1", "--quiet", "-o", str(path)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=90,
                          stdin=subprocess.DEVNULL)
    expect(done.returncode == code, f"exit code {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout, path


def need_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        raise Skipped("two ranks need a core each: they would wait for one that is not running")


def unwrapped(text):
    """The lines of the summary as they were before they were broken at 80 columns."""
    return re.sub(r"\n {12}", " ", text)


def test_summary_and_analysis_agree():
    """Efficiencies, losses, bus bandwidth and the worst pair of scaling-quick, from the run and from its file."""
    need_two_cores()
    text, path = run(2, "agree", "scaling-quick", "--set", "run.time_budget=12s")
    summary = unwrapped(text)
    with load(str(path)) as file:
        view = look(file).scaling
        expect(len(view.curves) == 2, f"{len(view.curves)} curves instead of training and product")
        foms = dict(re.findall(r"^FOM: (\S+)_efficiency = (\S+) 1$", text, re.M))
        for entry in view.curves:
            point = entry.curve.last
            (value,) = [float(v) for name, v in foms.items() if name.startswith(entry.curve.workload)]
            expect(abs(value / point.efficiency.median - 1) < 1e-5, f"E {value} and {point.efficiency.median}")
            if point.efficiency.valid:
                ends = f"E = {value:.3f} [{point.efficiency.low:.3f}, {point.efficiency.high:.3f}]"
                expect(ends in summary, f"no '{ends}' in the summary")
        shown = re.findall(r"(train|pdgemm)[^·:]* on 2 ranks: (-?[\d.]+) points by ([a-z +]+?)(?: ·|\n|$)", summary)
        terms = {(entry.curve.workload, term.title): ledger.points(term)
                 for entry in view.curves for ledger in entry.ledgers for term in ledger.terms}
        expect({title for _, title in terms} >= {"granularity", "sharing", "interference", "waiting", "skew"}, str(terms))
        largest = max(terms.values())
        for workload, points, title in shown:
            mine = terms.get((workload, title.strip()))
            expect(mine is not None and abs(mine - float(points)) < PRINTED, f"{workload} {title}: {points}, analysis {mine}")
        others = [float(points) for points in re.findall(r"([\d.]+) points by sharing the node", summary)]
        most = max([float(points) for _, points, _ in shown] + others, default=0.0)
        expect(most >= largest - PRINTED, f"the largest loss, {largest}, is not in the summary: {shown} {others}")
        (pair,) = [pairs for pairs in view.pairs if pairs.bytes > 1000]
        row = pair.table.iloc[0]
        expect(f"ranks 0 – 1 on {row.host_a}" in summary and "the only pair" in summary, "the pair is not named")
        expect(re.search(r"^all-reduce +[\d.]+ [MG]B/s bus bandwidth at 1.61 MiB f32 on 2 ranks", summary, re.M), summary)
        share = re.search(r"(\d+) % of what the median pair allows", summary)
        mine = 100 * float(view.bus["roof_share"].iloc[0])
        # The analysis takes a pair's median over samples, the run that of its blocks' medians, which noise tells apart; a
        # wrong definition (both directions, other bytes) is off by a factor of two.
        expect(share and abs(int(share.group(1)) - mine) <= 0.25 * mine, f"share of the pairs {share}, analysis {mine}")


PLANTED_S = 0.2
CASE = "train batch=16 data=random train_images={} check_replicas=0 parallel=data overlap=none ranks={} series={} role={}"


def test_planted_losses_land():
    """One rank that is late in every repetition, one that goes on longer, an MPI that is slow: each in its own term. The
    planted times are lower bounds, and far above what the rest takes."""
    need_two_cores()
    plants = {"early": ("before", 1), "late": ("after", 1), "slow": ("mpi", "*")}
    cases = []
    for i, name in enumerate(plants):
        for ranks, role in ((1, "base"), (2, name)):
            cases += ["--case", CASE.format(10**6 + i, ranks, name, role)]
    loss = ";".join(f"{kind}:{PLANTED_S}:{rank}:{name}" for name, (kind, rank) in plants.items())
    _, path = run(2, "planted", *cases, "--set", "run.time_budget=20s", DLSCALE_TEST_LOSS=loss)
    with load(str(path)) as file:
        found = {}
        for entry in look(file).scaling.curves:
            (ledger,) = entry.ledgers
            found[file.case(ledger.case)["series"]] = ledger
        expect(set(found) == set(plants), f"curves {set(found)}")
        seconds = {name: {term.title: term.loss.median for term in ledger.terms} for name, ledger in found.items()}
        buckets = file.case(found["slow"].case)["results"]["parallel"]["buckets"]
    half = PLANTED_S / 2  # of two ranks one waits
    # 0.7: who waits may have been late by itself, by up to 30 % of what is planted. 0.5: more than that is another term's.
    expected = {"early": ("waiting", half), "late": ("skew", half), "slow": ("exposed communication", PLANTED_S * buckets)}
    for name, (title, planted) in expected.items():
        terms = seconds[name]
        expect(terms[title] > 0.7 * planted, f"{name}: {title} is {terms[title]:.3f} s of {planted} s planted: {terms}")
        for other in {"waiting", "skew", "exposed communication"} - {title}:
            expect(terms[other] < 0.5 * planted, f"{name}: {other} is {terms[other]:.3f} s, too: {terms}")
    return f"{buckets} bucket{'s' if buckets > 1 else ''}"


def test_sweep_of_eight_ranks():
    """1 … 8 ranks on however many cores: everything right, and every number carries its mark."""
    cases = ["train batch=8 data=random train_images=4096 parallel=data ranks=sweep", "pdgemm m=96 n=80 k=112 ranks=sweep",
             "collective bytes=4096 ranks=sweep", "pairwise bytes=1024 rounds=7"]
    arguments = [word for case in cases for word in ("--case", case)]
    text, path = run(8, "sweep", *arguments, "--set", "run.time_budget=20s")
    with h5py.File(path) as file:
        table = file["cases"][()]
        asked = table[np.isin(table["workload"], [b"train", b"pdgemm", b"collective", b"pairwise"])]
    for workload in ("train", "pdgemm", "collective"):
        counts = set(asked["ranks"][asked["workload"] == workload.encode()].tolist())
        expect(counts == {1, 2, 4, 8}, f"{workload} ran on {counts}")
    expect((asked["status"] == b"completed").all(), str(asked["status"]))
    expect((asked["check_passed"] == 1).all(), "a check failed")
    for row in asked[asked["workload"] == b"collective"]:
        roofs = [table[table["id"] == roof][0] for roof in json.loads(row["results"].decode())["roofs"]]
        kinds = [(roof["workload"].decode(), int(roof["ranks"])) for roof in roofs]
        wanted = [] if row["ranks"] == 1 else [("pairwise", row["ranks"])] * 2
        expect(kinds == wanted, f"roofs of the collective on {row['ranks']} ranks: {kinds}")
    crowded = len(os.sched_getaffinity(0)) < 8
    summary = unwrapped(text)
    expect(("OVERSUBSCRIBED" in summary) == crowded, "the run is not marked")
    if not crowded:
        return "enough cores: nothing to mark"
    for label in ("worst pair", "all-reduce", "scaling"):
        lines = re.findall(f"^{label} .*$", summary, re.M)
        expect(lines and all("*" in line for line in lines), f"missing or not marked: {label} {lines}")
    expect("_efficiency" not in text, "an efficiency of ranks that take turns is no figure of merit")
    with load(str(path)) as file:
        view = look(file).scaling
        expect(view.crowded and all(entry.curve.crowded for entry in view.curves), "the analysis does not mark it")
        expect({entry.curve.workload for entry in view.curves} == {"train", "pdgemm"}, str(view.curves))
    return f"{len(asked)} cases"


def test_required_efficiency():
    """Two ranks can't multiply matrices of 48 columns twice as fast; a thousandth of it they can."""
    job = WORK / "efficiency.toml"
    curve = '[[case]]\nworkload = "pdgemm"\nm = 48\nn = 48\nk = 48\nranks = "sweep"\n'
    job.write_text(f"[run]\ntime_budget = 4\n{curve}label = \"high\"\nrequire = {{ min_efficiency = 0.999 }}\n"
                   f"{curve}label = \"low\"\nrequire = {{ min_efficiency = 0.001 }}\n")
    text, path = run(2, "efficiency", str(job), code=3)
    expect("FOM: exit_code = 3 1" in text, text[-300:])
    with load(str(path)) as file:
        missed = look(file).missed
    expect(len(missed) == 1, f"{len(missed)} cases missed: {[row['message'] for row in missed]}")
    words = missed[0]["message"]
    expect(words.startswith("require min_efficiency = 0.999 missed (0.") and "from 1 to 2 ranks" in words, words)


if __name__ == "__main__":
    sys.exit(run_named(globals(), "scaling", sys.argv[3:]))
