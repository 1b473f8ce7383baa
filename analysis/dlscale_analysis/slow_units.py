# SPDX-License-Identifier: BSD-3-Clause
"""The units that can be slow, from the rank to the switch, and who may be compared with whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List

import numpy as np
import pandas as pd

from .load import Run

LEVELS = (
    "switch",
    "node",
    "device",
    "rank",
)  # from the top: what a larger unit explains is no smaller one's fault
FEWEST_NODES = 3  # that a slot needs: of two nobody knows which is at fault
HARDWARE = (
    "device",
    "threads",
    "cpu_model",
)  # columns of /system/ranks that make a class, where they are there


@dataclass
class Grouping:
    """A level's units over the ranks of a launch."""

    level: str
    names: List[str]
    member: np.ndarray  # [rank] index of its unit; −1 = in none
    keys: List[str] = field(
        default_factory=list
    )  # by which other launches and files know the unit; default: names

    def __post_init__(self) -> None:
        self.keys = self.keys or self.names


@dataclass(eq=False)
class Layout:
    """Where the ranks of one launch ran; arrays have one entry per rank, in the order of `ranks`."""

    launch: int
    ranks: np.ndarray
    host: np.ndarray  # index into `hosts`
    hosts: List[str]
    slot: np.ndarray  # ranks of one number are compared
    by_local_rank: bool  # slots are local ranks of one class; else the class alone
    groups: Dict[str, Grouping]

    def columns(self, ranks: np.ndarray) -> np.ndarray:
        """Positions of these world ranks."""
        return np.searchsorted(self.ranks, ranks)


def layout(run: Run, launch: int) -> Layout:
    """Slots and levels of one launch. A slot is a local rank of one hardware class: it has one rank per node, so that a
    node is never part of its own reference. With fewer than FEWEST_NODES nodes of a class it is the class alone.
    """
    rows = run.ranks[run.ranks["launch"] == launch].drop_duplicates("rank").sort_values("rank")
    host, hosts = pd.factorize(rows["host"])
    names = [column for column in HARDWARE if column in rows]
    kind = rows[names].astype(str).agg("/".join, axis=1) if len(rows) else pd.Series(dtype=str)
    spread = rows["host"].groupby(kind.to_numpy()).nunique()
    wide = kind.map(spread).to_numpy() >= FEWEST_NODES
    local = np.where(wide, rows["local_rank"].to_numpy(), -1)
    slot = pd.factorize(kind + "/" + pd.Series(local, index=kind.index).astype(str))[0]
    found = Layout(
        launch, rows["rank"].to_numpy(), host, list(map(str, hosts)), slot, bool(wide.any()), {}
    )
    found.groups["rank"] = Grouping(
        "rank", [f"rank {rank}" for rank in found.ranks], np.arange(len(rows)), _rank_keys(rows)
    )
    found.groups["node"] = Grouping("node", found.hosts, host)
    _add(found, "device", _devices(rows))
    _add(found, "switch", _switches(rows))
    if len(found.hosts) == len(found.ranks):  # a node's rank is the node
        del found.groups["rank"]
    return found


def _rank_keys(rows: pd.DataFrame) -> List[str]:
    """A rank is known by its own device's UUID, else by its host and local rank."""
    uuid = rows["device_uuid"].astype(str)
    own = (uuid != "") & (uuid.groupby(uuid).transform("size") == 1)
    place = rows["host"].astype(str) + " local rank " + rows["local_rank"].astype(str)
    return list(uuid.where(own, place))


def _devices(rows: pd.DataFrame) -> pd.Series:
    """Devices that several ranks share: by UUID, else NUMA domains; empty where a device is the rank or the node."""
    uuid = rows["device_uuid"].astype(str)
    names = ("device " + uuid).where(uuid != "", "")
    domain = rows["host"].astype(str) + " NUMA domain " + rows["numa"].astype(str)
    names = names.where((uuid != "") | (rows["numa"] < 0), domain)
    mates, of_node = names.groupby(names).transform("size"), rows.groupby("host")["rank"].transform(
        "size"
    )
    return names.where((mates > 1) & (mates < of_node), "")


def _switches(rows: pd.DataFrame) -> pd.Series:
    """Switches of at least two nodes, where there are enough of them to compare; the leaf of "s0.s3" is "s3"."""
    leaf = rows["switch"].astype(str).str.rsplit(".", n=1).str[-1]
    nodes = rows["host"].groupby(leaf).nunique()
    leaf = leaf.where(leaf.map(nodes) > 1, "")
    return leaf if (leaf[leaf != ""].nunique() >= FEWEST_NODES) else leaf.where(leaf == "", "")


def _add(found: Layout, level: str, names: pd.Series) -> None:
    codes, unique = pd.factorize(names.where(names != "", None))
    if len(unique):
        found.groups[level] = Grouping(level, list(map(str, unique)), codes)
