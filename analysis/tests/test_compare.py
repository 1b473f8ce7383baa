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

import h5py
import numpy as np
import pytest

from dlscale_analysis import compare, load
from dlscale_analysis.compare_cases import MEDIAN, P95, quantities
from dlscale_analysis.casestats import read_case
from dlscale_analysis.overview import look
from make_run import CaseSpec, RunSpec, default_cases, write_run

ANALYSIS = Path(__file__).resolve().parent.parent
GEMM = {"m": 512, "n": 512, "k": 512}


def gemm(seconds=0.01, **changes):
    return CaseSpec("gemm", seconds, flops=2.0 * 512**3, dtype="f64", **{"params": dict(GEMM), "noise": 0.001, **changes})


def collective(seconds=0.001, **changes):
    ranks = list(range(8))
    return CaseSpec(
        "collective",
        seconds,
        bytes_sent=1e6,
        dtype="f32",
        placement="packed",
        **{"params": {"op": "allreduce", "bytes": 65536}, "participants": ranks, "noise": 0.001, **changes},
    )


@pytest.fixture
def make(tmp_path):
    """make(factor, seed=…, cases=…): a file whose cases take `factor` times as long."""

    def write(factor=1.0, seed=1, cases=None, name=None, **options):
        cases = cases if cases is not None else [gemm(), collective()]
        for case in cases:
            case.seconds *= factor
        path = tmp_path / (name or f"run{len(list(tmp_path.iterdir()))}.h5")
        write_run(str(path), RunSpec(seed=seed, cases=cases, **options))
        return str(path)

    return write


def judged(capsys, *arguments):
    """Exit code and the JSON of a comparison."""
    code = compare.main([*map(str, arguments), "--json", "-"])
    return code, json.loads(capsys.readouterr().out)


def words(document):
    return {(case["workload"], case["quantity"]): case["verdict"] for case in document["cases"]}


def test_slower_beyond_delta_ends_with_3(make, capsys):
    code, found = judged(capsys, make(1.0, 1), make(1.10, 2))
    assert code == 3 and found["exit_code"] == 3
    assert words(found) == {
        ("gemm", "median rank"): "SLOWER",
        ("gemm", "p95 rank"): "SLOWER",
        ("collective", "slowest rank"): "SLOWER",
    }
    for case in found["cases"]:
        assert case["ratio"] == pytest.approx(1 / 1.10, abs=0.01) and case["low"] < case["ratio"] < case["high"]
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
    assert found["a"]["launches"] == found["b"]["launches"] == 3 and set(words(found).values()) == {"SLOWER"}
    same, found = judged(capsys, a[0], a[1], "--to", a[2])
    assert same == 0 and any("few launches (3 on both sides together)" in note for note in found["notes"])
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


def test_failed_checks_are_never_compared(make, capsys):
    good, wrong = make(1.0, 1), make(0.5, 2, cases=[gemm(check_passed=0), collective()])
    code, found = judged(capsys, good, wrong)
    assert code == 1 and found["failed_in_b"] == ["gemm 512³ f64"]
    assert ("gemm", "median rank") not in words(found) and words(found)[("collective", "slowest rank")] == "FASTER"
    code, found = judged(capsys, wrong, good)
    assert code == 3 and found["failed_in_b"] == []  # the collective is slower; what failed in A is not held against B
    assert found["not_compared"] == [{"label": "gemm 512³ f64", "why": "failed in A"}]
    code, found = judged(capsys, good, make(1.0, 3, cases=[gemm(check_passed=0), collective(check_passed=0)]))
    assert code == 1 and found["cases"] == []


def test_unmatched_cases_are_listed(make, capsys):
    a = make(1.0, 1, cases=[gemm(), gemm(params={**GEMM, "m": 1024}), collective()])
    b = make(1.0, 2, cases=[gemm(), collective(participants=[0, 1, 2, 3])])
    code, found = judged(capsys, a, b)
    assert code == 0 and {case["workload"] for case in found["cases"]} == {"gemm"}
    assert len(found["only_in"]["a"]) == 2 and len(found["only_in"]["b"]) == 1
    assert compare.main([a, b, "--strict"]) == 3


