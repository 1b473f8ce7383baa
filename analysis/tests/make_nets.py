# SPDX-License-Identifier: BSD-3-Clause
"""Cases of training, inference and convolutions with known content, and the arrays that only they have:

python3 make_nets.py OUT.h5
"""

from __future__ import annotations

import sys
from typing import Dict, List

import h5py
import numpy as np

from run_spec import CaseSpec, RunSpec

EPOCH_UNITS = {"train": "s", "validate": "s", "cpu": "s", "stall": "s"}


def append_wide(
    group: h5py.Group, case: CaseSpec, start: np.ndarray, stop: np.ndarray, phase: np.ndarray
) -> None:
    """parts, layers, probes, epochs of one case, where it has them; NaN where a rank was absent."""
    seconds = np.where(phase == 255, np.nan, (stop - start) / 1e9)[:, :, None]
    if case.parts:
        put(group, "parts", seconds * np.array(list(case.parts.values())))
        group["part_names"] = texts(case.parts, 64)
    if case.layers:
        names, shares, flops, moved = zip(*case.layers)
        put(group, "layers", seconds * np.array(shares))
        group["layer_names"] = texts(names, 96)
        group["layer_flops"], group["layer_bytes"] = np.array(flops), np.array(moved)
    if case.partners:
        group["partners"] = np.array(case.partners, dtype="<i4")
    if case.probes:
        there = np.where(np.isnan(seconds), np.nan, 1.0)
        put(group, "probes", there * np.array(list(case.probes.values())))
        group["probe_names"] = texts(case.probes, 64)
        group["probe_units"] = texts(["1"] * len(case.probes), 64)
    if case.epochs:
        columns = [spread(values, start.shape[1]) for values in case.epochs.values()]
        put(group, "epochs", np.stack(columns, axis=2))
        group["epoch_names"] = texts(case.epochs, 64)
        group["epoch_units"] = texts([EPOCH_UNITS.get(name, "1") for name in case.epochs], 64)
        group["epoch_descriptions"] = texts(case.epochs, 256)


def put(group: h5py.Group, name: str, values: np.ndarray) -> None:
    shape = (None,) + values.shape[1:]
    group.create_dataset(name, data=values.astype("<f8"), maxshape=shape, fillvalue=np.nan, chunks=True)


def spread(values: object, participants: int) -> np.ndarray:
    """[epoch] for all ranks alike, or [epoch][participant] as it is."""
    array = np.array(values, dtype=float)
    return np.repeat(array[:, None], participants, axis=1) if array.ndim == 1 else array


def texts(names: object, size: int) -> np.ndarray:
    return np.array([name.encode() for name in names], dtype=f"S{size}")  # type: ignore[attr-defined]


def roofs() -> List[CaseSpec]:
    """No-op; FMA: 100 GFLOP/s; triad: 10 GB/s. Exact: without noise."""
    return [
        CaseSpec("noop", 1e-7, noise=0.0),
        CaseSpec("fma", 1e-2, flops=1e9, dtype="f32", role="roof", noise=0.0),
        CaseSpec("triad", 1e-2, bytes_touched=1e8, dtype="f64", role="roof", noise=0.0),
    ]


PARTS = {"load": 0.1, "copy": 0.05, "forward": 0.3, "backward": 0.4, "reduce": 0.0, "update": 0.1}


def train(seconds: float, batch: int, workers: int, **options: object) -> CaseSpec:
    """A step of `seconds`, 46,228,992 FLOP per image."""
    defaults: Dict[str, object] = {
        "flops": 46228992.0 * batch,
        "bytes_touched": 1e6,
        "items": float(batch),
        "dtype": "f32",
        "noise": 0.0,
        "parts": PARTS,
        "params": {"model": "top-flight", "batch": batch, "workers": workers, "optimizer": "adam"},
        "results": {"data": "synthetic", "library": "oneDNN 2.6.3"},
    }
    return CaseSpec("train", seconds, **{**defaults, **options})  # type: ignore[arg-type]


