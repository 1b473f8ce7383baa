# SPDX-License-Identifier: BSD-3-Clause
"""Many launches, many files, and the command: agreement, since when, exclusion, exit codes, JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from dlscale_analysis import load
from dlscale_analysis.casestats import read_cases
from dlscale_analysis.slow import find_slow
from make_run import CaseSpec, RunSpec, write_run

ANALYSIS = Path(__file__).resolve().parent.parent
PARAMS = {"m": 1000, "n": 1000, "k": 1000}


def command(*arguments):
    return subprocess.run(
        [str(ANALYSIS / "dlscale-slow"), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "DLSCALE_PYTHON": sys.executable},
    )


def gemm(slow=None, launch=0, seconds=1e-2):
    return CaseSpec(
        "gemm", seconds, flops=2e9, dtype="f64", params=PARAMS, slow=slow or {}, launch=launch
    )


def week(folder, number, cases, **options):
    """A file of its own date."""
    path = folder / f"week{number}.h5"
    spec = RunSpec(**{"hosts": 8, "ranks_per_host": 1, "seed": 10 + number, "cases": cases, **options})
    write_run(str(path), spec)
    with h5py.File(path, "r+") as file:
        rows = file["system/launches"][()]
        rows["started"] = f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T06:00:00Z".encode()
        file["system/launches"][...] = rows
    return str(path)


def judged(paths):
    runs = [load(path) for path in paths]
    return find_slow(runs, [read_cases(run) for run in runs])


def test_more_files_than_a_process_may_open(tmp_path):
    paths = [week(tmp_path, number, [gemm({5: 1.12})]) for number in range(1, 25)]
    result = subprocess.run(
        ["sh", "-c", 'ulimit -n 20 && exec "$@"', "sh", str(ANALYSIS / "dlscale-slow"), *paths],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "DLSCALE_PYTHON": sys.executable},
    )
    assert result.returncode == 3 and "24 launches" in result.stdout, result.stderr
    assert "node n5: slow compute" in result.stdout


def test_a_second_launch_must_agree(tmp_path):
    slow = {5: 1.12}
    one = week(tmp_path, 1, [gemm(slow)])
    two = week(tmp_path, 2, [gemm(slow)])
    both_in_one = week(tmp_path, 3, [gemm(slow), gemm(slow, launch=1)])
    assert not judged([one]).named[0].exclude and judged([one]).exclude == ""
    (entry,) = judged([two, one]).named  # the order of the files does not matter
    assert entry.exclude and len(entry.launches) == 2 and entry.since.startswith("2026-01-02")
    assert judged([two, one]).exclude == "n5"
    assert judged([both_in_one]).exclude == "n5"


def test_a_launch_does_not_agree_with_itself(tmp_path):
    slow = {5: 1.12}
    one = week(tmp_path, 1, [gemm(slow)])
    copy = tmp_path / "copy.h5"
    copy.write_bytes(Path(one).read_bytes())
    verdict = judged([one, copy])
    assert verdict.launches == 1 and verdict.exclude == "" and not verdict.named[0].exclude
    assert any("counted once" in text for text in verdict.remarks)
    assert judged([one, copy, week(tmp_path, 2, [gemm(slow)])]).exclude == "n5"


def test_a_node_that_recovered_is_not_named(tmp_path):
    paths = [week(tmp_path, 1, [gemm({5: 1.12})]), week(tmp_path, 2, [gemm()])]
    verdict = judged(paths)
    assert verdict.named == [] and any("is not in the latest" in text for text in verdict.remarks)


def test_since_when_is_the_start_of_the_last_streak(tmp_path):
    factors = (1.12, 1.0, 1.0, 1.12, 1.12)
    paths = [week(tmp_path, i, [gemm({5: factor})]) for i, factor in enumerate(factors)]
    (entry,) = judged(paths).named
    assert entry.since.startswith("2026-01-04") and len(entry.launches) == 3 and entry.exclude


def test_few_nodes_by_history(tmp_path):
    """Two nodes can't tell who is at fault, six per cent are below what few nodes are named for: history knows both."""
    for hosts in (1, 2, 4):
        folder = tmp_path / str(hosts)
        folder.mkdir()
        factors = [1.0] * 6 + [1.06] * 2
        paths = [week(folder, i, [gemm({0: factor})], hosts=hosts) for i, factor in enumerate(factors)]
        if hosts == 4:
            assert judged(paths[:6]).named == []
        (entry,) = judged(paths).named
        assert (entry.name, entry.by, entry.exclude) == ("n0", "its history", True), hosts
        assert entry.since.startswith("2026-01-07") and entry.excess == pytest.approx(0.06, abs=0.02)


def test_what_changes_for_all_is_no_nodes_fault(tmp_path):
    paths = [week(tmp_path, i, [gemm(seconds=1e-2 if i < 6 else 1.2e-2)], hosts=4) for i in range(8)]
    assert judged(paths).named == []


def test_the_command(tmp_path):
    good = week(tmp_path, 0, [gemm()])
    bad = [week(tmp_path, i, [gemm({3: 1.2})]) for i in (1, 2)]
    done = command(good)
    assert done.returncode == 0 and "nobody is named" in done.stdout and done.stderr == ""
    done = command(*bad)
    assert done.returncode == 3 and "proposal: --exclude=n3" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = command("--json", *bad, bad[0])  # a file given twice counts once
    found = json.loads(done.stdout)
    assert done.returncode == 3 and found["exclude"] == "n3" and found["tested"]["launches"] == 2
    (entry,) = found["named"]
    assert {
        "level",
        "name",
        "host",
        "rank",
        "cause",
        "excess",
        "bound",
        "cases",
        "launches",
        "since",
        "exclude",
    } <= set(entry)
    assert (entry["level"], entry["host"], entry["cause"], entry["exclude"]) == (
        "node",
        "n3",
        "compute",
        True,
    )


def test_bad_input_is_one_sentence(tmp_path):
    other = tmp_path / "other.h5"
    other.write_text("no HDF5")
    for path in (tmp_path / "missing.h5", other):
        done = command(path)
        assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(f"dlscale-slow: {path}")
    assert command().returncode == 2 and command("--width", "x", other).returncode == 2
    empty = tmp_path / "empty.h5"
    write_run(str(empty), RunSpec(cases=[]))
    assert command(empty).returncode == 0
