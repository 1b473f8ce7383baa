# SPDX-License-Identifier: BSD-3-Clause
"""What differs between two sides beside their times: program, libraries, machine, ranks, settings."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Dict, List, Sequence, Set

from .load import Run

# Of /system/environment: what every launch has anew, and what is said elsewhere.
VOLATILE = {
    *("command_line", "host", "libraries", "slurm", "warnings", "counters", "seed", "mpi_init_s", "start"),
    *(
        "clock_cost_s",
        "clock_resolution_s",
        "clock.cost_s",
        "clock.resolution_s",
        "cpuset",
        "cgroup",
    ),
    *("memory", "build.build_id"),
}
FIRST = (
    "dlscale",
    "build",
    "hosts",
    "nodes",
    "ranks",
    "threads",
    "device",
    "cpu",
    "blas",
    "mpi",
    "kernel",
)
LAUNCHER_MADE = re.compile(
    r"OMPI_(?!MCA_)|PMIX_|PRTE_MCA_prte|DLSCALE_LAUNCH_NS$|"
    r"OMPI_MCA_(orte|ess|pmix|initial_wdir|shmem_RUNTIME|mpi_oversubscribe|rmaps_base_oversub)"
)


@dataclass(frozen=True)
class Difference:
    name: str
    a: str  # values over the launches of A, commas between
    b: str


def differences(a: Sequence[Run], b: Sequence[Run]) -> List[Difference]:
    """Facts whose values differ between the sides; the important ones first."""
    sides = [_values(runs) for runs in (a, b)]
    names = sorted({name for side in sides for name in side}, key=_rank)
    return [
        Difference(name, *(", ".join(sorted(side.get(name, {"none"}))) for side in sides))
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    ]


def mixed(runs: Sequence[Run]) -> List[str]:
    """Names of facts in which the launches of one side differ; hosts may."""
    return [
        name
        for name, values in sorted(_values(runs).items(), key=lambda item: _rank(item[0]))
        if len(values) > 1 and name != "hosts"
    ]


def launcher_made(variable: str) -> bool:
    """Is it an environment variable that a launcher sets for itself, new in every launch?"""
    return bool(LAUNCHER_MADE.match(variable))


def _rank(name: str) -> tuple:
    head = re.split(r"[. ]", name)[0]
    return FIRST.index(head) if head in FIRST else len(FIRST), name


def _values(runs: Sequence[Run]) -> Dict[str, Set[str]]:
    found: Dict[str, Set[str]] = {}
    for run in runs:
        for launch in run.launches["launch"]:
            for name, value in _facts(run, int(launch)).items():
                found.setdefault(name, set()).add(value)
    return found


def _facts(run: Run, launch: int) -> Dict[str, str]:
    ranks = run.ranks[run.ranks["launch"] == launch]
    facts = {
        "dlscale version": str(run.attrs.get("dlscale_version", "unknown")),
        "dlscale git": str(run.attrs.get("git_hash", "unknown"))[:12],
        "hosts": " ".join(sorted(set(ranks["host"]))),
        "nodes": str(ranks["host"].nunique()),
        "ranks": str(len(ranks)),
        "threads": " ".join(map(str, sorted(set(ranks["threads"])))),
        "device": " ".join(sorted(set(ranks["device"]))),
    }
    environment = run.environment[launch] if launch < len(run.environment) else {}
    _flatten("", environment, facts)
    for library in environment.get("libraries", []):
        if isinstance(library, dict) and library.get("path"):
            name = PurePosixPath(str(library["path"])).name.partition(".so")[0]
            build = str(library.get("build_id", ""))[:8]
            facts[f"library {name}"] = f"{library.get('version') or 'unknown'} ({build})"
    return facts


def _flatten(prefix: str, value: Any, facts: Dict[str, str]) -> None:
    """Dotted names; lists as one JSON text."""
    for key, entry in value.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if name in VOLATILE or (prefix == "variables" and launcher_made(str(key))):
            continue
        if isinstance(entry, dict):
            _flatten(name, entry, facts)
        elif isinstance(entry, list):
            facts[name] = json.dumps([_without_identity(item) for item in entry])
        elif name not in ("build.version", "build.git_hash"):  # said as those of dlscale
            facts[name] = str(entry)


def _without_identity(item: Any) -> Any:
    """Of a memory or a GPU. What the system takes for itself differs by some pages from boot to boot."""
    return (
        {key: value for key, value in item.items() if key not in ("memory_bytes", "uuid")}
        if isinstance(item, dict)
        else item
    )