def layers() -> List[tuple]:
    """Shares of a step of 10 ms. Bounds: conv1 1e8 FLOP → 1 ms; bn1 1e7 B → 1 ms; conv2 2e8 FLOP → 2 ms."""
    return [
        ("conv1 forward", 0.2, 1e8, 1e6),  # 2 ms: 50 % of its FLOP bound
        ("bn1 forward", 0.32, 0.0, 1e7),  # 3.2 ms: 31 % of its memory bound
        ("relu1 forward", 0.02, 0.0, 4e6),  # 0.2 ms: 200 %, in the cache
        ("conv2 backward weights", 0.25, 2e8, 1e6),  # 2.5 ms: 80 %
        ("fc1 forward", 0.1, 1e6, 4e6),  # 1 ms: 0.4 ms by bytes, 0.01 by FLOP: 40 % of its memory bound
    ]


def epochs(
    seconds: List[float], validate: float, cpus: float, accuracy: List[float]
) -> Dict[str, object]:
    count = len(seconds)
    return {
        "train": [value - validate for value in seconds],
        "validate": [validate] * count,
        "cpu": [cpus * value for value in seconds],
        "stall": [0.05] * count,
        "images": [60000.0] * count,
        "loss": list(np.linspace(0.5, 0.1, count)),
        "test_loss": list(np.linspace(0.4, 0.09, count)),
        "test_accuracy": accuracy,
    }


STUDY = (  # batch, workers, epoch times, CPUs
    (64, 0, [20.0, 19.0, 18.0], 80.0),
    (128, 0, [13.2, 12.8, 13.0], 60.0),
    (512, 0, [10.0, 9.5, 10.5], 48.0),
    (512, 4, [7.1, 7.3, 7.2], 70.0),
)


def study_cases(counters: bool = True) -> List[CaseSpec]:
    return [
        train(
            times[0] * batch / 60000,
            batch,
            workers,
            series="topflight",
            repeats=1,
            results={},
            epochs=epochs(times, 0.5, cpus, [0.971, 0.985, 0.9 + 0.0001 * batch]),
            probes=(
                {"cycles": 1e9, "instructions": 2.5e8, "cache_references": 4e6, "cache_misses": 1e6}
                if counters
                else {}
            ),
        )
        for batch, workers, times, cpus in STUDY
    ]


def conv_cases() -> List[CaseSpec]:
    """Two shapes of one series with three passes each, the second with a failed one."""
    common = {"batch": 16, "stride_h": 2, "stride_w": 2, "groups": 1, "algorithm": "auto"}
    pads = {f"pad_{side}": 3 for side in ("top", "bottom", "left", "right")}
    shapes = [
        {"channels": 3, "height": 224, "width": 224, "filters": 64, "kernel_h": 7, "kernel_w": 7},
        {"channels": 64, "height": 56, "width": 56, "filters": 128, "kernel_h": 3, "kernel_w": 3},
    ]
    cases = []
    for index, shape in enumerate(shapes):
        for place, name in enumerate(("forward", "backward_data", "backward_weights")):
            failed = index == 1 and place == 2
            cases.append(
                CaseSpec(
                    "conv2d",
                    0.02 * (1 + place) * (1 + index),
                    flops=1e9 * (1 + index),
                    bytes_touched=1e6,
                    dtype="f32",
                    roofs=[1, 2],
                    noise=0.0,
                    series="deepbench training",
                    params={**common, **shape, **pads, "pass": name},
                    results={"algorithm": "winograd" if (index, place) == (1, 0) else "direct"},
                    status="failed" if failed else "completed",
                    check_passed=0 if failed else 1,
                )
            )
    return cases


def nets_spec(**options: object) -> RunSpec:
    """Two ranks, three blocks, everything at once."""
    infer = CaseSpec(
        "infer",
        4e-3,
        flops=1.6e8,
        bytes_touched=1e6,
        items=8.0,
        dtype="f32",
        params={"model": "resnet50", "batch": 8},
        noise=0.05,
        results={"data": "synthetic"},
    )
    plain = train(1e-2, 64, 0, layers=layers(), roofs=[1, 2], flops=5e8)
    bf16 = train(8e-3, 64, 2, dtype="bf16", occupancy="alone", slow={1: 1.1})
    cases = roofs() + [plain, bf16, infer] + study_cases() + conv_cases()
    defaults: Dict[str, object] = {"hosts": 2, "ranks_per_host": 1, "blocks": 3, "per_block": 5}
    return RunSpec(**{**defaults, "cases": cases, **options})  # type: ignore[arg-type]


if __name__ == "__main__":
    from make_run import write_run

    write_run(sys.argv[1], nets_spec())
