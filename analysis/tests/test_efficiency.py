# SPDX-License-Identifier: BSD-3-Clause
"""Curves over ranks on files whose truth is known."""

import functools
import math

import h5py
import numpy as np
import pytest

from dlscale_analysis import load
from dlscale_analysis.casestats import read_cases
from dlscale_analysis.efficiency import curves
from dlscale_analysis.stats import (
    Interval,
    mean_interval,
    median_interval,
    mover_difference,
    mover_ratio,
)
from make_run import CaseSpec, write_new
from make_scaling import Step, collective_case, own_case, pdgemm_case, train_case


write = functools.partial(write_new, hosts=1, ranks_per_host=4, threads=1)


def found(path):
    with load(path) as run:
        return curves(run, read_cases(run))


def edit(path, case, **columns):
    """Other values in a row of /cases."""
    with h5py.File(path, "r+") as file:
        table = file["cases"][()]
        for name, value in columns.items():
            table[name][case] = value
        file["cases"][...] = table


def steps(**changes):
    """Weak scaling: T = 20 ms on one rank; 21.5 ms on 2 and 4, three buckets of 0.5 ms."""
    return [train_case(Step(20e-3, **changes), p, 64, seed=p) for p in (1, 2, 4)]


def test_weak_scaling(tmp_path):
    (curve,) = found(
        write(tmp_path, steps() + [own_case(20e-3, 64, "alone"), own_case(21e-3, 64, "together")])
    )
    assert (curve.scaling, curve.unit, curve.base.p, curve.last.p) == ("weak", "images/s", 1, 4)
    assert [point.p for point in curve.points] == [1, 2, 4]
    assert curve.points[0].efficiency.median == 1 and not curve.points[0].efficiency.valid
    for point in curve.points[1:]:
        assert point.efficiency.median == pytest.approx(20 / 21.5, rel=1e-6)
        assert point.speedup.median == pytest.approx(point.p * 20 / 21.5, rel=1e-6)
        assert point.rate == pytest.approx(64 * point.p / 21.5e-3, rel=1e-6)
    # Four ranks on the node at once are what "together" measured; two are not.
    assert curve.last.independent.median == pytest.approx(21 / 21.5, rel=1e-6)
    assert math.isnan(curve.points[1].independent.median)
    assert curve.name == "train topflight-cnn f32 weak" and "case 0" in curve.base_text


def test_over_several_nodes_a_full_node_is_the_baseline(tmp_path):
    """1, 2 and 4 ranks on two hosts of two: the point of two ranks is one node."""
    path = write_new(tmp_path, hosts=2, ranks_per_host=2, threads=1, cases=steps())
    (curve,) = found(path)
    assert curve.base.p == 2 and curve.base.efficiency.median == 1
    assert "a full node" in curve.base_text
    assert curve.last.efficiency.median == pytest.approx(1, rel=1e-6)
    assert curve.points[0].efficiency.median == pytest.approx(21.5 / 20, rel=1e-6)
    (single,) = found(write(tmp_path, steps()))
    assert single.base.p == 1 and not single.full_node
    # Two ranks are not a node of three.
    (none,) = found(write_new(tmp_path, hosts=2, ranks_per_host=3, threads=1, cases=steps()[1:]))
    assert none.base.p == 2 and "a full node" not in none.base_text


def test_a_batched_full_node_and_one_rank_alone_have_a_ratio(tmp_path):
    path = write_new(tmp_path, hosts=2, ranks_per_host=2, threads=1, cases=steps())
    edit(path, 1, mode="batched")
    (curve,) = found(path)
    assert curve.points[0].efficiency.median == pytest.approx(21.5 / 20, rel=1e-6)
    assert curve.last.why  # isolated on several ranks against batched


def test_strong_scaling_counts_the_work_of_all_ranks(tmp_path):
    cases = [pdgemm_case(p, 0.4 / p, 0.01 * (p > 1), [0.0] * 4) for p in (1, 2, 4)]
    (curve,) = found(write(tmp_path, cases))
    assert (curve.scaling, curve.unit) == ("strong", "FLOP/s")
    expected = [1, 0.4 / 2 / 0.21, 0.4 / 4 / 0.11]
    assert [point.efficiency.median for point in curve.points] == pytest.approx(expected)
    assert curve.last.speedup.median == pytest.approx(0.4 / 0.11)
    assert curve.last.rate == pytest.approx(2 * 2048**3 / 0.11)


def test_weak_work_that_does_not_grow_exactly(tmp_path):
    """E is right whatever the work: 1000 on one rank, 1260³·… on two (rounded cube root)."""
    cases = [pdgemm_case(1, 0.1, 0.0, [0.0], size=1000), pdgemm_case(2, 0.11, 0.0, [0.0] * 2, size=1260)]
    for case in cases:
        case.params.update({"m": 1000, "n": 1000, "k": 1000, "scaling": "weak_work"})
    (curve,) = found(write(tmp_path, cases))
    ideal = 0.1 * (1260 / 1000) ** 3 / 2
    assert curve.scaling == "weak_work" and curve.last.efficiency.median == pytest.approx(ideal / 0.11)


