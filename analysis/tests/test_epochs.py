# SPDX-License-Identifier: BSD-3-Clause
"""Epochs, speed-up studies and their counters: numbers worked out by hand."""

import math

import h5py
import numpy as np
import pytest

from dlscale_analysis.epochs import ratio_with_deviation
from make_nets import study_cases, train
from test_nets import STUDY, looked, printed, write


def test_epochs(view):
    first = next(table for table in view.nets.epochs if table.case == STUDY)
    assert (first.count, first.ranks) == (3, 2)
    row = first.by_epoch.iloc[1]
    assert row["epoch_s"] == pytest.approx(19) and row["train"] == pytest.approx(18.5)
    assert row["cpus"] == pytest.approx(80) and row["images_per_s"] == pytest.approx(60000 / 18.5)
    assert row["test_accuracy"] == pytest.approx(0.985) and row["slowest_s"] == pytest.approx(19)
    assert len(view.nets.epochs) == 4


def test_unfinished_epochs_and_ranks_that_differ(tmp_path):
    nan = math.nan
    columns = {
        "train": [[10.0, 12.0], [11.0, nan], [nan, nan]],
        "validate": [[1.0, 2.0], [1.0, nan], [nan, nan]],
        "images": [[100.0, 120.0], [100.0, nan], [nan, nan]],
    }
    (table,) = looked(write(tmp_path, [train(1e-2, 64, 0, epochs=columns)])).nets.epochs
    assert table.rows[["epoch", "rank"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0]]
    rows = table.by_epoch
    assert rows["epoch_s"].tolist() == [12.5, 12.0] and rows["slowest_s"].tolist() == [14.0, 12.0]
    assert rows["cpus"].isna().all() and not table.has("cpu")


def test_speed_up_study(view):
    (study,) = view.nets.studies
    assert (study.series, study.base, study.values) == ("topflight", "batch=64 workers=0", "6")
    rows = study.rows.set_index("label")
    first, last = rows.iloc[0], rows.loc["batch=512 workers=4"]
    # twice 20, 19, 18: mean 19, squares 1 0 1 1 0 1, s = √(4/5)
    assert first["mean_s"] == pytest.approx(19) and first["deviation_s"] == pytest.approx(math.sqrt(0.8))
    assert first["error_s"] == pytest.approx(math.sqrt(0.8 / 6)) and first["speedup"] == 1
    assert math.isnan(first["speedup_deviation"])
    s = 0.1 * math.sqrt(0.8)  # twice 7.1, 7.3, 7.2
    assert last["speedup"] == pytest.approx(19 / 7.2)
    assert last["speedup_deviation"] == pytest.approx(19 / 7.2 * math.sqrt(0.8 / 19**2 + (s / 7.2) ** 2))
    assert last["cpus"] == pytest.approx(70) and last["cpu_s"] == pytest.approx(504)
    assert last["last_accuracy"] == pytest.approx(0.9512)
    assert last["train_s"] == pytest.approx(6.7)
    assert last["cycles"] == 5e9 and last["instructions"] == 1.25e9  # five samples of a block
    assert study.counters == ["cycles", "instructions", "cache_references", "cache_misses"]
    assert math.isnan(last["page_faults"])


def test_uncertainty_is_hyperfines():
    """Published: 19.232 ± 0.222 against 10.468 ± 0.193 is 1.84 ± 0.04; 19.226 ± 0.110 and 7.161 ± 0.112: 2.68 ± 0.04."""
    for values, expected in (
        ((19.232, 0.222, 10.468, 0.193), "1.84 ± 0.04"),
        ((19.226, 0.110, 7.161, 0.112), "2.68 ± 0.04"),
    ):
        assert "{:.2f} ± {:.2f}".format(*ratio_with_deviation(*values)) == expected
    assert all(map(math.isnan, ratio_with_deviation(0.0, 0.1, 1.0, 0.1)))


def test_studies_keep_launches_and_occupancies_apart_and_leave_failed_cases_out(tmp_path, capsys):
    cases = study_cases(counters=False)
    cases[1].status, cases[1].check_passed = "failed", 0
    other = study_cases(counters=False)
    for case in other[:2]:
        case.occupancy = "alone"
    for case in other[2:]:
        case.launch = 1
    spec = {"text": {"counters": {"available": [], "why": "not available (perf_event_paranoid is 4)"}}}
    path = write(tmp_path, cases + other, **spec)
    found = looked(path).nets.studies
    assert [(study.launch, study.occupancy, len(study.rows)) for study in found] == [
        (0, "together", 4),
        (0, "alone", 2),
        (1, "together", 2),
    ]
    assert found[2].base == "batch=512 workers=0" or found[2].base == "workers=0"
    assert math.isnan(found[0].rows["speedup"][1]) and found[0].rows["speedup"][2] == pytest.approx(1.9)
    text = printed(capsys, path)
    assert "Counters: not available (perf_event_paranoid is 4)" in text
    assert "batch=128 workers=0 failed" in text


