# SPDX-License-Identifier: BSD-3-Clause
"""dlscale-compare on invented files: which cases are the same, what is said of them, exit codes, outputs."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compare_files import gemm, judged, words
from dlscale_analysis import compare, load
from dlscale_analysis.casestats import read_case
from dlscale_analysis.compare_cases import MEDIAN, P95, quantities
from dlscale_analysis.overview import look
from make_run import default_cases

ANALYSIS = Path(__file__).resolve().parent.parent


def test_slower_beyond_delta_ends_with_3(make, capsys):
    code, found = judged(capsys, make(1.0, 1), make(1.10, 2))
    assert code == 3 and found["exit_code"] == 3
    assert words(found) == {
        ("gemm", "median rank"): "SLOWER",
        ("gemm", "p95 rank"): "SLOWER",
        ("collective", "slowest rank"): "SLOWER",
    }
    for case in found["cases"]:
        assert (
            case["ratio"] == pytest.approx(1 / 1.10, abs=0.01)
            and case["low"] < case["ratio"] < case["high"]
        )
        assert case["scope"] == "one launch" and case["launches_a"] == case["launches_b"] == 1


def test_faster_and_same_end_with_0(make, capsys):
    assert judged(capsys, make(1.10, 1), make(1.0, 2))[0] == 0
    code, found = judged(capsys, make(1.0, 1), make(1.0, 2))
    assert code == 0 and set(words(found).values()) == {"SAME"}


def test_several_launches_are_units(make, capsys):
    a = [make(1 + 0.003 * i, 10 + i) for i in range(3)]
    b = [make(1.05 + 0.003 * i, 20 + i) for i in range(3)]
    code, found = judged(capsys, *a, "--to", *b)
    assert code == 3 and {case["scope"] for case in found["cases"]} == {"launches"}
    assert found["a"]["launches"] == found["b"]["launches"] == 3 and set(words(found).values()) == {
        "SLOWER"
    }
    same, found = judged(capsys, a[0], a[1], "--to", a[2])
    assert same == 0 and any(
        "few launches (3 on both sides together)" in note for note in found["notes"]
    )
    assert any("single launch" in note for note in found["notes"])


def test_launches_of_a_resumed_file_count(make, capsys):
    """The same case in two launches of one file is two launches."""
    resumed = make(1.0, 1, cases=[gemm(launch=0), gemm(0.0101, launch=1)])
    code, found = judged(capsys, resumed, make(1.0, 3, cases=[gemm()]))
    assert code == 0 and [case["launches_a"] for case in found["cases"]] == [2, 2]


def test_quantities_are_what_the_report_shows(small_file):
    with load(small_file) as run:
        view = look(run)
        for number in (4, 5, 6):
            row, found = view.cases.iloc[number], quantities(read_case(run, number))
            assert np.median(found[MEDIAN]) == pytest.approx(row["median_s"])
            assert np.median(found[P95]) == pytest.approx(row["p95_s"])


def test_few_blocks_are_unsure(make, capsys):
    a, b = make(1.0, 1, blocks=5), make(2.0, 2)
    code, found = judged(capsys, a, b)
    assert code == 0 and set(words(found).values()) == {"UNSURE"} and found["cases"][0]["low"] is None
    assert any("fewer than 6 blocks" in note for note in found["notes"])
    assert compare.main([a, b, "--strict"]) == 3


def test_one_rank(make, capsys):
    files = [make(1.0, seed, cases=[gemm()], hosts=1, ranks_per_host=1) for seed in (1, 2)]
    assert list(words(judged(capsys, *files)[1])) == [("gemm", "the rank")]


def test_holm_counts_all_comparisons(make, capsys):
    found = judged(capsys, make(1.0, 1), make(1.2, 2))[1]
    p = sorted(case["p"] for case in found["cases"])
    assert min(case["p_holm"] for case in found["cases"]) == pytest.approx(min(1, 3 * p[0]))


def test_terminal_fits_in_80_columns(make, capsys):
    files = [make(1.0, 1, cases=default_cases()), make(1.3, 2, cases=default_cases())]
    assert compare.main([*files, "--width", "80"]) == 3
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    flat = re.sub(r"\s+", " ", shown)
    for text in (
        "SLOWER¹",
        "within one launch of each side",
        "p95 rank",
        "gemm 2048³ f64 alone",
        "(Holm)",
        "needs 96.0 GiB",
    ):
        assert text in flat, text
    assert "noop" not in flat


def test_json_and_csv_hold_the_table(make, capsys, tmp_path):
    files = [make(1.0, 1), make(1.1, 2)]
    assert (
        compare.main([*files, "--json", str(tmp_path / "c.json"), "--csv", str(tmp_path / "c.csv")]) == 3
    )
    assert "SLOWER" in capsys.readouterr().out
    document = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text(encoding="utf-8"))))
    assert [row["verdict"] for row in rows] == [case["verdict"] for case in document["cases"]]
    assert float(rows[0]["ratio"]) == pytest.approx(document["cases"][0]["ratio"])
    assert rows[0]["unit"] == "FLOP/s" and float(rows[0]["a"]) == pytest.approx(
        2.0 * 512**3 / 0.01, rel=0.01
    )


def test_killed_runs_are_compared_with_a_note(make, capsys):
    code, found = judged(capsys, make(1.0, 1), make(1.0, 2, status="interrupted"))
    assert code == 0 and any("status is 'interrupted'" in note for note in found["notes"])


def test_command(make):
    files = [make(1.0, 1), make(1.2, 2)]
    done = subprocess.run(
        [ANALYSIS / "dlscale-compare", *files],
        capture_output=True,
        text=True,
        env={**os.environ, "DLSCALE_PYTHON": sys.executable},
    )
    assert done.returncode == 3 and "SLOWER" in done.stdout and not done.stderr
    told = subprocess.run(
        [ANALYSIS / "dlscale-compare", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "DLSCALE_PYTHON": sys.executable},
    )
    assert told.returncode == 0 and "--to" in told.stdout and "Exit codes" in told.stdout
