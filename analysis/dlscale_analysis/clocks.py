# SPDX-License-Identifier: BSD-3-Clause
"""The common clock of a case: what has to be added to a rank's own times to get those of the root's node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np
import pandas as pd

from .load import Run


@dataclass
class CommonClock:
    """Offsets of one case's participants, measured before and after its blocks and taken as linear between."""

    nodes: np.ndarray  # [p] index of each participant's node
    lines: Dict[int, Tuple[np.ndarray, np.ndarray]]  # node → at_ns (root's clock), offset_ns
    error_s: float  # bound on the error of a difference between two of its nodes; 0 on one node
    missing: List[int]  # nodes beside the first that have no offset: their times are taken as they are

    def shift(self, start_ns: np.ndarray) -> np.ndarray:
        """int64 nanoseconds to add to each of `start_ns` [sample, participant] to get the root's clock."""
        result = np.zeros(start_ns.shape, dtype=np.int64)
        for node, (at, offset) in self.lines.items():
            columns = np.flatnonzero(self.nodes == node)
            base = int(offset[0])  # apart, so that the interpolation keeps its nanoseconds
            own = start_ns[:, columns] + base
            moved = np.interp(own.astype(float), at.astype(float), (offset - base).astype(float))
            result[:, columns] = base + np.rint(moved).astype(np.int64)
        return result


def common_clock(run: Run, case: pd.Series, ranks: np.ndarray) -> CommonClock:
    """Nodes are numbered by their lowest rank, as the program numbers them."""
    launch = int(case["launch"])
    hosts = run.hosts(launch).sort_index()
    number = {host: index for index, host in enumerate(dict.fromkeys(hosts))}
    nodes = np.array([number.get(hosts.get(rank), 0) for rank in ranks], dtype=int)
    used = np.unique(nodes)
    if used.size < 2:
        return CommonClock(nodes, {}, 0.0, [])
    rows = run.clocks[run.clocks["launch"] == launch]
    own = rows[rows["case"] == int(case["id"])]
    rows = own if set(used) <= set(own["node"]) else rows
    lines: Dict[int, Tuple[np.ndarray, np.ndarray]] = {}
    errors = [0.0]
    for node in used:
        of_node = rows[rows["node"] == node].sort_values("at_ns")
        if len(of_node):
            lines[int(node)] = (of_node["at_ns"].to_numpy(), of_node["offset_ns"].to_numpy())
            errors.append(float(of_node["error_ns"].max()))
    # A difference between two nodes has the errors of both offsets.
    return CommonClock(
        nodes,
        lines,
        1e-9 * float(np.sum(np.sort(errors)[-2:])),
        [int(node) for node in used if int(node) not in lines],
    )
