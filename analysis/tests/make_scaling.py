# SPDX-License-Identifier: BSD-3-Clause
"""Distributed cases whose every stretch is known: training steps with gradient buckets, products, collectives, pairs.

python3 make_scaling.py OUT.h5
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

import numpy as np

from run_spec import CaseSpec, RunSpec

BLOCKS, PER_BLOCK, WARM = 6, 8, 2
PARTS = ["load", "copy", "forward", "backward", "reduce", "update"]
NET = {"model": "topflight-cnn", "optimizer": "sgd", "check_replicas": 0}
BUCKETS = [262144.0, 1048576.0, 786432.0]  # B: 2 MiB together
GRADIENT = sum(BUCKETS)


@dataclass
class Step:
    """A data-parallel training step, in seconds. Every rank computes for `local`, longer by its share of `slow` and by
    `extra`; one bucket after the other takes `transfer` once the last rank has entered it."""

    local: float = 20e-3
    transfer: float = 0.5e-3  # of each bucket
    overlap: str = "none"
    extra: Dict[int, float] = field(default_factory=dict)  # rank → seconds of local work more
    late: Dict[int, float] = field(default_factory=dict)  # rank → seconds it starts later
    noise: float = 0.0  # of local, uniform within ±
    communicate: bool = True
    update: float = 1e-3


def step_arrays(step: Step, p: int, rng: np.random.Generator) -> Dict[str, np.ndarray]:
    """start, stop [s, p] in ns, parts [s, p, 6] and buckets [s, p, b, 3] in seconds, by playing each step."""
    rows, count = WARM + BLOCKS * PER_BLOCK, len(BUCKETS)
    extra = np.array([step.extra.get(rank, 0.0) for rank in range(p)])
    late = np.array([step.late.get(rank, 0.0) for rank in range(p)])
    local = step.local * (1 + step.noise * rng.uniform(-1, 1, (rows, p))) + extra
    forward, backward = 0.3 * (local - step.update), 0.7 * (local - step.update)
    computed = late + forward + backward  # on the common clock of the sample
    buckets = np.full((rows, p, count, 3), np.nan)
    free = computed if step.overlap == "none" else np.zeros((rows, p))
    for b in range(count):
        ready = late + forward + backward * (b + 1) / count
        enter = np.maximum(ready, free)
        done = enter.max(axis=1, keepdims=True) + step.transfer + np.zeros((rows, p))
        buckets[:, :, b] = np.stack([ready, enter, done], axis=2) - late[:, None]
        free = done
    communicates = step.communicate and p > 1
    reduce = np.maximum(0.0, free - computed) if communicates else np.zeros((rows, p))
    own = forward + backward + reduce + step.update
    begin = 1.0 + 0.1 * np.arange(rows)[:, None]
    zero = np.zeros((rows, p))
    arrays = {
        "start": np.rint(1e9 * (begin + late)).astype(np.int64) + np.zeros((rows, p), dtype=np.int64),
        "stop": np.rint(1e9 * (begin + late + own)).astype(np.int64),
        "parts": np.stack([zero, zero, forward, backward, reduce, zero + step.update], axis=2),
    }
    if communicates:
        arrays["buckets"] = buckets
    return arrays


def train_case(step: Step, p: int, batch: int, seed: int = 1, **options: Any) -> CaseSpec:
    """Data-parallel training of `batch` images per rank on the first p ranks."""
    params = {
        **NET,
        "parallel": "data",
        "batch": options.pop("batch_key", batch),
        "overlap": step.overlap,
        "communicate": step.communicate,
        "scaling": options.pop("scaling", "weak"),
        **options.pop("params", {}),
    }
    defaults: Dict[str, Any] = {"dtype": "f32", "items": float(batch * p), "flops": 4.6e7 * batch * p}
    arrays = step_arrays(step, p, np.random.default_rng(seed))
    extra = {"bucket_bytes": np.array(BUCKETS)} if "buckets" in arrays else {}
    return CaseSpec(
        "train",
        step.local,
        placement="packed",
        params=params,
        participants=list(range(p)),
        arrays={**arrays, "part_names": PARTS, **extra},
        **{**defaults, **options},
    )


def own_case(seconds: float, batch: int, occupancy: str, **options: Any) -> CaseSpec:
    """The same training, every rank by itself (parallel = none)."""
    params = {
        **NET,
        "parallel": "none",
        "batch": batch,
        "overlap": "none",
        "communicate": True,
        "scaling": "weak",
    }
    return CaseSpec(
        "train",
        seconds,
        dtype="f32",
        items=float(batch),
        flops=4.6e7 * batch,
        occupancy=occupancy,
        params=params,
        noise=options.pop("noise", 0.0),
        **options,
    )


def pdgemm_case(p: int, blas: float, pack: float, mpi: List[float], **options: Any) -> CaseSpec:
    """A product of 2048³ on p ranks: seconds in BLAS and packing alike on all, in MPI of each."""
    rows = WARM + BLOCKS * PER_BLOCK
    own = blas + pack + np.array(mpi)[None, :p] + np.zeros((rows, p))
    begin = np.rint(1e9 * (1.0 + np.arange(rows)[:, None])).astype(np.int64) + np.zeros((rows, p), int)
    parts = np.zeros((rows, p, 3)) + [blas, pack, 0.0]
    parts[:, :, 2] = own - blas - pack
    size = options.pop("size", 2048)
    params = {"m": size, "n": size, "k": size, "mb": 128, "nb": 128, "grid": "auto"}
    params.update({"logical_block": 256, "scaling": "strong", **options.pop("params", {})})
    results = {"library_logical_block": 32, **options.get("results", {})}
    options["results"] = {key: value for key, value in results.items() if value is not None}
    return CaseSpec(
        "pdgemm",
        blas + pack,
        dtype="f64",
        flops=2.0 * size**3,
        placement="packed",
        params=params,
        participants=list(range(p)),
        arrays={
            "start": begin,
            "stop": begin + np.rint(1e9 * own).astype(np.int64),
            "parts": parts,
            "part_names": ["blas", "pack", "mpi"],
        },
        **options,
    )


def collective_case(
    p: int, size: int, transfer: float, late: Dict[int, float], mode: str = "isolated", **options: Any
) -> CaseSpec:
    """An all-reduce: every rank leaves `transfer` after the last one has come."""
    rows = WARM + BLOCKS * PER_BLOCK
    repeats = 10 if mode == "batched" else 1
    come = np.array([late.get(rank, 0.0) for rank in range(p)])
    begin = 1.0 + 0.1 * np.arange(rows)[:, None]
    start = np.rint(1e9 * (begin + come)).astype(np.int64)
    stop = np.rint(1e9 * (begin + come.max() + repeats * transfer)).astype(np.int64)
    params = {"op": "allreduce", "bytes": size, "in_place": False, "implementation": "mpi"}
    return CaseSpec(
        "collective",
        transfer,
        dtype="f32",
        bytes_sent=p * 2.0 * (p - 1) / p * size,
        placement="packed",
        params={**params, **options.pop("params", {})},
        participants=list(range(p)),
        repeats=repeats,
        arrays={"start": start, "stop": stop + np.zeros((rows, p), dtype=np.int64)},
        **options,
    )


def matchings(p: int) -> np.ndarray:
    """[round, rank] partners of all pairs, each once: the circle method; −1 idles where p is odd."""
    seats = list(range(p)) + ([-1] if p % 2 else [])
    rounds = []
    for _ in range(len(seats) - 1):
        partner = np.full(p, -1)
        for a, b in zip(seats[: len(seats) // 2], reversed(seats[len(seats) // 2 :])):
            if a >= 0 and b >= 0:
                partner[a], partner[b] = b, a
        rounds.append(partner)
        seats = [seats[0], seats[-1], *seats[1:-1]]
    return np.array(rounds)


def pairwise_case(p: int, size: int, seconds: Dict[Tuple[int, int], float], usual: float) -> CaseSpec:
    """All pairs in p − 1 rounds; `seconds` of those that are not as usual."""
    partners = matchings(p)
    rows = WARM + BLOCKS * PER_BLOCK
    layers = np.zeros((rows, p, len(partners)))
    for number, row in enumerate(partners):
        for rank, other in enumerate(row):
            if other >= 0:
                layers[:, rank, number] = seconds.get((min(rank, other), max(rank, other)), usual)
    own = layers.sum(axis=2)
    begin = np.rint(1e9 * (1.0 + np.arange(rows)[:, None])).astype(np.int64) + np.zeros((rows, p), int)
    names = [f"round {number}" for number in range(len(partners))]
    return CaseSpec(
        "pairwise",
        usual * len(partners),
        bytes_sent=float(p * size * len(partners)),
        placement="packed",
        params={"bytes": size, "rounds": len(partners)},
        participants=list(range(p)),
        arrays={
            "start": begin,
            "stop": begin + np.rint(1e9 * own).astype(np.int64),
            "layers": layers,
            "layer_names": names,
            "partners": partners,
        },
    )


def write_arrays(group: Any, arrays: Dict[str, Any], participants: List[int]) -> None:
    """What a case brings along, in the file's types."""
    from make_nets import put, texts

    for name, size in (("part_names", 64), ("layer_names", 96)):
        if name in arrays:
            group[name] = texts(arrays[name], size)
    for name in ("parts", "layers", "buckets"):
        if name in arrays:
            put(group, name, arrays[name])
    if "layers" in arrays:
        group["layer_flops"] = group["layer_bytes"] = np.zeros(len(arrays["layer_names"]))
    if "bucket_bytes" in arrays:
        group["bucket_bytes"] = arrays["bucket_bytes"]
    if "partners" in arrays:
        group["partners"] = arrays["partners"].astype("<i4")
    group["ranks"][...] = np.array(participants, dtype=np.int32)


