# SPDX-License-Identifier: BSD-3-Clause
"""A unit against its own history: launches of weeks, in the same file or in many.

Per case, log times of all units and launches are centred by launch (what changed for all is no node's fault) and by unit; a
lasting step up to the latest launch is looked for in what is left. Noise comes from differences of neighbouring
launches, which a step moves only once.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np
import pandas as pd

from .distributions import f_quantile, t_quantile
from .load import Run
from .slow_bounds import CONTRADICTS, LEAST_EFFECT, PRIOR_NU, group_series, two_of_three
from .slow_judge import COMBINED, FAMILY, Judged, lower_medians
from .slow_math import robust_scale
from .slow_measures import LATE, LINK, THIRDS, Measure
from .slow_units import FEWEST_NODES

EARLIER = 3  # launches before a step that it needs
WEEKLY_SIGMA = 0.005  # by which a node differs from itself between launches: the prior


@dataclass
class Step:
    """A unit that became slower and stayed so; `first` is the index of the launch at which it did."""

    level: str
    key: str
    kind: str
    label: str
    excess: float
    bound: float
    first: int
    launches: int  # from `first` on, in which the unit took part


def steps(runs: Sequence[Run], launches: Sequence[Tuple[int, Judged]]) -> List[Step]:
    """All steps. `launches` in order of time: index into `runs`, and the launch judged."""
    tables: Dict[tuple, Dict[int, Dict[str, float]]] = {}
    labels: Dict[tuple, str] = {}
    for number, (run, judged) in enumerate(launches):
        for measure in judged.measures:
            if measure.case == COMBINED or measure.kind == LATE or measure.scale != "log":
                continue
            for level in ("node", "rank"):
                if level not in judged.layout.groups:
                    continue
                name = (level, *_signature(runs[run], measure, judged))
                labels[name] = measure.label
                tables.setdefault(name, {})[number] = _values(measure, judged, level)
    tried = [(name, _matrix(values, len(launches))) for name, values in tables.items()]
    tried = [(name, keys, table) for name, (keys, table) in tried if len(keys)]
    tests = sum(int((np.isfinite(table).sum(axis=0) > EARLIER).sum()) for _, _, table in tried)
    found: List[Step] = []
    for name, keys, table in tried:
        found += _steps_of(name, labels[name], keys, table, max(1, tests))
    return found


def _signature(run: Run, measure: Measure, judged: Judged) -> tuple:
    """What must be equal for times to be compared over launches."""
    case = run.case(measure.case)
    names = ("workload", "variant", "device", "dtype", "occupancy", "engine", "placement")
    ranks = int(case["ranks"]) if measure.kind == LINK or case["placement"] else -1
    where = measure.label.rsplit(" ", 2)[-2:] if measure.kind == LINK else []
    params = json.dumps(case["params"], sort_keys=True)
    return (
        measure.kind,
        measure.quantity,
        *(str(case[n]) for n in names),
        int(case["threads"]),
        ranks,
        *where,
        params,
    )


def _values(measure: Measure, judged: Judged, level: str) -> Dict[str, float]:
    """Log time of each unit: the median of its thirds, of the lower median over its ranks."""
    place, group = judged.layout, judged.layout.groups[level]
    whole = np.full((len(measure.values), len(place.ranks)), np.nan)
    whole[:, place.columns(measure.ranks)] = measure.values
    units = whole if level == "rank" else lower_medians(whole, group.member, len(group.keys))
    value = two_of_three(group_series(units, THIRDS))
    return {key: float(v) for key, v in zip(group.keys, value) if math.isfinite(v)}


def _matrix(values: Dict[int, Dict[str, float]], launches: int) -> Tuple[List[str], np.ndarray]:
    """[launch, unit] of units seen in more than EARLIER launches, the latest of the table's among them."""
    frame = pd.DataFrame.from_dict(values, orient="index").reindex(range(launches))
    last = max(values)
    seen = frame.notna()
    kept = frame.columns[(seen.sum() > EARLIER) & seen.loc[last]]
    return list(kept), frame[kept].to_numpy(dtype=float)


def _steps_of(name: tuple, label: str, keys: List[str], table: np.ndarray, tests: int) -> List[Step]:
    rest = table - _column_medians(table)
    if len(keys) >= FEWEST_NODES:
        rest = rest - _column_medians(rest.T).T
        rest = rest - _column_medians(rest)
    jumps = np.concatenate([np.diff(column[np.isfinite(column)]) for column in rest.T])
    sigma, nu = _scale(jumps)
    found = []
    least = math.log1p(LEAST_EFFECT)
    today = rest[np.isfinite(rest).any(axis=1)][-1]
    # Nobody else can end above the level of earlier launches by what is worth a name; of many units that is nearly nobody.
    for column in np.flatnonzero(today - np.nanmin(rest, axis=0) > least):
        there = np.flatnonzero(np.isfinite(rest[:, column]))
        series = rest[there, column]
        splits = range(EARLIER, len(series))
        alpha = FAMILY / (tests * len(splits))
        best = None
        for k in splits:
            step = float(np.median(series[k:]) - np.median(series[:k]))
            # π/2: a median's variance over a mean's; of one value they are equal.
            variance = sum((math.pi / 2 if n > 2 else 1.0) / n for n in (k, len(series) - k))
            bound = max(least, sigma * math.sqrt(variance) * t_quantile(alpha, nu))
            if min(step, float(series[-1] - np.median(series[:k]))) <= bound:
                continue
            misfit = sum(
                float(np.abs(part - np.median(part)).sum()) for part in (series[:k], series[k:])
            )
            if best is None or misfit < best[0]:
                best = (misfit, step, bound, k)
        if best:
            _, step, bound, k = best
            found.append(
                Step(
                    name[0],
                    keys[column],
                    name[1],
                    label,
                    math.expm1(step),
                    math.expm1(bound),
                    int(there[k]),
                    len(series) - k,
                )
            )
    return found


def _scale(jumps: np.ndarray) -> Tuple[float, float]:
    """Standard deviation of a launch around its unit's level, and its degrees of freedom, from differences of neighbouring
    launches (which share values, hence two thirds of them: von Neumann's estimator), moderated as in slow_bounds.py.
    """
    s, nu = robust_scale(jumps / math.sqrt(2), WEEKLY_SIGMA)
    nu *= 2.0 / 3.0
    if not nu > 0:
        return WEEKLY_SIGMA, PRIOR_NU
    if s * s / WEEKLY_SIGMA**2 > f_quantile(CONTRADICTS, nu, PRIOR_NU):
        return s, nu
    return math.sqrt((PRIOR_NU * WEEKLY_SIGMA**2 + nu * s * s) / (PRIOR_NU + nu)), PRIOR_NU + nu


def _column_medians(table: np.ndarray) -> np.ndarray:
    """[1, column]; 0 for a column without values."""
    there = np.isfinite(table).any(axis=0)
    result = np.zeros((1, table.shape[1]))
    result[0, there] = np.nanmedian(table[:, there], axis=0)
    return result
