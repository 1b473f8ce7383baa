#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Losses that are known, planted into real data-parallel training: does each land in its own term of the ledger?

    python3 tests/peers/planted_losses.py [build/dlscale] [milliseconds = 10] [seconds per run = 120] [ranks = 2] [pattern]

One run per loss. In it the same training is measured with and without the loss, in 30 blocks that alternate, each with its own
shares alone, together and without communication. A term's change is the median over blocks of its differences inside a
block's round, in points of T with the loss; it is met within 2 points. Needs a quiet machine with a core per rank,
for the neighbour one more.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "analysis"))
import numpy as np  # noqa: E402
from dlscale_analysis.bars import read_bars  # noqa: E402
from dlscale_analysis.load import load  # noqa: E402
from dlscale_analysis.overview import look  # noqa: E402

binary = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "build/dlscale")
lost = 1e-3 * float(sys.argv[2] if len(sys.argv) > 2 else 10)
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 120
ranks = int(sys.argv[4]) if len(sys.argv) > 4 else 2
pattern = sys.argv[5] if len(sys.argv) > 5 else ""
NEAR = 2.0  # points
PLAIN = "as it is"

TERMS = ("granularity", "sharing", "interference", "waiting", "communication", "skew")
CASE = """
[[case]]
workload = "train"
series = "{series}"
role = "{role}"
model = "topflight-cnn"
data = "random"
train_images = {images}
check_replicas = 0
{keys}
"""


def cases(series, images, role, together):
    """Base, point, own shares and the run without communication; the loss goes to those that have the role."""
    other = role if together else PLAIN
    kinds = [(PLAIN, "parallel = 'data'\nranks = 1"), (role, f"parallel = 'data'\nranks = {ranks}"),
             (PLAIN, "occupancy = 'alone'"), (other, "occupancy = 'together'"),
             (other, f"parallel = 'data'\ncommunicate = false\nranks = {ranks}")]
    return "".join(CASE.format(series=series, images=images, role=one, keys=keys) for one, keys in kinds)


def blocks_of(run, case, name):
    """Mean of every block [block]: a quantity of Bars, or (name None) the ranks' own times."""
    if name is not None:
        bars = read_bars(run, run.case(case))
        return bars.blocks_of(bars.values[name])
    samples = run.samples(case)
    found = samples.seconds(measured=True)
    return np.array([np.nanmean(found[samples.block == b]) for b in np.unique(samples.block) if b >= 0])


def terms_of(run, series):
    """Seconds of T and of every term in every block's round."""
    cases = run.cases[run.cases["series"] == series]
    parallel = cases["params"].map(lambda p: p["parallel"] == "data" and p["communicate"])
    base, point = (int(cases[parallel & (cases["ranks"] == p)]["id"].iloc[0]) for p in (1, ranks))
    own = cases[cases["params"].map(lambda p: p["parallel"] == "none")]
    alone, together = (blocks_of(run, int(own[own["occupancy"] == word]["id"].iloc[0]), None)
                       for word in ("alone", "together"))
    ideal, wall, mine, blocked, waiting = blocks_of(run, base, "wall"), *(
        blocks_of(run, point, name) for name in ("wall", "own", "blocked", "waiting"))
    n = min(map(len, (ideal, alone, together, wall)))
    ideal, alone, together, wall, mine, blocked, waiting = (
        values[:n] for values in (ideal, alone, together, wall, mine, blocked, waiting))
    return {"wall": wall, "granularity": alone - ideal, "sharing": together - alone,
            "interference": mine - blocked - together, "waiting": waiting, "communication": blocked - waiting,
            "skew": wall - mine, "lost": wall - ideal}


