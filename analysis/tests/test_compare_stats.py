# SPDX-License-Identifier: BSD-3-Clause
"""Ratios, Holm's procedure and verdicts on known numbers; error rates by simulation with fixed seeds."""

import math

import numpy as np
import pytest

from dlscale_analysis import compare_stats as cs
from dlscale_analysis.distributions import t_tail
from proportions import clopper_pearson
from simulate_compare import World, counts


def launch(seconds, spread=0.0, blocks=6):
    """Block medians, evenly spread around `seconds`."""
    return seconds * np.exp(spread * np.linspace(-1, 1, blocks))


def test_holm_rejects_step_by_step():
    np.testing.assert_allclose(cs.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(cs.holm([0.9, 0.8]), [1.0, 1.0])
    assert cs.holm([]).size == 0


def test_launches_are_the_units():
    a = [launch(t, 0.1) for t in (1.00, 1.01, 0.99)]
    b = [launch(t, 0.1) for t in (1.10, 1.11, 1.09)]
    found = cs.speed_ratio(a, b)
    logs = np.log([[1.00, 1.01, 0.99], [1.10, 1.11, 1.09]])
    pooled = (logs[0].var(ddof=1) + logs[1].var(ddof=1)) / 2
    assert found.freedom == 4 and not found.one_launch
    assert found.error == pytest.approx(math.sqrt(pooled * 2 / 3))
    assert math.exp(found.log_ratio) == pytest.approx(found.seconds_a / found.seconds_b)
    assert found.log_ratio == pytest.approx(logs[0].mean() - logs[1].mean())
    low, high = found.ends(0.95)
    assert low < math.exp(found.log_ratio) < high < 1
    assert found.p_value(0.03) == pytest.approx(2 * t_tail(-found.log_ratio / found.error, 4))


def test_a_single_new_launch_is_judged_by_the_spread_of_the_old():
    found = cs.speed_ratio([launch(t) for t in (1.0, 1.01, 0.99, 1.0)], [launch(1.2)])
    assert found.freedom == 3 and cs.verdicts([found], 0.03, 0.95) == [cs.SLOWER]


def test_one_launch_each_widens_and_keeps_off():
    a, b = launch(1.0, 0.01), launch(1.02, 0.01)
    found = cs.speed_ratio([a], [b])
    s2 = (np.log(a).var(ddof=1) + np.log(b).var(ddof=1)) / 2
    assert found.one_launch and found.freedom == 10
    assert found.error == pytest.approx(math.sqrt(s2 * 2 / 6 * cs.autoregressive_widening(6)))
    tight = [launch(1.0, 1e-4)]
    for factor, word in (
        (1.02, cs.UNSURE),
        (1.029, cs.UNSURE),
        (1.05, cs.SLOWER),
        (1 / 1.05, cs.FASTER),
        (1.01, cs.SAME),
        (1.0, cs.SAME),
    ):
        assert cs.verdicts([cs.speed_ratio(tight, [factor * tight[0]])], 0.03, 0.95) == [word], factor


def test_widening_is_that_of_an_autoregressive_series():
    assert cs.autoregressive_widening(6, 0.0) == pytest.approx(1.0)
    rng = np.random.default_rng(3)
    for correlation in (0.3, 0.6):
        series = np.empty((40_000, 6))
        series[:, 0] = rng.standard_normal(40_000)
        for i in range(1, 6):
            series[:, i] = correlation * series[:, i - 1] + math.sqrt(
                1 - correlation**2
            ) * rng.standard_normal(40_000)
        true = series.mean(axis=1).var() / (series.var(axis=1, ddof=1).mean() / 6)
        assert cs.autoregressive_widening(6, correlation) == pytest.approx(true, rel=0.03)


def test_too_few_blocks_or_launches_have_no_interval():
    few = cs.speed_ratio([launch(1.0, 0.01, 5)], [launch(2.0, 0.01)])
    assert few.freedom == 0 and few.p_value(0.03) == 1.0 and math.isnan(few.ends(0.95)[0])
    sure = cs.speed_ratio([launch(1.0, 1e-4)], [launch(2.0, 1e-4)])
    assert cs.verdicts([few, sure], 0.03, 0.95) == [
        cs.UNSURE,
        cs.SLOWER,
    ]  # and few is not in the family
    assert cs.verdicts([], 0.03, 0.95) == []


def test_a_small_sure_difference_is_the_same():
    a, b = ([launch(t) for t in side] for side in ((1.0, 1.0001, 0.9999), (1.01, 1.0101, 1.0099)))
    assert cs.speed_ratio(a, b).p_value(0.03) < 1e-6
    assert cs.verdicts([cs.speed_ratio(a, b)], 0.03, 0.95) == [cs.SAME]
    assert cs.verdicts([cs.speed_ratio(a, b)], 0.005, 0.95) == [cs.SLOWER]


def test_direction_does_not_matter():
    rng = np.random.default_rng(8)
    for launches in (1, 3):
        a, b = (
            [launch(t) * np.exp(rng.normal(0, 0.01, 6)) for t in (s,) * launches] for s in (1.0, 1.04)
        )
        there, back = cs.speed_ratio(a, b), cs.speed_ratio(b, a)
        assert there.ends(0.95) == pytest.approx(tuple(1 / end for end in reversed(back.ends(0.95))))
        assert there.p_value(0.03) == pytest.approx(back.p_value(0.03))


def test_no_spread_at_all():
    same, other = [launch(1.0)] * 3, [launch(1.1)] * 3
    assert cs.verdicts([cs.speed_ratio(same, same), cs.speed_ratio(same, other)], 0.03, 0.95) == [
        cs.SAME,
        cs.SLOWER,
    ]


def test_what_is_not_a_number_shows_nothing():
    for log_ratio, error in ((0.1, math.nan), (math.nan, 0.01), (math.nan, math.nan)):
        found = cs.SpeedRatio(log_ratio, error, 4, 3, 3, 1.0, 1.0)
        assert found.p_value(0.03) == 1.0 and cs.verdicts([found], 0.03, 0.95) == [cs.UNSURE]


TRIALS = 150


def at_most(hits, limit):
    """Not significantly above `limit`: the lower end of the exact interval."""
    return clopper_pearson(hits, TRIALS, 0.99)[0] <= limit


@pytest.mark.parametrize("sides", [(1, 1), (3, 3), (6, 1)])
def test_false_differences_are_rare(sides):
    world = World(*sides, block_sd=0.01, launch_sd=0.005, correlation=0.3)
    assert at_most(counts(world, TRIALS, 17)["false"], 0.05)


def test_false_differences_are_what_blocks_alone_would_give():
    """The check above can fail: blocks taken for units see differences where there are none."""
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(TRIALS):
        level = np.exp(0.01 * rng.standard_normal((2, 3, 1)) + 0.002 * rng.standard_normal((2, 3, 6)))
        found = cs.SpeedRatio(*_pooled_blocks(level), 3, 3, 1.0, 1.0)
        false += cs.verdicts([found], 0.001, 0.95) != [cs.UNSURE]
    assert not at_most(false, 0.05)


def _pooled_blocks(seconds):
    logs = np.log(seconds).reshape(2, -1)
    error = math.sqrt(logs.var(axis=1, ddof=1).mean() * 2 / logs.shape[1])
    return float(logs[0].mean() - logs[1].mean()), error, 2 * logs.shape[1] - 2


@pytest.mark.parametrize("sides", [(1, 1), (3, 3), (6, 6)])
def test_same_is_rarely_said_of_a_difference_of_delta(sides):
    world = World(*sides, block_sd=0.003, launch_sd=0.002, slower=0.03)
    assert at_most(counts(world, TRIALS, 23)["SAME"], 0.05)


def test_five_per_cent_are_found_with_launches():
    found = {n: counts(World(n, n, 0.01, 0.005, slower=0.05), 60, 31)["SLOWER"] for n in (1, 3, 6)}
    assert found[6] >= 57 and found[3] >= 40 and found[1] < found[3]


def test_exact_interval_of_a_share():
    low, high = clopper_pearson(5, 100)
    assert (low, high) == (
        pytest.approx(0.0164, abs=1e-4),
        pytest.approx(0.1128, abs=1e-4),
    )  # Clopper & Pearson 1934
    assert clopper_pearson(0, 100)[0] == 0 and clopper_pearson(0, 100)[1] == pytest.approx(
        0.0362, abs=1e-4
    )
    assert clopper_pearson(10, 10)[1] == 1.0
