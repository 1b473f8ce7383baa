# SPDX-License-Identifier: BSD-3-Clause
"""Statistics on small known numbers, with NaN, with zero spread, and their coverage by simulation."""

import math

import numpy as np
import pytest

from dlscale_analysis import stats

NAN = math.nan


@pytest.mark.parametrize(
    "values, median, low, high",
    [
        ([5.0], 5.0, NAN, NAN),
        ([1.0, 2.0], 1.5, NAN, NAN),
        ([3.0, 1.0, 2.0], 2.0, NAN, NAN),
        ([4.0, 1.0, 3.0, 2.0], 2.5, NAN, NAN),
        ([6.0, 1.0, 5.0, 2.0, 4.0, 3.0], 3.5, 1.0, 6.0),
        ([7.0, 6.0, 1.0, 5.0, 2.0, 4.0, 3.0], 4.0, 1.0, 7.0),
        ([9.0, 8.0, 7.0, 6.0, 1.0, 5.0, 2.0, 4.0, 3.0], 5.0, 2.0, 8.0),
        ([NAN, 6.0, 1.0, NAN, 5.0, 2.0, 4.0, 3.0], 3.5, 1.0, 6.0),
        ([2.0] * 6, 2.0, 2.0, 2.0),
    ],
)
def test_interval_of_known_numbers(values, median, low, high):
    found = stats.median_interval(np.array(values))
    assert found.median == median and found.count == np.isfinite(values).sum()
    assert (found.low, found.high) == (low, high) or (math.isnan(low) and not found.valid)
    assert found.min == np.nanmin(values) and found.max == np.nanmax(values)


def test_nothing_known():
    for values in ([], [NAN, NAN]):
        found = stats.median_interval(np.array(values))
        assert found.count == 0 and math.isnan(found.median) and not found.valid


def test_coverage_is_that_of_the_binomial():
    assert stats.order_statistic(5)[0] == 0
    assert stats.order_statistic(6) == (1, pytest.approx(1 - 2 / 64))
    assert stats.order_statistic(9) == (2, pytest.approx(1 - 2 * 10 / 512))
    rng = np.random.default_rng(5)
    hits = [
        i.low <= math.log(2) <= i.high
        for i in map(stats.median_interval, rng.exponential(size=(4000, 6)))
    ]
    assert 0.955 < np.mean(hits) < 0.98


def test_block_medians_leave_out_warm_ups_and_absent_ranks():
    block = np.array([-1, 0, 0, 0, 2, 2])
    values = np.array([[99.0, 99.0], [1.0, NAN], [2.0, NAN], [9.0, NAN], [4.0, 7.0], [6.0, NAN]])
    blocks, medians = stats.block_medians(values, block)
    assert blocks.tolist() == [0, 2]
    np.testing.assert_array_equal(medians, [[2.0, NAN], [5.0, 7.0]])
    assert stats.block_medians(values[:, 0], block)[1].tolist() == [2.0, 5.0]
    assert stats.block_medians(np.empty((0, 3)), np.empty(0, dtype=int))[1].shape == (0, 3)


def test_column_quantiles_agree_with_numpy():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(11, 40))
    values[rng.random(values.shape) < 0.3] = NAN
    values[:, 7] = NAN
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        expected = np.nanquantile(values, (0.05, 0.5, 0.95), axis=0)
    np.testing.assert_allclose(stats.column_quantiles(values, (0.05, 0.5, 0.95)), expected, rtol=1e-12)


def test_column_half_widths():
    medians = np.array([[1.0, 1.0], [1.1, NAN], [1.2, 1.0], [0.9, 1.0], [0.8, 1.0], [1.0, 1.0]])
    widths = stats.column_half_widths(medians)
    assert widths[0] == pytest.approx(0.2) and math.isnan(widths[1])


def test_ratio_of_medians():
    a = stats.median_interval(np.array([9.0, 10, 10, 10, 10, 11]))
    b = stats.median_interval(np.array([4.5, 5, 5, 5, 5, 5.5]))
    found = stats.mover_ratio(a, b)
    down = math.hypot(math.log(10 / 9), math.log(1.1))
    assert found.median == 2.0 and found.low == pytest.approx(2 * math.exp(-down))
    back = stats.mover_ratio(b, a)
    assert back.low == pytest.approx(1 / found.high) and back.high == pytest.approx(1 / found.low)
    assert found.low > 9 / 5.5 and found.high < 11 / 4.5  # narrower than the worst case
    few = stats.median_interval(np.array([1.0, 2.0]))
    assert (
        stats.mover_ratio(a, few).median == pytest.approx(10 / 1.5)
        and not stats.mover_ratio(a, few).valid
    )
    same = stats.median_interval(np.full(6, 3.0))
    assert (stats.mover_ratio(same, same).low, stats.mover_ratio(same, same).high) == (1.0, 1.0)
    assert math.isnan(stats.mover_ratio(a, stats.median_interval(np.zeros(6))).median)


def test_ratio_interval_covers():
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(1500):
        a, b = (stats.median_interval(np.exp(rng.normal(m, 0.05, 6))) for m in (0.7, 0.0))
        found = stats.mover_ratio(a, b)
        hits += found.low <= math.exp(0.7) <= found.high
    assert hits / 1500 > 0.95


def test_outliers_do_not_move_the_scaled_mad():
    assert stats.scaled_mad(np.array([1.0, 1.0, 1.0, 1.0, 5.0])) == 0
    assert stats.scaled_mad(np.array([1.0, 2.0, 3.0, 4.0, 100.0, NAN])) == pytest.approx(1.4826)
    assert stats.scaled_mad(np.array([NAN])) != stats.scaled_mad(np.array([NAN]))
    assert stats.scaled_mad(np.random.default_rng(0).normal(size=20001)) == pytest.approx(1.0, abs=0.03)
