# SPDX-License-Identifier: BSD-3-Clause
"""Summaries, roofs and sharing on files whose truth is known."""

import json

import h5py
import numpy as np
import pytest

from dlscale_analysis import load, samples
from dlscale_analysis.casestats import read_case
from dlscale_analysis.overview import look
from dlscale_analysis.places import cpu_set
from dlscale_analysis.summary import summarise
from make_run import CaseSpec, RunSpec, write_new, write_run


def write(tmp_path, **options):
    return load(write_new(tmp_path, **options))


def gemm(seconds=1e-2, **options):
    return CaseSpec("gemm", seconds, flops=1e9, bytes_touched=1e7, dtype="f64", **options)


ROOFS = [
    CaseSpec("noop", 1e-7, noise=0.02),
    CaseSpec("fma", 1e-2, flops=2e9, dtype="f64", role="roof"),
    CaseSpec("triad", 1e-2, bytes_touched=1e8, dtype="f64", role="roof"),
]


def test_rates_and_roofs(small_file):
    with load(small_file) as run:
        table = summarise(run).set_index("case")
    assert table.loc[5, "rate"] == pytest.approx(120e9, rel=0.01) and table.loc[5, "unit"] == "FLOP/s"
    assert table.loc[3, "rate"] == pytest.approx(20e9, rel=0.01) and table.loc[3, "unit"] == "B/s"
    assert table.loc[0, "unit"] == "s" and table.loc[0, "rate"] == table.loc[0, "median_s"]
    assert table.loc[5, "low"] < table.loc[5, "rate"] < table.loc[5, "high"]
    assert (
        table.loc[5, "of_roof"] == pytest.approx(120 / 150, rel=0.01) and table.loc[5, "roof_case"] == 1
    )
    assert table.loc[5, "of_roof_slowest"] == pytest.approx(
        120 / 150, rel=0.02
    )  # rank 3's own roof is lower too
    assert (table.loc[5, "slowest_rank"], table.loc[5, "slowest_host"]) == (3, "n1")
    assert table.loc[5, "sharing"] == pytest.approx(120 / 128, rel=0.01)
    assert table.loc[5, "sharing_low"] < 120 / 128 < table.loc[5, "sharing_high"]
    assert np.isnan(table.loc[6, "sharing"]) and np.isnan(table.loc[9, "rate"])
    assert table.loc[6, "repeats"] == 3 and table.loc[6, "median_s"] == pytest.approx(
        2 * 2048**3 / 245e9, rel=0.01
    )


def test_median_and_interval_by_hand(tmp_path):
    run = write(tmp_path, cases=[gemm(noise=0.05)], hosts=3, ranks_per_host=1)
    seconds, block = run.samples(0).seconds(measured=True), run.samples(0).block
    by_rank = np.array([[np.median(seconds[block == b, r]) for r in range(3)] for b in range(6)])
    per_block = np.median(by_rank, axis=1)
    row = summarise(run).iloc[0]
    assert row["median_s"] == pytest.approx(np.median(per_block))
    assert (row["low_s"], row["high_s"]) == (
        pytest.approx(per_block.min()),
        pytest.approx(per_block.max()),
    )
    assert row["slowest_s"] == pytest.approx(np.median(by_rank, axis=0).max())


def test_memory_bound_case_is_held_against_the_memory_roof(tmp_path):
    run = write(
        tmp_path,
        cases=ROOFS + [CaseSpec("gemm", 1e-2, flops=1e8, bytes_touched=5e7, dtype="f64", roofs=[1, 2])],
    )
    row = summarise(run).iloc[3]
    assert row["roof_case"] == 2 and row["of_roof"] == pytest.approx(0.5, rel=0.01)


def test_roofs_of_another_launch_do_not_count(tmp_path):
    run = write(tmp_path, cases=ROOFS + [gemm(roofs=[1], launch=1)])
    assert summarise(run).iloc[3]["roof"] == ""