def test_a_study_whose_first_case_failed_or_is_missing_says_so(tmp_path):
    cases = study_cases()
    cases[0].status, cases[0].check_passed = "failed", 0
    (study,) = looked(write(tmp_path, cases)).nets.studies
    assert study.base == "" and study.rows["speedup"].isna().all() and "failed" in study.notes[0]
    cases = study_cases(counters=False)
    cases[0].epochs, cases[2].epochs["images"] = {}, [30000.0] * 3
    (study,) = looked(write(tmp_path, cases)).nets.studies
    assert (
        study.base == "batch=128 workers=0" and study.why == "not available (the file does not say why)"
    )
    assert "different numbers of images (30,000, 60,000)" in study.notes[0]
    assert "first case of the series (case 0) has no epochs" in study.notes[1]


def test_a_sweep_whose_ranks_train_together_is_no_study(tmp_path, capsys):
    """60,000 images on one rank, 30,000 on each of two: values of a rank are no values of an epoch."""
    alone = study_cases(counters=False)[:2]
    shared = []
    for p in (1, 2):
        columns = {"train": [[20.0 / p] * p + [math.nan] * (2 - p)] * 3, "images": [[6e4 / p] * 2] * 3}
        params = {"model": "top-flight", "batch": 64, "parallel": "data"}
        options = {"series": "topflight", "placement": "packed", "occupancy": ""}
        shared.append(
            train(1e-2, 64, 0, epochs=columns, params=params, participants=list(range(p)), **options)
        )
    found = looked(write(tmp_path, shared)).nets
    assert len(found.epochs) == 2 and found.studies == []
    path = write(tmp_path, shared + alone)
    (study,) = looked(path).nets.studies
    assert study.rows["case"].tolist() == [2, 3] and study.base == "batch=64" and study.values == "6"
    assert study.notes == ["left out: 2 cases whose ranks train together"]
    assert "Left out: 2 cases whose ranks train together." in printed(capsys, path)


def test_counters_count_where_readings_cover_the_block(tmp_path):
    cases = study_cases()[:2]
    path = write(tmp_path, cases, per_block=30)
    with h5py.File(path, "r+") as file:
        probes = file["samples/0000/probes"]  # rows 3 … 92; a block has 30 equal samples
        probes[3, 0, 0] = np.nan  # cycles, block 0 of rank 0: 29 of 30 are covered
        probes[33:36, 0, 0] = np.nan  # block 1 of rank 0: 27 of 30, which is too few
        probes[63, 0, 0] += 6e8
    (study,) = looked(path).nets.studies
    first = study.rows.iloc[0]
    # six blocks of rank and number: 29, left out, 30.6 of rank 0 and three times 30 of rank 1, in 10⁹
    assert first["cycles"] == pytest.approx((29 + 30.6 + 3 * 30) / 5 * 1e9)
    assert first["instructions"] == pytest.approx(7.5e9)
    assert first["counters_cover"] == pytest.approx(29 / 30) and study.why == ""


@pytest.mark.parametrize(
    "bare, words",
    [
        (1, "not available for batch=64 workers=0 (readings cover 40 %"),
        (4, "not available (readings cover 40 %"),
    ],
)
def test_too_few_readings_are_said(tmp_path, capsys, bare, words):
    path = write(tmp_path, study_cases())
    with h5py.File(path, "r+") as file:
        for case in range(bare):
            probes = file[f"samples/{case:04d}/probes"]
            for block in range(3):  # two of five
                probes[5 + 5 * block : 8 + 5 * block] = np.nan
    (study,) = looked(path).nets.studies
    assert np.isnan(study.rows["cycles"][0]) and study.why.startswith(words)
    assert f"Counters: {words}" in printed(capsys, path, "--html", tmp_path / "p.html")


def test_page_faults_alone_are_no_hardware_counters(tmp_path, capsys):
    cases = study_cases(counters=False)
    for case in cases:
        case.probes = {"page_faults": 12.0}
    why = {"counters": {"available": ["page_faults"], "why": "not available (no PMU in this guest)"}}
    path = write(tmp_path, cases, text=why)
    (study,) = looked(path).nets.studies
    assert study.counters == ["page_faults"] and study.rows["page_faults"].tolist() == [60.0] * 4
    text = printed(capsys, path)
    assert "Counters: not available (no PMU in this guest)" in text and "– – – – – – 60" in text
