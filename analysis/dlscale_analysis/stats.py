# SPDX-License-Identifier: BSD-3-Clause
"""Medians, intervals and outliers. Values are seconds or rates; NaN means "not there" and never counts.

The interval of a median comes from block medians by order statistics, without assuming a distribution: for n blocks
the k-th smallest and k-th largest cover the median with probability 1 − 2·P(Binomial(n, ½) < k). Six blocks give
[min, max] with 96.9 %. With fewer no pair reaches 95 %, so there is a spread and no interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Tuple

import numpy as np

MAD_TO_SIGMA = 1.4826  # scaled so that it estimates the standard deviation of normal values


@dataclass(frozen=True)
class Interval:
    """A median with its interval; low and high are NaN when there are too few values. min and max always."""

    median: float
    low: float
    high: float
    count: int
    coverage: float  # probability that [low, high] holds the median; NaN without an interval
    min: float
    max: float

    @property
    def valid(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def half_width(self) -> float:
        """Half the interval's width over the median; NaN without an interval."""
        return (self.high - self.low) / (2 * self.median) if self.valid and self.median else math.nan


EMPTY = Interval(math.nan, math.nan, math.nan, 0, math.nan, math.nan, math.nan)


def order_statistic(count: int, confidence: float = 0.95) -> Tuple[int, float]:
    """Largest k (1-based) such that [k-th smallest, k-th largest] of `count` values covers the median with at least
    `confidence`, and that coverage; (0, NaN) when no k does. David & Nagaraja, Order Statistics, §7.1.
    """
    best, coverage = 0, math.nan
    tail = 0.0
    for k in range(1, count // 2 + 1):
        tail += math.exp(
            math.lgamma(count + 1) - math.lgamma(k) - math.lgamma(count - k + 2) - count * math.log(2)
        )
        if 1 - 2 * tail < confidence - 1e-12:
            break
        best, coverage = k, 1 - 2 * tail
    return best, coverage


def median_interval(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Median of `values` (usually block medians) with its order-statistic interval."""
    kept = np.sort(np.asarray(values, dtype=float).ravel())
    kept = kept[np.isfinite(kept)]
    if kept.size == 0:
        return EMPTY
    k, coverage = order_statistic(kept.size, confidence)
    low, high = (float(kept[k - 1]), float(kept[-k])) if k else (math.nan, math.nan)
    return Interval(
        float(np.median(kept)), low, high, int(kept.size), coverage, float(kept[0]), float(kept[-1])
    )


def block_medians(values: np.ndarray, block: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Numbers of the blocks (≥ 0) and the median of each: `values` [sample] → [block], [sample, x] → [block, x].
    A block without values gives NaN."""
    values = np.asarray(values, dtype=float)
    blocks = np.unique(block[block >= 0]) if block.size else np.empty(0, dtype=int)
    medians = np.full((blocks.size,) + values.shape[1:], np.nan)
    for index, number in enumerate(blocks):
        medians[index] = column_quantiles(values[block == number], (0.5,))[0]
    return blocks, medians


def block_means(values: np.ndarray, block: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Like block_medians, with the mean of each block."""
    values = np.asarray(values, dtype=float)
    blocks = np.unique(block[block >= 0]) if block.size else np.empty(0, dtype=int)
    means = np.full((blocks.size,) + values.shape[1:], np.nan)
    for index, number in enumerate(blocks):
        rows = values[block == number]
        there = np.isfinite(rows)
        count = there.sum(axis=0)
        total = np.where(there, rows, 0.0).sum(axis=0)
        means[index] = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return blocks, means


def column_quantiles(values: np.ndarray, levels: Tuple[float, ...]) -> np.ndarray:
    """Quantiles along the first axis, linear between order statistics, NaN left out: [level, …]."""
    values = np.asarray(values, dtype=float)
    result = np.full((len(levels),) + values.shape[1:], np.nan)
    if values.shape[0] == 0:
        return result
    ordered = np.sort(values, axis=0)  # NaN last
    last = np.isfinite(ordered).sum(axis=0) - 1
    for index, level in enumerate(levels):
        position = np.maximum(last, 0) * level
        lower = np.floor(position).astype(int)
        upper = np.minimum(lower + 1, np.maximum(last, 0))
        low = np.take_along_axis(ordered, lower[None, ...], axis=0)[0]
        high = np.take_along_axis(ordered, upper[None, ...], axis=0)[0]
        result[index] = np.where(last >= 0, low + (position - lower) * (high - low), np.nan)
    return result


def column_half_widths(medians: np.ndarray, confidence: float = 0.95) -> np.ndarray:
    """Relative half-width of each column's interval from its block medians [block, x]; NaN with too few blocks."""
    ordered = np.sort(medians, axis=0)
    counts = np.isfinite(ordered).sum(axis=0)
    result = np.full(medians.shape[1:], np.nan)
    for count in np.unique(counts):
        k, _ = order_statistic(int(count), confidence)
        if k:
            columns = counts == count
            middle = column_quantiles(ordered[:, columns], (0.5,))[0]
            width = ordered[count - k][columns] - ordered[k - 1][columns]
            result[columns] = np.divide(width, 2 * middle, out=np.zeros_like(width), where=middle > 0)
    return result


def mover_ratio(numerator: Interval, denominator: Interval) -> Interval:
    """Ratio of two medians with its interval: MOVER (Donner & Zou 2012) on logarithms, so that the interval of a / b
    and of b / a are reciprocal. Values must be positive; an interval only if both have one."""
    if not (numerator.median > 0 and denominator.median > 0):
        return EMPTY
    count = min(numerator.count, denominator.count)
    ratio = numerator.median / denominator.median
    low = high = math.nan
    if numerator.valid and denominator.valid and numerator.low > 0 and denominator.low > 0:
        down = math.hypot(
            math.log(numerator.median / numerator.low), math.log(denominator.high / denominator.median)
        )
        up = math.hypot(
            math.log(numerator.high / numerator.median), math.log(denominator.median / denominator.low)
        )
        low, high = ratio * math.exp(-down), ratio * math.exp(up)
    coverage = min(numerator.coverage, denominator.coverage)
    least = numerator.min / denominator.max if denominator.max > 0 else math.nan
    most = numerator.max / denominator.min if denominator.min > 0 else math.nan
    return Interval(ratio, low, high, count, coverage, least, most)


def mean_interval(mean: float, block_means: np.ndarray) -> Interval:
    """A mean over all samples with the interval that its block means give by order statistics, widened to hold it."""
    found = median_interval(block_means)
    if not math.isfinite(mean) or not found.count:
        return EMPTY
    low, high = min(found.low, mean), max(found.high, mean)
    if not found.valid:
        low = high = math.nan
    return Interval(mean, low, high, found.count, found.coverage, found.min, found.max)


def mover_difference(first: Interval, second: Interval) -> Interval:
    """first − second of independent values with its interval: MOVER (Zou & Donner 2008); only if both have one."""
    if not (math.isfinite(first.median) and math.isfinite(second.median)):
        return EMPTY
    difference = first.median - second.median
    low = high = math.nan
    if first.valid and second.valid:
        low = difference - math.hypot(first.median - first.low, second.high - second.median)
        high = difference + math.hypot(first.high - first.median, second.median - second.low)
    coverage = min(first.coverage, second.coverage)
    count = min(first.count, second.count)
    return Interval(
        difference, low, high, count, coverage, first.min - second.max, first.max - second.min
    )


def scaled(value: Interval, factor: float) -> Interval:
    """`value` times a positive number that is known exactly."""
    ends = (factor * end for end in (value.median, value.low, value.high))
    return Interval(*ends, value.count, value.coverage, factor * value.min, factor * value.max)


def scaled_mad(values: np.ndarray) -> float:
    """1.4826 × median absolute deviation from the median: a standard deviation that outliers don't move."""
    kept = np.asarray(values, dtype=float)
    kept = kept[np.isfinite(kept)]
    return float(MAD_TO_SIGMA * np.median(np.abs(kept - np.median(kept)))) if kept.size else math.nan