def run(plant, together=False):
    """Ledgers without and with the loss."""
    with tempfile.TemporaryDirectory() as folder:
        job = pathlib.Path(folder, "planted.toml")
        job.write_text(f"[run]\nname = 'planted'\nthreads = 1\ntime_budget = '{seconds}s'\n"
                       "[sampling]\nblocks = 30\ninterval = 1e-6\n"
                       + cases("clean", 10**8, PLAIN, False) + cases("planted", 10**8 + 64, "planted", together),
                       encoding="utf-8")
        environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                       "DLSCALE_TEST_LOSS": plant}
        # A neighbour must find another core than its rank's.
        command = ["mpirun", "-np", str(ranks), "--bind-to", "none", binary, str(job), "--quiet", "-o", f"{folder}/p.h5"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False,
                              timeout=3 * seconds + 60)
        if done.returncode != 0:
            sys.exit(f"exit code {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
        with load(f"{folder}/p.h5") as run_file:
            ledgers = {}
            for curve in look(run_file).scaling.curves:
                ledgers[run_file.case(curve.curve.base.case)["series"]] = curve.ledgers[0]
            calls = run_file.case(ledgers["planted"].case)["results"]["parallel"]["buckets"]
            return terms_of(run_file, "clean"), terms_of(run_file, "planted"), ledgers, calls


others = (ranks - 1) / ranks
ALL = None  # the whole loss, whose size is not known beforehand
PLANTS = {
    "one rank begins late": (f"before:{lost}:{ranks - 1}:planted", {"interference": lost / ranks, "waiting": lost * others}),
    "one rank ends late": (f"after:{lost}:{ranks - 1}:planted", {"interference": lost / ranks, "skew": lost * others}),
    "MPI is slow": (f"mpi:{lost}:*:planted", {"communication": lost}),  # in every call: times the buckets
    "extra local work": (f"before:{lost}:*:planted", {"interference": lost}),
    "what runs together is slower": (f"before:{lost}:*:planted", {"sharing": lost}),
    "a neighbour in memory": ("neighbour:0:0:planted", {"sharing": ALL}),
}
verdicts = []
for title, (plant, expected) in PLANTS.items():
    if pattern not in title:
        continue
    if plant.startswith("neighbour") and len(os.sched_getaffinity(0)) <= ranks:
        print(f"{title}: not run: it needs a core beside those of {ranks} ranks, or it takes one of theirs")
        continue
    clean, planted, ledgers, calls = run(plant, together="sharing" in expected)
    n = min(len(clean["wall"]), len(planted["wall"]))
    wall = float(np.median(planted["wall"]))

    def change_of(name):
        """Median over the rounds, and how far it may be off: 1.25 × scatter / √n, in points."""
        difference = 100 * (planted[name][:n] - clean[name][:n]) / wall
        middle = float(np.median(difference))
        scatter = 1.4826 * float(np.median(np.abs(difference - middle)))
        return middle, 1.2533 * scatter / n**0.5

    print(f"{title}: T {1e3 * np.median(clean['wall']):.2f} → {1e3 * wall:.2f} ms, {n} rounds")
    print(f"  {'term':15}{'clean':>9}{'planted':>9}{'change':>9}{'±':>7}{'expected':>10}   points of the planted T")
    for name in TERMS:
        wanted = expected.get(name, 0.0)
        want = change_of("lost")[0] if wanted is ALL else 100 * wanted * (calls if plant.startswith("mpi") else 1) / wall
        change, error = change_of(name)
        off = abs(change - want)
        # Twice the error: what is nearer to the bound than that may lie on either side.
        verdict = "undecided" if abs(off - NEAR) <= 2 * error else "met" if off < NEAR else "more than 2 points off"
        verdicts.append(verdict)
        print(f"  {name:15}{100 * np.median(clean[name]) / wall:9.2f}{100 * np.median(planted[name]) / wall:9.2f}"
              f"{change:9.2f}{error:7.2f}{want:10.2f}   {verdict}")
    for name, found in ledgers.items():
        if found.closure is None:
            sys.exit(f"the ledger of case {found.case} has no closure check: {found.notes}")
        gap, of = found.closure.gap, 100 / found.wall.median
        print(f"  {name}: gap {of * gap.median:+.2f} [{of * gap.low:+.2f}, {of * gap.high:+.2f}] points, "
              f"{'closes' if found.closure.holds else 'does not close'}", flush=True)
counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}
print(", ".join(f"{count} terms {verdict}" for verdict, count in counts.items()) or f"nothing is called '{pattern}'")
sys.exit(0 if verdicts and set(verdicts) == {"met"} else 1)