def test_threads_must_agree_or_be_ignored(make, capsys):
    two, four = make(1.0, 1, threads=2), make(2.0, 2, threads=4)
    assert compare.main([two, four]) == 2
    message = capsys.readouterr().err
    assert "none in common" in message and "--ignore" in message and message.count("\n") == 1
    code, found = judged(capsys, two, four, "--ignore", "threads")
    assert code == 3 and {"name": "threads", "a": "2", "b": "4"} in found["differences"]


def test_work_of_an_ignored_key_is_accounted_for(make, capsys):
    """Twice the batch in twice the time is the same speed."""
    def train(batch):
        params = {"model": "vgg", "batch": batch, "parallel": "none"}
        return CaseSpec("train", 0.01 * batch, items=float(batch), dtype="f32", params=params, noise=0.001)

    code, found = judged(capsys, make(1.0, 1, cases=[train(16)]), make(1.0, 2, cases=[train(32)]), "--ignore", "batch")
    assert code == 0 and set(words(found).values()) == {"SAME"}
    assert found["cases"][0]["a"] == pytest.approx(100, rel=0.01) and "not the same work" in found["notes"][0]


def test_ignoring_what_tells_cases_apart_compares_nothing(make, capsys):
    cases = [gemm(), gemm(params={**GEMM, "m": 1024})]
    code, found = judged(capsys, make(1.0, 1, cases=cases + [collective()]), make(1.0, 2), "--ignore", "m")
    assert code == 0 and [entry["why"] for entry in found["not_compared"]] == [
        "A has several such cases that differ in what is ignored"
    ]


def test_a_key_of_a_newer_version_tells_nothing_apart(make, capsys):
    old, new = make(1.0, 1, cases=[gemm()]), make(1.0, 2, cases=[gemm(params={**GEMM, "layers": False, "alpha": 1.0})])
    code, found = judged(capsys, old, new)
    assert code == 0 and len(found["cases"]) == 2
    assert found["notes"][0] == "gemm: only B knows the keys alpha, layers; they tell no cases apart"
    whole = make(1.0, 3, cases=[gemm(params={**GEMM, "m": 512.0})])  # 512 and 512.0 are the same
    assert len(judged(capsys, old, whole)[1]["cases"]) == 2


def test_modes_are_never_mixed(make, capsys):
    code, found = judged(capsys, make(1.0, 1), make(1.0, 2, cases=[gemm(repeats=5), collective(repeats=5)]))
    assert [entry["why"] for entry in found["not_compared"]] == [
        "isolated in A, batched in B: times of the two modes are never divided"
    ]
    assert {case["workload"] for case in found["cases"]} == {"gemm"}  # of a rank by itself repeats don't matter


def test_few_blocks_are_unsure(make, capsys):
    a, b = make(1.0, 1, blocks=5), make(2.0, 2)
    code, found = judged(capsys, a, b)
    assert code == 0 and set(words(found).values()) == {"UNSURE"} and found["cases"][0]["low"] is None
    assert any("fewer than 6 blocks" in note for note in found["notes"])
    assert compare.main([a, b, "--strict"]) == 3


def test_one_rank(make, capsys):
    files = [make(1.0, seed, cases=[gemm()], hosts=1, ranks_per_host=1) for seed in (1, 2)]
    assert list(words(judged(capsys, *files)[1])) == [("gemm", "the rank")]