def phases(arrays: Dict[str, Any]) -> Tuple[np.ndarray, np.ndarray]:
    """phase [sample, rank] and block [sample]: warm-ups, then blocks."""
    rows = len(arrays["start"])
    block = np.concatenate([np.full(WARM, -1), np.repeat(np.arange(BLOCKS), PER_BLOCK)])[:rows]
    phase = np.where(block < 0, 0, 1).astype(np.uint8)[:, None]
    return phase + np.zeros(arrays["start"].shape, dtype=np.uint8), block.astype(np.int32)


def scaling_cases() -> List[CaseSpec]:
    """A bit of everything on four ranks of two hosts, with some noise: for the pages."""
    quiet = {"noise": 0.01}
    uneven = {3: 0.6e-3}
    cases = [CaseSpec("noop", 1e-7), own_case(20e-3, 64, "alone", noise=0.002)]
    cases.append(own_case(20.6e-3, 64, "together", noise=0.002, delay=uneven))
    for overlap, transfer in (("none", 0.7e-3), ("test", 0.75e-3), ("thread", 0.72e-3)):
        for p in (1, 2, 4):
            busy = {"none": 20.8e-3, "test": 21.0e-3, "thread": 21.3e-3}[overlap] if p > 1 else 20e-3
            step = Step(busy, transfer, overlap, extra=uneven if p == 4 else {}, **quiet)
            cases.append(train_case(step, p, 64, seed=p, series="weak"))
    for p in (2, 4):
        step = Step(20.6e-3, communicate=False, extra=uneven if p == 4 else {}, **quiet)
        cases.append(train_case(step, p, 64, seed=9, series="weak"))
    for p, blas, pack in ((1, 0.40, 0.0), (2, 0.205, 0.004), (4, 0.105, 0.003)):
        cases.append(pdgemm_case(p, blas, pack, [0.012, 0.010, 0.011, 0.013] if p > 1 else [0.0]))
    for block, blas in ((32, 0.130), (64, 0.118), (128, 0.109), (512, 0.106)):
        own = {"logical_block": block}
        cases.append(pdgemm_case(4, blas, 0.003, [0.012, 0.010, 0.011, 0.013], params=own))
    for p in (2, 4):
        for power in range(4, 27, 2):
            size = 2**power
            mode = "batched" if power < 12 else "isolated"
            cases.append(collective_case(p, size, 2e-6 * p + size / 6e9, {1: 1e-6}, mode))
    cases += [collective_case(p, int(GRADIENT), 2.1e-3, {1: 2e-5}) for p in (2, 4)]
    cases.append(pairwise_case(4, 2**20, {(1, 2): 2.6e-4}, 1.1e-4))
    cases.append(pairwise_case(4, 2**12, {}, 3.1e-6))
    return cases


def scaling_spec(**options: Any) -> RunSpec:
    defaults: Dict[str, Any] = {"hosts": 2, "ranks_per_host": 2, "cases": scaling_cases()}
    return RunSpec(**{**defaults, **options})


if __name__ == "__main__":
    from make_run import write_run

    write_run(sys.argv[1], scaling_spec())
