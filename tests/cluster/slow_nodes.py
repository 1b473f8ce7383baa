#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Judges analysis/dlscale-slow on the runs of slow_nodes.sh: was the slow node named, with its cause, and nobody else?

Usage: slow_nodes.py FOLDER     FOLDER holds manifest.csv (run, kind, node, file) and the run files
Prints `ok NAME` or `FAILED NAME: why` for each kind of run, with the rate and its 95 % interval of Clopper and Pearson.
"""
import csv
import json
import math
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOW = os.environ.get("DLSCALE_SLOW", str(ROOT / "analysis" / "dlscale-slow"))
WANTED = {"clean": 1.0, "link": 0.95, "compute": 0.95}  # least share of right answers: 19 of 20, none of 20 named wrongly


def named(path):
    """What dlscale-slow says of one run file: a list of {"host", "cause", "excess", …}."""
    result = subprocess.run([SLOW, "--json", str(path)], capture_output=True, text=True, timeout=300,
                            stdin=subprocess.DEVNULL)
    if result.returncode not in (0, 3):  # nobody is named, somebody is
        raise RuntimeError(f"dlscale-slow: exit code {result.returncode}: {result.stderr.strip()[-300:]}")
    return json.loads(result.stdout)["named"]


def binomial_tail(count, runs, rate):
    """P(at least `count` of `runs`) at this rate."""
    return math.fsum(math.comb(runs, k) * rate**k * (1 - rate) ** (runs - k) for k in range(count, runs + 1))


def clopper_pearson(count, runs, confidence=0.95):
    """Exact interval of a rate, from the binomial distribution itself (Clopper & Pearson, Biometrika 26, 1934)."""
    half = (1 - confidence) / 2

    def solve(wanted, at_least):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if binomial_tail(at_least, runs, middle) < wanted else (low, middle)
        return (low + high) / 2

    return (0.0 if count == 0 else solve(half, count), 1.0 if count == runs else solve(1 - half, count + 1))


def is_right(kind, node, names):
    """Healthy: nobody is named. Else that node, that cause, and nobody else."""
    if kind == "clean":
        return not names
    return [(name["host"], name["cause"]) for name in names] == [(node, kind)]


def main(folder):
    rows = list(csv.DictReader((folder / "manifest.csv").open()))
    failed = 0 if rows else 1
    if not rows:
        print(f"FAILED cluster/slow_nodes: {folder}/manifest.csv has no run")
    for kind, wanted in WANTED.items():
        right, wrong = 0, []
        for row in (row for row in rows if row["kind"] == kind):
            try:
                names = named(folder / row["file"])
                if is_right(kind, row["node"], names):
                    right += 1
                    continue
                said = ", ".join(f"{name['host']} {name['cause']} {name['excess'] or math.nan:+.1%}" for name in names)
                said = said or "nobody"
            except (RuntimeError, OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as problem:
                said = str(problem)
            wrong.append(f"run {row['run']} ({row['node'] or 'healthy'}): {said}")
        runs = right + len(wrong)
        if runs == 0:
            continue
        low, high = clopper_pearson(right, runs)
        rate = f"{right} of {runs} right, 95 % interval {low:.1%} to {high:.1%}"
        if right >= math.ceil(wanted * runs - 1e-9):
            print(f"ok cluster/slow_nodes {kind} ({rate}{'; ' + '; '.join(wrong) if wrong else ''})")
        else:
            failed = 1
            print(f"FAILED cluster/slow_nodes {kind}: {rate}; {'; '.join(wrong)}")
    return failed


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (pathlib.Path(sys.argv[1]) / "manifest.csv").is_file():
        sys.exit("usage: slow_nodes.py FOLDER (of slow_nodes.sh, with its manifest.csv)")
    sys.exit(main(pathlib.Path(sys.argv[1])))
