# SPDX-License-Identifier: BSD-3-Clause
"""The mathematics behind the bounds, and rates on simulated clusters small enough for every day."""

import math

import numpy as np
import pytest

from dlscale_analysis.distributions import beta_share, f_quantile, normal_tail, t_quantile, t_tail
from dlscale_analysis.slow_bounds import Noise, _permuted, chance_bound, noise_of, two_of_three
from dlscale_analysis.slow_command import look
from dlscale_analysis.slow_judge import lower_medians
from dlscale_analysis.slow_math import others_median, robust_scale
from proportions import clopper_pearson
from simulate_slow import Fault, write_simulated


def test_tails_against_tables():
    # Abramowitz & Stegun, tables 26.1, 26.9 and 26.10.
    for nu, alpha, value in (
        (1, 0.05, 6.314),
        (10, 0.025, 2.228),
        (10, 0.0005, 4.587),
        (30, 0.01, 2.457),
    ):
        assert t_quantile(alpha, nu) == pytest.approx(value, abs=6e-4)
        assert t_tail(-value, nu) == pytest.approx(1 - alpha, abs=1e-4)
    # two-sided 95 % and 99 %, Fisher & Yates' table
    for nu, at_95, at_99 in ((1, 12.706, 63.657), (2, 4.303, 9.925), (3, 3.182, 5.841), (120, 1.980, 2.617)):
        assert t_quantile(0.025, nu) == pytest.approx(at_95, abs=6e-4)
        assert t_quantile(0.005, nu) == pytest.approx(at_99, abs=6e-4)
        assert 2 * t_tail(at_95, nu) == pytest.approx(0.05, rel=1e-3)
    assert t_tail(0.0, 7) == 0.5 and t_tail(1e9, 7) < 1e-12
    assert f_quantile(0.05, 6, 8) == pytest.approx(3.58, abs=5e-3)
    assert f_quantile(0.25, 6, 8) == pytest.approx(1.65, abs=5e-3)
    assert normal_tail(np.array([0.0, 1.96, 5.0])) == pytest.approx(
        [0.5, 0.0249979, 2.8665e-7], rel=1e-4
    )
    assert normal_tail(np.array([37.5]))[0] > 0  # no sudden end
    assert beta_share(0.3, 2, 3) == pytest.approx(0.3483, abs=1e-4)


def test_no_owner_is_its_own_reference():
    rng = np.random.default_rng(0)
    for columns, owners in ((1, 1), (2, 2), (5, 5), (9, 3), (12, 4), (30, 7)):
        values = rng.normal(size=(6, columns))
        values[rng.random(values.shape) < 0.2] = np.nan
        owner = np.arange(columns) if owners == columns else rng.integers(0, owners, columns)
        got = others_median(values, owner)
        for row in range(6):
            for column in range(columns):
                others = values[row, (owner != owner[column]) & np.isfinite(values[row])]
                want = np.median(others) if others.size else math.nan
                assert got[row, column] == pytest.approx(want, nan_ok=True)


def test_lower_medians_and_thirds():
    values = np.array([[3.0, 1.0, 2.0, 9.0, np.nan]])
    assert lower_medians(values, np.array([0, 0, 0, 1, 2]), 4)[0] == pytest.approx(
        [2, 9, math.nan, math.nan], nan_ok=True
    )
    assert lower_medians(values, np.array([0, 0, -1, -1, -1]), 1)[0, 0] == 1  # of two the faster
    series = np.array([[1.0], [1.0], [5.0], [5.0], [9.0], [9.0]])
    assert two_of_three(series)[0] == 5
    series[0] = math.nan
    assert math.isnan(two_of_three(series)[0])


def test_the_permutation_bound_is_that_of_drawing():
    """Three thirds drawn from the pool and a lasting part: the bound is exceeded as often as it says."""
    rng = np.random.default_rng(5)
    pool = 0.01 * rng.standard_t(3, 300)
    bound = _permuted(pool, 0.01, 0.01)
    drawn = np.median(rng.choice(pool, (3, 200_000)), axis=0) + 0.01 * rng.standard_normal(200_000)
    assert np.mean(drawn > bound) == pytest.approx(0.01, rel=0.1)
    many = np.concatenate([pool] * 20)  # beyond what is kept one by one
    assert _permuted(many, 0.01, 0.01) == pytest.approx(bound, rel=0.01)
    assert _permuted(np.zeros(0), 0.01, 0.01) == 0


def test_a_scale_without_its_outliers():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 2.0, 400)
    s, nu = robust_scale(np.concatenate([values, [50, 60, 70.0]]))
    assert s == pytest.approx(2.0, rel=0.1) and nu == 399
    assert math.isnan(robust_scale(np.array([1.0]))[0])


def test_noise_knows_its_correlation():
    rng = np.random.default_rng(2)
    white = rng.normal(0, 0.01, (6, 4000))
    assert noise_of(white, True).variance == pytest.approx(0.5e-4, rel=0.1)
    slow = white.copy()
    for row in range(1, 6):
        slow[row] = 0.6 * slow[row - 1] + 0.8 * white[row]
    thirds = slow.reshape(3, 2, -1).mean(axis=1)
    truth = float((thirds - thirds.mean(axis=0)).var(axis=0).mean()) * 1.5
    alone = float(slow.var(axis=0, ddof=1).mean()) / 2  # as if its blocks knew nothing of each other
    assert alone < 0.9 * truth and noise_of(slow, True).variance == pytest.approx(truth, rel=0.1)
    assert noise_of(slow, False).variance > 1.1 * alone
    assert noise_of(white, False).variance == pytest.approx(0.5e-4, rel=0.1)
    empty = noise_of(np.full((6, 3), np.nan), True)
    assert empty.variance == 0 and empty.thirds.size == 0


def test_larger_families_and_fewer_units_need_larger_bounds():
    rng = np.random.default_rng(3)
    quiet = Noise(rng.normal(0, 1e-3, 300), 1e-6, 100)
    bounds = [
        chance_bound(rng.normal(0, 0.01, 400), quiet, False, alpha) for alpha in (1e-3, 1e-5, 1e-7)
    ]
    assert bounds == sorted(bounds) and 0.03 < bounds[0] < 0.04
    assert chance_bound(rng.normal(0, 0.01, 7), quiet, False, 1e-5) > bounds[1]
    noisy = Noise(rng.normal(0, 0.1, 300), 1e-2, 100)
    assert chance_bound(rng.normal(0, 0.01, 400), noisy, False, 1e-5) > 0.1


def test_clopper_pearson():
    assert clopper_pearson(0, 20) == pytest.approx((0, 0.1684), abs=1e-4)
    assert clopper_pearson(19, 20) == pytest.approx((0.7513, 0.9987), abs=1e-4)
    assert clopper_pearson(20, 20)[1] == 1


@pytest.mark.parametrize("hosts,per_host", [(8, 1), (8, 8)])
def test_rates_on_simulated_clusters(tmp_path, hosts, per_host):
    """Few runs with fixed seeds: a node 10 % slow must be found, and healthy clusters name nobody. Rates are measured by
    slow_rates.py."""
    path = str(tmp_path / "run.h5")
    false, hits, runs = 0, 0, 6
    for seed in range(runs):
        write_simulated(path, hosts, per_host, seed)
        false += bool(look([path]).named)
        slow = write_simulated(path, hosts, per_host, 100 + seed, Fault("node", 0.10, seed))
        hits += any(set(entry.ranks) == slow for entry in look([path]).named)
    assert false <= 1 and hits >= runs - 1
