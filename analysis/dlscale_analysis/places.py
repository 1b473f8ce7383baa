# SPDX-License-Identifier: BSD-3-Clause
"""Where ranks ran, as far as it puts their numbers in doubt; and whether the writer of a file is still there."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from pathlib import Path
from typing import Dict, List, Set, Tuple

from .load import Run

STALE_S = 120.0  # without a lock or a process to ask, a file unchanged for so long has lost its writer


def cpu_set(text: str) -> Set[int]:
    """ "0-3,8" → {0, 1, 2, 3, 8}; empty when the text is none."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text.strip()):
        return set()
    bounds = [part.split("-") for part in text.strip().split(",")]
    return {cpu for pair in bounds for cpu in range(int(pair[0]), int(pair[-1]) + 1)}


def crowded_ranks(run: Run, launch: int) -> int:
    """Ranks with more threads than processors in their affinity mask."""
    rows = run.ranks[run.ranks["launch"] == launch]
    return sum(
        0 < len(cpu_set(cpus)) < int(threads) for cpus, threads in zip(rows["cpus"], rows["threads"])
    )


def unbound_hosts(run: Run, launch: int) -> Tuple[List[str], List[str]]:
    """Hosts on which ranks have processors in common, and those of them with more threads than processors in all."""
    shared: List[str] = []
    over: List[str] = []
    for host, mates in run.ranks[run.ranks["launch"] == launch].groupby("host"):
        masks = [cpu_set(cpus) for cpus in mates["cpus"]]
        union: Set[int] = set().union(*masks)
        if sum(map(len, masks)) > len(union):
            shared.append(str(host))
        if union and all(masks) and int(mates["threads"].sum()) > len(union):
            over.append(str(host))
    return shared, over


def oversubscribed(run: Run) -> Dict[int, bool]:
    """Per launch: do ranks fight for processors? Then their rates say nothing about them."""
    return {
        int(launch): bool(unbound_hosts(run, int(launch))[1]) for launch in run.ranks["launch"].unique()
    }


def writer_alive(run: Run) -> bool:
    """Is the program that writes this file still there? Its lock file answers, else its process on this host, else
    the time of the last change."""
    try:
        with open(run.path + ".lock", "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            fcntl.flock(lock, fcntl.LOCK_UN)
            return False
    except OSError:
        pass
    writer = run.ranks[run.ranks["rank"] == 0].tail(1)
    if len(writer) and str(writer["host"].iloc[0]).split(".")[0] == socket.gethostname().split(".")[0]:
        return (
            Path(f"/proc/{int(writer['pid'].iloc[0])}").exists() if Path("/proc/self").exists() else True
        )
    return time.time() - os.stat(run.path).st_mtime < STALE_S