def test_failed_cases_are_no_roof_and_no_partner(tmp_path):
    fma = CaseSpec("fma", 1e-2, flops=2e9, dtype="f64", role="roof", check_passed=0)
    alone = gemm(8e-3, occupancy="alone")
    rows = summarise(write(tmp_path, cases=[ROOFS[0], fma, alone, gemm(roofs=[1])]))
    assert rows["roof"].tolist() == [""] * 4 and rows["sharing"][3] == pytest.approx(0.8, rel=0.02)
    alone.check_passed = 0
    rows = summarise(write(tmp_path, cases=[ROOFS[0], alone, gemm()]))
    assert rows["sharing"].isna().all()


def test_distributed_cases_take_the_maximum_over_ranks(tmp_path):
    case = CaseSpec("pdgemm", 1e-2, flops=8e9, dtype="f64", placement="packed", slow={2: 1.5})
    run = write(tmp_path, cases=[case])
    row = summarise(run).iloc[0]
    assert row["distributed"] and row["median_s"] == pytest.approx(1.5e-2, rel=0.02)
    assert row["rate"] == pytest.approx(1e9 / 1.5e-2, rel=0.02)


def test_fewer_than_six_blocks_give_a_spread(tmp_path):
    row = summarise(write(tmp_path, cases=[gemm()], blocks=5)).iloc[0]
    assert np.isnan(row["low"]) and row["least"] < row["rate"] < row["most"]


def test_nan_and_absent_columns_do_not_spoil_a_case(tmp_path):
    path = tmp_path / "run.h5"
    write_run(str(path), RunSpec(cases=[gemm()]))
    with h5py.File(path, "r+") as file:
        file["samples/0000/start"][:, 4] = -1
        file["samples/0000/stop"][:, 4] = -1
        file["samples/0000/phase"][:, 4] = 255
    with load(path) as run:
        stats = read_case(run, 0)
        assert np.isnan(stats.rank_s[4]) and summarise(run).iloc[0]["rate"] == pytest.approx(
            1e11, rel=0.01
        )
        assert look(run).verdict


def test_reading_in_pieces_gives_the_same(small_file, monkeypatch):
    with load(small_file) as run:
        whole = summarise(run)
        monkeypatch.setattr(samples, "PIECE", 60)
        monkeypatch.setattr(samples._pieces, "__defaults__", (60,))
        monkeypatch.setattr(samples.Samples.row_pieces, "__defaults__", (60,))
        assert len(list(run.samples(5).column_pieces())) == 8
        assert whole.equals(summarise(run))


def test_unconverged_ranks_and_the_jobs_target(tmp_path):
    view = look(write(tmp_path, cases=[gemm(noise=0.3)]))
    assert view.cases["unconverged"][0] > 0 and any(
        "wider than ±2 % (stopped: converged): 0 (" in text for text in view.warnings
    )


def test_recorded_warnings_and_bindings(tmp_path):
    spec = RunSpec(cases=[gemm()], threads=8, text={"warnings": ["oversubscribed: 8 ranks on 2 cores"]})
    write_run(str(tmp_path / "run.h5"), spec)
    with load(tmp_path / "run.h5") as run:
        warnings = look(run).warnings
    assert "oversubscribed: 8 ranks on 2 cores" in warnings
    assert any("8 ranks of launch 0 with more threads than processors" in text for text in warnings)
    assert cpu_set("0-3,8") == {0, 1, 2, 3, 8} and cpu_set("") == set() and cpu_set("all") == set()


def test_cut_json_is_no_error(tmp_path):
    path = tmp_path / "run.h5"
    write_run(str(path), RunSpec(cases=[gemm()]))
    with h5py.File(path, "r+") as file:
        rows = file["cases"][()]
        rows["results"] = json.dumps({"roofs": [0]}).encode()[:6]
        file["cases"][...] = rows
    with load(path) as run:
        assert run.case(0)["results"] == {} and np.isfinite(summarise(run)["rate"][0])


def test_status_levels(tmp_path):
    assert look(write(tmp_path, cases=[gemm()])).level == "good"
    assert look(write(tmp_path, cases=[gemm()], status="interrupted")).level == "warn"
    assert look(write(tmp_path, cases=[gemm(check_passed=0)])).level == "bad"
