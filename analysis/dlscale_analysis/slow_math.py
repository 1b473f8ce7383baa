# SPDX-License-Identifier: BSD-3-Clause
"""Medians that leave one node out, and scales that outliers don't move."""

from __future__ import annotations

import math
from typing import Tuple

import numpy as np

from .stats import MAD_TO_SIGMA

REJECT = 5.0  # scaled MADs from the median, beyond which a value says nothing about the scale


def others_median(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """For each column of `values` [row, n] the median, row by row, over the columns of other owners; NaN left out, and
    NaN where nobody else is there. `owner` [n]: the node of each column, so that no node is its own reference.
    All from one sorting: an owner's own values shift the place of the median of the others.
    """
    code = np.unique(owner, return_inverse=True)[1]
    mine = padded_members(code)  # [owner, place], −1 = none
    order = np.argsort(values, axis=1)  # NaN last
    ordered = np.take_along_axis(values, order, axis=1)
    position = np.argsort(order, axis=1)
    finite = np.isfinite(values)
    own = np.where(mine >= 0, finite[:, mine], False).sum(axis=2)
    left = finite.sum(axis=1)[:, None] - own
    taken = np.sort(np.where(mine >= 0, position[:, mine], values.shape[1]), axis=2)
    middle = np.zeros(left.shape)
    for index in (np.maximum(left - 1, 0) // 2, left // 2):
        for place in range(taken.shape[2]):
            index = index + (taken[:, :, place] <= index)
        index = np.minimum(index, values.shape[1] - 1)
        middle += 0.5 * np.take_along_axis(ordered, index, axis=1)
    return np.where(left > 0, middle, np.nan)[:, code]


def padded_members(member: np.ndarray) -> np.ndarray:
    """[column] index of its group (−1 = none) → [group, place] columns of each group, −1 behind the last."""
    inside = np.flatnonzero(member >= 0)
    order = inside[np.argsort(member[inside], kind="stable")]
    sizes = np.bincount(member[inside])
    padded = np.full((sizes.size, int(sizes.max(initial=1))), -1)
    place = np.arange(order.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    padded[member[order], place] = order
    return padded


def robust_scale(values: np.ndarray, known: float = 0.0) -> Tuple[float, float]:
    """Standard deviation of `values` without outliers, and its degrees of freedom. Rejected is what lies beyond REJECT
    scaled MADs *and* beyond REJECT × `known`, a scale that is no surprise."""
    kept = values[np.isfinite(values)]
    if kept.size < 2:
        return math.nan, 0.0
    away = np.abs(kept - np.median(kept))
    limit = REJECT * max(known, MAD_TO_SIGMA * float(np.median(away)) * (1 + 4.0 / kept.size))
    inside = kept[away <= limit] if limit > 0 else kept
    return float(np.std(inside, ddof=1)), float(inside.size - 1)