def test_baseline_is_the_smallest_that_completed_and_failures_are_named(tmp_path):
    path = write(tmp_path, steps())
    edit(path, 0, status=b"failed", check_passed=0)
    (curve,) = found(path)
    assert curve.base.p == 2 and curve.last.efficiency.median == pytest.approx(1)
    assert curve.last.speedup.median == pytest.approx(2) and "p = 1 failed (case 0)" in curve.notes
    edit(path, 1, check_passed=0)
    assert found(path) == []  # one point is no curve


def test_launches_are_never_divided_by_one_another(tmp_path):
    again = [train_case(Step(10e-3), p, 64, seed=p, launch=1) for p in (1, 2, 4)]
    first, second = found(write(tmp_path, steps() + again))
    assert (first.launch, second.launch) == (0, 1)
    assert first.last.efficiency.median == pytest.approx(20 / 21.5)
    assert second.last.efficiency.median == pytest.approx(10 / 11.5)
    assert any("launch 1" in note and "never divided" in note for note in first.notes)
    # A later launch that has no baseline of its own makes no ratio.
    assert len(found(write(tmp_path, steps() + again[2:]))) == 1


def test_a_point_measured_again_shows_its_drift(tmp_path):
    again = train_case(Step(20e-3, transfer=0.9e-3), 4, 64, seed=4)
    (curve,) = found(write(tmp_path, steps() + [again]))
    assert [point.again for point in curve.points] == [False, False, False, True]
    assert curve.last.case == 2 and any(
        "measured again (case 3): +5.6 %" in note for note in curve.notes
    )


def test_batched_and_isolated_are_not_divided(tmp_path):
    path = write(tmp_path, steps()[1:])
    edit(path, 1, mode=b"batched")
    (curve,) = found(path)
    assert math.isnan(curve.last.efficiency.median) and "no ratio" in curve.notes[0]
    path = write(tmp_path, steps())
    edit(path, 2, mode=b"batched")  # of one rank nothing arrives late: it may be divided
    assert found(path)[0].last.efficiency.median == pytest.approx(20 / 21.5)


def test_sizes_written_out_rank_by_rank_make_one_curve_of_a_series(tmp_path):
    cases = [
        train_case(Step(80e-3 / p, transfer=0.0), p, 256 // p, series="strong by hand", scaling="")
        for p in (1, 2, 4)
    ]
    (curve,) = found(write(tmp_path, cases))
    assert curve.scaling == "strong" and curve.last.efficiency.median == pytest.approx(1)
    for case in cases:
        case.series = ""
    assert found(write(tmp_path, cases)) == []


def test_what_differs_in_another_key_is_another_curve(tmp_path):
    both = steps() + [train_case(Step(20e-3, overlap="test"), p, 64, seed=p) for p in (1, 2, 4)]
    names = [curve.name for curve in found(write(tmp_path, both))]
    assert names == [
        "train topflight-cnn overlap=none f32 weak",
        "train topflight-cnn overlap=test f32 weak",
    ]
    controls = [train_case(Step(20e-3, communicate=False), p, 64) for p in (1, 2, 4)]
    assert (
        len(found(write(tmp_path, steps() + controls))) == 1
    )  # those without communication are no curve
    assert found(write(tmp_path, [collective_case(p, 1024, 1e-3, {}) for p in (1, 2)])) == []


def test_interval_is_movers_of_block_medians_of_the_slowest_rank(tmp_path):
    path = write(tmp_path, steps(noise=0.05))
    (curve,) = found(path)
    with load(path) as run:
        medians = []
        for case in (0, 2):
            seconds = run.samples(case).seconds(measured=True).max(axis=1)
            block = run.samples(case).block
            medians.append([np.median(seconds[block == number]) for number in range(6)])
    expected = mover_ratio(*(median_interval(np.array(values)) for values in medians))
    got = curve.last.efficiency
    assert (got.low, got.median, got.high) == pytest.approx(
        (expected.low, expected.median, expected.high), rel=1e-9
    )
    assert got.low < got.median < got.high and got.count == 6


def test_fewer_than_six_blocks_have_no_interval(tmp_path):
    cases = steps()
    for case in cases:
        case.arrays = {
            name: values[:40] if name not in ("part_names", "bucket_bytes") else values
            for name, values in case.arrays.items()
        }
    (curve,) = found(write(tmp_path, cases))
    assert not curve.last.efficiency.valid and math.isfinite(curve.last.efficiency.median)


def test_differences_and_means_of_intervals():
    first, second = (
        Interval(m, m - w, m + 2 * w, 6, 0.97, m - w, m + 2 * w) for m, w in ((10, 3), (4, 4))
    )
    gap = mover_difference(first, second)
    assert (gap.median, gap.low, gap.high) == (6, 6 - math.hypot(3, 8), 6 + math.hypot(6, 4))
    assert math.isnan(mover_difference(first, Interval(1, *[math.nan] * 2, 3, *[math.nan] * 3)).low)
    mean = mean_interval(5.0, np.array([1.0, 2, 3, 2, 1, 2]))
    assert (mean.median, mean.low, mean.high) == (5, 1, 5)  # widened to hold the mean


def test_oversubscribed_curves_are_marked(tmp_path):
    path = write(tmp_path, steps() + [CaseSpec("noop", 1e-7)])
    with h5py.File(path, "r+") as file:
        table = file["system/ranks"][()]
        table["cpus"] = b"0-1"
        file["system/ranks"][...] = table
    assert found(path)[0].crowded
