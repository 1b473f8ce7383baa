# SPDX-License-Identifier: BSD-3-Clause
"""Which cases dlscale-compare takes for the same, what it leaves out and why, what it refuses."""

from pathlib import Path

import h5py
import pytest

from compare_files import GEMM, collective, gemm, judged, words
from dlscale_analysis import compare
from make_run import CaseSpec, RunSpec


def test_failed_checks_are_never_compared(make, capsys):
    good, wrong = make(1.0, 1), make(0.5, 2, cases=[gemm(check_passed=0), collective()])
    code, found = judged(capsys, good, wrong)
    assert code == 1 and found["failed_in_b"] == ["gemm 512³ f64"]
    assert ("gemm", "median rank") not in words(found) and words(found)[
        ("collective", "slowest rank")
    ] == "FASTER"
    code, found = judged(capsys, wrong, good)
    assert (
        code == 3 and found["failed_in_b"] == []
    )  # the collective is slower; what failed in A is not held against B
    assert found["not_compared"] == [{"label": "gemm 512³ f64", "why": "failed in A"}]
    code, found = judged(
        capsys, good, make(1.0, 3, cases=[gemm(check_passed=0), collective(check_passed=0)])
    )
    assert code == 1 and found["cases"] == []


def test_what_never_counts_in_b_has_failed_even_if_a_fails_at_times(make, capsys):
    good, wrong = gemm(), gemm(check_passed=0)
    a = [make(1.0, 1, cases=[good]), make(1.0, 2, cases=[wrong])]
    never = [make(1.0, seed, cases=[wrong]) for seed in (3, 4)]
    code, found = judged(capsys, *a, "--to", *never)
    assert code == 1 and found["failed_in_b"] == ["gemm 512³ f64"]
    once = make(1.0, 5, cases=[good])
    code, found = judged(capsys, *a, "--to", never[0], once)
    assert code == 0 and found["failed_in_b"] == []  # both sides fail at times


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
        return CaseSpec(
            "train", 0.01 * batch, items=float(batch), dtype="f32", params=params, noise=0.001
        )

    code, found = judged(
        capsys,
        make(1.0, 1, cases=[train(16)]),
        make(1.0, 2, cases=[train(32)]),
        "--ignore",
        "batch",
    )
    assert code == 0 and set(words(found).values()) == {"SAME"}
    assert (
        found["cases"][0]["a"] == pytest.approx(100, rel=0.01)
        and "not the same work" in found["notes"][0]
    )


def test_ignoring_what_tells_cases_apart_compares_nothing(make, capsys):
    cases = [gemm(), gemm(params={**GEMM, "m": 1024})]
    code, found = judged(
        capsys, make(1.0, 1, cases=cases + [collective()]), make(1.0, 2), "--ignore", "m"
    )
    assert code == 0 and [entry["why"] for entry in found["not_compared"]] == [
        "A has several such cases that differ in what is ignored"
    ]


def test_a_key_of_a_newer_version_tells_nothing_apart(make, capsys):
    old, new = make(1.0, 1, cases=[gemm()]), make(
        1.0, 2, cases=[gemm(params={**GEMM, "layers": False, "alpha": 1.0})]
    )
    code, found = judged(capsys, old, new)
    assert code == 0 and len(found["cases"]) == 2
    assert found["notes"][0] == "gemm: only B knows the keys alpha, layers; they tell no cases apart"
    whole = make(1.0, 3, cases=[gemm(params={**GEMM, "m": 512.0})])  # 512 and 512.0 are the same
    assert len(judged(capsys, old, whole)[1]["cases"]) == 2


def test_modes_are_never_mixed(make, capsys):
    code, found = judged(
        capsys, make(1.0, 1), make(1.0, 2, cases=[gemm(repeats=5), collective(repeats=5)])
    )
    assert [entry["why"] for entry in found["not_compared"]] == [
        "isolated in A, batched in B: times of the two modes are never divided"
    ]
    assert {case["workload"] for case in found["cases"]} == {
        "gemm"
    }  # of a rank by itself repeats don't matter


def test_differences_of_the_sides_are_named(make, capsys):
    text = {
        **RunSpec().text,
        "blas": {"library": "MKL"},
        "libraries": [{"path": "/x/libm.so.6", "version": "6", "build_id": "ab"}],
    }
    code, found = judged(capsys, make(1.0, 1), make(1.0, 2, hosts=2, ranks_per_host=4, text=text))
    names = [entry["name"] for entry in found["differences"]]
    assert names[:2] == ["hosts", "nodes"] and {"blas.core", "blas.library", "library libm"} <= set(
        names
    )
    assert judged(capsys, make(1.0, 3), make(1.0, 4))[1]["differences"] == []
    code, found = judged(capsys, make(1.0, 5), make(1.0, 6, text=text), "--to", make(1.0, 7))
    assert any(note.startswith("the launches of A are not alike: blas") for note in found["notes"])


def test_what_every_launch_has_anew_is_no_difference(make, capsys):
    a, b = (
        {
            **RunSpec().text,
            "start": {"mpi_init_s": {"max": seconds}},
            "variables": {"DLSCALE_LAUNCH_NS": f"{seconds}", "OMP_NUM_THREADS": "2"},
            "gpus": [{"rank": 0, "uuid": f"GPU-{seconds}", "numa_distance": 10}],
        }
        for seconds in (0.25, 0.5)
    )
    assert judged(capsys, make(1.0, 1, text=a), make(1.0, 2, text=b))[1]["differences"] == []
    b["gpus"] = [{**b["gpus"][0], "numa_distance": 21}]
    found = judged(capsys, make(1.0, 1, text=a), make(1.0, 2, text=b))[1]
    assert [entry["name"] for entry in found["differences"]] == ["gpus"]


def test_a_launch_counts_once(make, capsys, tmp_path):
    a, b = make(1.0, 1), make(1.0, 2)
    copy = tmp_path / "copy.h5"
    copy.write_bytes(Path(a).read_bytes())
    for arguments, word in (
        ([a, a], "is given twice"),
        ([a, copy, "--to", b], "hold the same samples"),
        ([a, copy], "same samples"),
    ):
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
        ([a, str(tmp_path)], "is a folder"),
        ([a, broken], "not an HDF5 file"),
        ([a, tmp_path / "other.h5"], "not written by dlscale"),
        ([a, empty], "none in common"),
        ([empty, make(1.0, 4, cases=[], name="empty2.h5")], "none in common"),
        ([a, make(1.0, 3), "--only", "spmm*"], "none matches --only spmm*"),
        (
            [a, make(1.0, 3, name="third.h5"), "--ignore", "thread"],
            "--ignore thread: no case has such a key",
        ),
    ):
        assert compare.main([*map(str, arguments)]) == 2, arguments
        captured = capsys.readouterr()
        assert word in captured.err and captured.err.count("\n") == 1 and not captured.out, captured.err
    for option in (
        ("--delta", "0"),
        ("--delta", "3"),
        ("--confidence", "95"),
        ("--delta", "x"),
        ("--delta", "nan"),
    ):
        with pytest.raises(SystemExit) as ended:
            compare.main([a, a, *option])
        assert ended.value.code == 2 and option[1] in capsys.readouterr().err


def test_only_keeps_the_cases_that_match(make, capsys):
    code, found = judged(capsys, make(1.0, 1), make(1.2, 2), "--only", "coll*")
    assert code == 3 and len(found["cases"]) == 1 and found["only_in"] == {"a": [], "b": []}
    assert found["cases"][0]["p"] == found["cases"][0]["p_holm"]  # a family of one
