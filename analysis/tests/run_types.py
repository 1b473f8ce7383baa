# SPDX-License-Identifier: BSD-3-Clause
"""Types of the tables that make_run.py writes."""

import numpy as np

TEXT = {
    "series": 32,
    "role": 16,
    "workload": 32,
    "variant": 16,
    "device": 16,
    "dtype": 8,
    "occupancy": 16,
    "placement": 16,
    "engine": 16,
    "params": 1024,
    "status": 16,
    "stop_reason": 32,
    "mode": 16,
    "results": 2048,
    "message": 512,
    "repro": 512,
}
INTEGERS = ("id", "launch", "order", "ranks", "threads", "blocks", "check_passed")
LONG = ("samples", "warmup", "repeats")
CASE_ORDER = (
    "id launch order series role workload variant device dtype occupancy placement ranks threads engine params "
    "flops bytes_touched bytes_sent memory_bytes items status stop_reason blocks samples warmup repeats mode "
    "median_s low_s high_s check_error check_tolerance check_passed results message repro"
).split()
CASE_TYPE = np.dtype(
    [
        (
            name,
            (
                f"S{TEXT[name]}"
                if name in TEXT
                else "<i4" if name in INTEGERS else "<i8" if name in LONG else "<f8"
            ),
        )
        for name in CASE_ORDER
    ]
)
RANK_TYPE = np.dtype(
    [
        ("rank", "<i4"),
        ("host", "S64"),
        ("local_rank", "<i4"),
        ("pid", "<i4"),
        ("cpus", "S64"),
        ("threads", "<i4"),
        ("numa", "<i4"),
        ("device", "S32"),
        ("device_uuid", "S64"),
        ("memory_bytes", "<i8"),
        ("switch", "S32"),
    ]
)
LAUNCH_TYPE = np.dtype([("launch", "<i4"), ("started", "S32"), ("hosts", "S4096"), ("reason", "S16")])
CLOCK_TYPE = np.dtype(
    [
        ("launch", "<i4"),
        ("case", "<i4"),
        ("block", "<i4"),
        ("node", "<i4"),
        ("offset_ns", "<i8"),
        ("min_rtt_ns", "<i8"),
        ("error_ns", "<i8"),
        ("at_ns", "<i8"),
    ]
)
