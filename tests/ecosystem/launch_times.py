# SPDX-License-Identifier: BSD-3-Clause
"""What run files say of their start ("start" of /system/environment).

usage: launch_times.py FOLDER   (ranks1.h5 … ranks4.h5: launched 2 s before; slow.h5; bad times)
"""

import json
import math
import pathlib
import sys

import h5py

from results import check, finish

folder = pathlib.Path(sys.argv[1])


def start_of(name):
    """The last launch's "start"; {} when there is no such file."""
    path = folder / f"{name}.h5"
    if not path.is_file():
        return {}
    with h5py.File(path, "r") as file:
        facts = json.loads(file["system/environment"][-1])
    slowest = (facts["start"]["mpi_init_s"] or {}).get("max")
    check(
        f"launch/{name}: mpi_init_s as before", facts["mpi_init_s"] == slowest, facts["mpi_init_s"]
    )
    return facts["start"]


def in_order(*values):
    return all(math.isfinite(value) for value in values) and list(values) == sorted(values)


for ranks in range(1, 5):
    start = start_of(f"ranks{ranks}")
    launch = start.get("launch_s") or {}
    # Between "2 s ago" and main there are mpirun and, at most, the limit of a test run.
    check(
        f"launch/{ranks} ranks: since the launcher",
        launch and in_order(2.0, launch["root"], launch["latest"], 2.0 + 120),
        launch,
    )
    check(f"launch/{ranks} ranks: latest rank", launch.get("latest_rank") in range(ranks), launch)
    for kind, least in (("loading_s", 0.0), ("mpi_init_s", 1e-6)):
        entry = start.get(kind) or {}
        check(
            f"launch/{ranks} ranks: {kind}",
            entry
            and in_order(least, entry["min"], entry["median"], entry["max"], 120)
            and entry["slowest_rank"] in range(ranks),
            entry,
        )

slow = start_of("slow").get("loading_s") or {}
check(
    "launch/what comes before main counts as loading",
    slow and in_order(0.49, slow["min"], 120),
    slow,
)
for name in ("empty", "text", "future", "old"):
    start = start_of(name)
    check(
        f"launch/{name}: no launch time", "launch_s" in start and start["launch_s"] is None, start
    )
    check(
        f"launch/{name}: the rest is there",
        start.get("loading_s") and start.get("mpi_init_s"),
        start,
    )
finish()