def test_differences_of_the_sides_are_named(make, capsys):
    text = {**RunSpec().text, "blas": {"library": "MKL"}, "libraries": [{"path": "/x/libm.so.6", "version": "6", "build_id": "ab"}]}
    code, found = judged(capsys, make(1.0, 1), make(1.0, 2, hosts=2, ranks_per_host=4, text=text))
    names = [entry["name"] for entry in found["differences"]]
    assert names[:2] == ["hosts", "nodes"] and {"blas.core", "blas.library", "library libm"} <= set(names)
    assert judged(capsys, make(1.0, 3), make(1.0, 4))[1]["differences"] == []
    code, found = judged(capsys, make(1.0, 5), make(1.0, 6, text=text), "--to", make(1.0, 7))
    assert any(note.startswith("the launches of A are not alike: blas") for note in found["notes"])


def test_a_launch_counts_once(make, capsys, tmp_path):
    a, b = make(1.0, 1), make(1.0, 2)
    copy = tmp_path / "copy.h5"
    copy.write_bytes(Path(a).read_bytes())
    for arguments, word in (([a, a], "is given twice"), ([a, copy, "--to", b], "hold the same samples"), ([a, copy], "same samples")):
        assert compare.main([*map(str, arguments)]) == 2
        message = capsys.readouterr().err
        assert word in message and message.count("\n") == 1, message


def test_bad_input_is_one_sentence(make, capsys, tmp_path):
    a = make(1.0, 1)
    broken = tmp_path / "broken.h5"
    broken.write_text("no HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = 1
    empty = make(1.0, 2, cases=[], name="empty.h5")
    for arguments, word in (
        ([a], "1 file and no --to"),
        ([a, a, a], "3 files and no --to"),
        ([a, "nowhere.h5"], "there is no such file"),
        ([a, broken], "not an HDF5 file"),
        ([a, tmp_path / "other.h5"], "not written by dlscale"),
        ([a, empty], "none in common"),
        ([empty, make(1.0, 4, cases=[], name="empty2.h5")], "none in common"),
        ([a, make(1.0, 3), "--only", "spmm*"], "none matches --only spmm*"),
        ([a, make(1.0, 3, name="third.h5"), "--ignore", "thread"], "--ignore thread: no case has such a key"),
    ):
        assert compare.main([*map(str, arguments)]) == 2, arguments
        captured = capsys.readouterr()
        assert word in captured.err and captured.err.count("\n") == 1 and not captured.out, captured.err
    for option in (("--delta", "0"), ("--delta", "3"), ("--confidence", "95"), ("--delta", "x"), ("--delta", "nan")):
        with pytest.raises(SystemExit) as ended:
            compare.main([a, a, *option])
        assert ended.value.code == 2 and option[1] in capsys.readouterr().err


def test_only_keeps_the_cases_that_match(make, capsys):
    code, found = judged(capsys, make(1.0, 1), make(1.2, 2), "--only", "coll*")
    assert code == 3 and len(found["cases"]) == 1 and found["only_in"] == {"a": [], "b": []}
    assert found["cases"][0]["p"] == found["cases"][0]["p_holm"]  # a family of one


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
    for text in ("SLOWER¹", "within one launch of each side", "p95 rank", "gemm 2048³ f64 alone", "(Holm)", "needs 96.0 GiB"):
        assert text in flat, text
    assert "noop" not in flat


def test_json_and_csv_hold_the_table(make, capsys, tmp_path):
    files = [make(1.0, 1), make(1.1, 2)]
    assert compare.main([*files, "--json", str(tmp_path / "c.json"), "--csv", str(tmp_path / "c.csv")]) == 3
    assert "SLOWER" in capsys.readouterr().out
    document = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text(encoding="utf-8"))))
    assert [row["verdict"] for row in rows] == [case["verdict"] for case in document["cases"]]
    assert float(rows[0]["ratio"]) == pytest.approx(document["cases"][0]["ratio"])
    assert rows[0]["unit"] == "FLOP/s" and float(rows[0]["a"]) == pytest.approx(2.0 * 512**3 / 0.01, rel=0.01)


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
