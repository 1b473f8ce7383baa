# SPDX-License-Identifier: BSD-3-Clause
"""Tails and quantiles of the normal distribution, of Student's t and of F.

NumPy has none of these, and SciPy is not asked of a cluster's login node for a few functions.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Callable

import numpy as np

NORMAL = NormalDist()
_GRID = np.linspace(-12.0, 38.0, 10_001)
_LOG_TAIL = np.array(
    [
        math.log(0.5 * math.erfc(x / math.sqrt(2))) if x < 37 else -0.5 * x * x - math.log(x) - 0.919
        for x in _GRID
    ]
)


def normal_tail(x: np.ndarray) -> np.ndarray:
    """P(Z > x) of a standard normal Z, elementwise; relative error below 1e-5 up to x = 37."""
    return np.exp(np.interp(x, _GRID, _LOG_TAIL))


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) by its continued fraction (DLMF 8.17.22, Lentz's method)."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side
        return 1.0 - beta_share(1.0 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny, c = 1e-300, 1.0
    d = 1.0 / (1.0 - (a + b) * x / (a + 1) or tiny)
    value = d
    for m in range(1, 500):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + factor * d or tiny)
            c = 1.0 + factor / c or tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-13:
            break
    return front * value / a


def t_tail(x: float, nu: float) -> float:
    """P(T > x) of Student's t with `nu` degrees of freedom; normal from a thousand on."""
    if nu > 1000:
        return 0.5 * math.erfc(x / math.sqrt(2))
    tail = 0.5 * beta_share(nu / (nu + x * x), nu / 2, 0.5)
    return tail if x >= 0 else 1.0 - tail


def t_quantile(alpha: float, nu: float) -> float:
    """The x ≥ 0 with P(T > x) = `alpha` ≤ ½; `nu` is rounded down to a tenth."""
    return _t_quantile(alpha, math.floor(10 * nu) / 10)


@lru_cache(maxsize=4096)
def _t_quantile(alpha: float, nu: float) -> float:
    return _solve(lambda x: t_tail(x, nu) - alpha)


@lru_cache(maxsize=4096)
def f_quantile(alpha: float, nu1: float, nu2: float) -> float:
    """The x with P(F > x) = `alpha` of F with nu1 and nu2 degrees of freedom."""
    return _solve(lambda x: beta_share(nu2 / (nu2 + nu1 * x), nu2 / 2, nu1 / 2) - alpha)


def _solve(falling: Callable[[float], float]) -> float:
    """Where a falling function of x ≥ 0 crosses zero, by bisection."""
    low, high = 0.0, 1.0
    while falling(high) > 0 and high < 1e12:
        low, high = high, 4 * high
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return 0.5 * (low + high)
