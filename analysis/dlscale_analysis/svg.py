# SPDX-License-Identifier: BSD-3-Clause
"""A small drawing board for inline SVG. Colours come from the page's style sheet by class, so that one drawing serves
light, dark and print. Coordinates are pixels of the view box."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Iterable, List, Sequence, Tuple

import numpy as np


@dataclass
class Scale:
    """Maps values low … high to pixels first … last."""

    low: float
    high: float
    first: float
    last: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, 1e-300))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.first + share * (self.last - self.first)

    def clamp(self, value: float) -> float:
        return self(min(max(value, self.low), self.high))

    def ticks(self, count: int = 5) -> List[float]:
        """Round values inside the scale, about `count` of them."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            return [10.0**power for power in powers if self.low <= 10.0**power <= self.high]
        ticks = nice_ticks(self.low, self.high, count)
        return ticks if len(ticks) > 2 else nice_ticks(self.low, self.high, 2 * count)


def nice_ticks(low: float, high: float, count: int = 5) -> List[float]:
    """Multiples of 1, 2 or 5 times a power of ten in [low, high]."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float, step: float) -> str:
    """A tick's number with the decimals its step needs."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{0.0 if abs(value) < step * 1e-6 else value:,.{min(decimals, 9)}f}"


def ticks_text(ticks: Sequence[float]) -> List[str]:
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) if ticks else 1.0
    return [tick_text(tick, step) for tick in ticks]


class Svg:
    """One drawing; `label` is what a screen reader says."""

    def __init__(self, width: float, height: float, label: str) -> None:
        self.width, self.height, self.label = width, height, label
        self._parts: List[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self._parts.append(f'<path class="{kind}" d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}"/>')

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        kind: str,
        tip: str = "",
        radius: float = 0,
    ) -> None:
        rounded = f' rx="{_n(radius)}"' if radius else ""
        self._parts.append(
            f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" '
            f'height="{_n(max(height, 0))}"{rounded}' + (f">{_tip(tip)}</rect>" if tip else "/>")
        )

    def dot(self, x: float, y: float, radius: float, kind: str, tip: str = "") -> None:
        self._parts.append(
            f'<circle class="{kind}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"'
            + (f">{_tip(tip)}</circle>" if tip else "/>")
        )

    def dots(self, points: Iterable[Tuple[float, float]], kind: str) -> None:
        """Many dots as one path: the class gives stroke width (the dot's size) and round caps."""
        path = "".join(f"M{_n(x)} {_n(y)}h0" for x, y in points)
        if path:
            self._parts.append(f'<path class="{kind}" d="{path}"/>')

    def polyline(self, points: Sequence[Tuple[float, float]], kind: str) -> None:
        if len(points) > 1:
            self._parts.append(
                f'<path class="{kind}" d="M' + "L".join(f"{_n(x)} {_n(y)}" for x, y in points) + '"/>'
            )

    def band(
        self, upper: Sequence[Tuple[float, float]], lower: Sequence[Tuple[float, float]], kind: str
    ) -> None:
        """The area between two lines over the same x."""
        points = list(upper) + list(reversed(lower))
        if len(points) > 3:
            self._parts.append(
                f'<path class="{kind}" d="M' + "L".join(f"{_n(x)} {_n(y)}" for x, y in points) + 'Z"/>'
            )

    def text(self, x: float, y: float, text: str, kind: str = "t", anchor: str = "start") -> None:
        placed = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}"{placed}>{escape(text)}</text>')

    def x_axis(
        self, scale: Scale, top: float, bottom: float, title: str, count: int = 6, suffix: str = ""
    ) -> None:
        """Grid lines, numbers below, title under them."""
        ticks = scale.ticks(count)
        for tick, text in zip(ticks, ticks_text(ticks)):
            self.line(scale(tick), top, scale(tick), bottom, "grid")
            self.text(scale(tick), bottom + 15, text + suffix, "t n", "middle")
        if title:
            self.text((scale.first + scale.last) / 2, bottom + 32, title, "t axis", "middle")

    def y_axis(
        self, scale: Scale, left: float, right: float, title: str, count: int = 4, numbers: bool = True
    ) -> None:
        """Grid lines, numbers at the left, title above them."""
        ticks = scale.ticks(count)
        for tick, text in zip(ticks, ticks_text(ticks)):
            self.line(left, scale(tick), right, scale(tick), "grid")
            if numbers:
                self.text(left - 6, scale(tick) + 3.5, text, "t n", "end")
        if title:
            self.text(left - 6, min(scale.first, scale.last) - 9, title, "t axis", "end")

    def render(self) -> str:
        return (
            f'<svg viewBox="0 0 {_n(self.width)} {_n(self.height)}" role="img" aria-label="{escape(self.label)}" '
            f'style="min-width:{min(self.width, 860):.0f}px;max-width:{self.width:.0f}px">'
            + "".join(self._parts)
            + "</svg>"
        )


def text_width(text: str, size: float = 12.0) -> float:
    """About the width of `text` in pixels in a sans-serif font."""
    return 0.62 * size * len(text)


def shortened(text: str, room: float, size: float = 12.5) -> str:
    """`text`, cut with an ellipsis where it would be wider than `room` pixels."""
    most = int(room / (0.62 * size))
    return text if len(text) <= most else text[: most - 1] + "…"


def finite_range(values: np.ndarray, pad: float = 0.06) -> Tuple[float, float]:
    """Smallest and largest value with a margin; far outliers (beyond 6 × the middle 90 %) are cut off."""
    kept = values[np.isfinite(values)]
    if kept.size == 0:
        return 0.0, 1.0
    p5, p95 = np.quantile(kept, (0.05, 0.95))
    reach = 6 * (p95 - p5) + 1e-3 * abs(p95)
    low, high = max(kept.min(), p5 - reach), min(kept.max(), p95 + reach)
    margin = pad * (high - low) or 0.05 * abs(high) or 1.0
    return float(low - margin), float(high + margin)


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>"
