# SPDX-License-Identifier: BSD-3-Clause
"""Writes run files with known content for the tests, and large ones for timing:

python3 make_run.py OUT.h5 [--hosts N] [--ranks-per-host N] [--samples N] [--big]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, List, Optional, Tuple

import h5py
import numpy as np

from make_nets import append_wide
from make_scaling import phases, write_arrays
from run_spec import CaseSpec, RunSpec, big_cases, default_cases
from run_types import CASE_TYPE, CLOCK_TYPE, LAUNCH_TYPE, RANK_TYPE


def write_run(path: str, spec: Optional[RunSpec] = None) -> None:
    """Writes a finished file."""
    spec = spec or RunSpec()
    with h5py.File(path, "w", libver="latest") as file:
        write_header(file, spec)
        for case_id, case in enumerate(spec.cases if spec.cases is not None else default_cases()):
            if case.arrays:
                write_given(file, spec, case, case_id)
                continue
            start, stop, phase, block, repeats = invent(spec, case, case_id)
            create_samples(file, case_id, spec.ranks)
            if case.status != "skipped":
                append_samples(file, case_id, start, stop, phase, block, repeats)
                append_wide(file[f"samples/{case_id:04d}"], case, start, stop, phase)


def write_new(folder: Path, cases: Optional[List[CaseSpec]] = None, **options: Any) -> Path:
    """Writes a file of its own name in `folder`; `options` are those of RunSpec."""
    path = folder / f"run{len(list(folder.iterdir()))}.h5"
    write_run(str(path), RunSpec(cases=cases, **options))
    return path


def write_given(file: h5py.File, spec: RunSpec, case: CaseSpec, case_id: int) -> None:
    """A case that brings its times, on the root's clock: written on the clocks of its nodes."""
    clocks = file["system/clocks"][()]
    offsets = {int(row["node"]): int(row["offset_ns"]) for row in clocks[clocks["case"] == case_id]}
    own = np.array([offsets.get(rank // spec.ranks_per_host, 0) for rank in case.participants])
    phase, block = phases(case.arrays)
    times = [case.arrays[name] + 10**12 - own for name in ("start", "stop")]
    create_samples(file, case_id, len(case.participants))
    if case.status != "skipped":
        append_samples(file, case_id, *times, phase, block, np.full(len(block), case.repeats, "i4"))
        write_arrays(file[f"samples/{case_id:04d}"], case.arrays, case.participants)


def write_header(file: h5py.File, spec: RunSpec) -> None:
    """Everything but the samples."""
    cases = spec.cases if spec.cases is not None else default_cases()
    launches = 1 + max((case.launch for case in cases), default=0)
    for name, value in {"schema_version": spec.schema_version, "ranks": spec.ranks}.items():
        file.attrs[name] = value
    for name, text in {
        "dlscale_version": "0.1.0",
        "git_hash": "0123abcd",
        "build_id": "feed",
        "started": "2024-05-01T08:30:00Z",
    }.items():
        file.attrs[name] = np.bytes_(text)
    file["status"] = np.array(spec.status.encode(), dtype="S16")
    file["input/job"] = np.array(
        b'[run]\nname = "test"\n\n[[case]]\nworkload = "gemm"\nm = 2048\n', dtype="S4096"
    )
    file["input/resolved"] = np.array(b"[sampling]\nblocks = 6\ninterval = 0.02\n", dtype="S4096")
    file["input/command_line"] = np.array(b"dlscale job.toml", dtype="S1024")
    hosts = [f"n{index:04d}" if spec.hosts > 10 else f"n{index}" for index in range(spec.hosts)]
    rows = np.zeros(launches, dtype=LAUNCH_TYPE)
    for launch in range(launches):
        rows[launch] = (launch, b"2024-05-01T08:30:00Z", ",".join(hosts).encode()[:4096], b"first")
    file["system/launches"] = rows
    file["system/environment"] = np.array([json.dumps(spec.text).encode()] * launches, dtype="S8192")
    file["system/ranks"] = rank_rows(spec, hosts, launches)
    file["system/clocks"] = clock_rows(spec, len(cases))
    file.create_dataset("cases", data=case_rows(spec, cases), maxshape=(None,), chunks=(16,))


def rank_rows(spec: RunSpec, hosts: List[str], launches: int) -> np.ndarray:
    rows = np.zeros((launches, spec.ranks), dtype=RANK_TYPE)
    for rank in range(spec.ranks):
        node, local = divmod(rank, spec.ranks_per_host)
        rows[:, rank] = (
            rank,
            hosts[node].encode(),
            local,
            1000 + rank,
            f"{4 * local}-{4 * local + 3}".encode(),
            spec.threads,
            local % 2,
            b"cpu",
            b"",
            64 << 30,
            b"s0",
        )
    return rows


def clock_rows(spec: RunSpec, cases: int) -> np.ndarray:
    rng = np.random.default_rng(spec.seed + 77)
    rows = np.zeros(cases * min(spec.hosts, 64), dtype=CLOCK_TYPE)
    for index in range(rows.size):
        case, node = divmod(index, min(spec.hosts, 64))
        offset = 0 if node == 0 else 10**9 * node + 900 * node * case + int(rng.normal(0, 200))
        rows[index] = (
            0,
            case,
            -1,
            node,
            offset,
            2500 if node else 0,
            1250 if node else 0,
            (1 + case) * 10**10,
        )
    return rows


def case_rows(spec: RunSpec, cases: List[CaseSpec]) -> np.ndarray:
    rows = np.zeros(len(cases), dtype=CASE_TYPE)
    for index, case in enumerate(cases):
        done = case.status in ("completed", "failed")
        values = {
            "id": index,
            "launch": case.launch,
            "order": index,
            "series": case.series,
            "role": case.role,
            "workload": case.workload,
            "variant": "cpu",
            "device": "cpu",
            "dtype": case.dtype,
            "occupancy": case.occupancy,
            "placement": case.placement,
            "ranks": len(case.participants) or spec.ranks,
            "threads": spec.threads,
            "params": json.dumps(case.params),
            "flops": case.flops,
            "bytes_touched": case.bytes_touched,
            "bytes_sent": case.bytes_sent,
            "memory_bytes": 1e8,
            "items": case.items,
            "status": case.status,
            "stop_reason": "converged" if done else "",
            "blocks": spec.blocks if done else 0,
            "samples": spec.blocks * spec.per_block if done else 0,
            "warmup": spec.warmup,
            "repeats": case.repeats,
            "mode": "batched" if case.repeats > 1 else "isolated",
            "median_s": case.seconds if done else np.nan,
            "low_s": np.nan,
            "high_s": np.nan,
            "check_error": (
                1e-14 if case.check_passed == 1 else 3.1e-2 if case.check_passed == 0 else np.nan
            ),
            "check_tolerance": 1.2e-5,
            "check_passed": case.check_passed,
            "results": json.dumps({**({"roofs": case.roofs} if case.roofs else {}), **case.results}),
            "message": case.message,
            "repro": f"{case.workload} "
            + " ".join(f"{key}={value}" for key, value in case.params.items()),
        }
        for name, value in values.items():
            rows[name][index] = value.encode() if isinstance(value, str) else value
    return rows


def invent(spec: RunSpec, case: CaseSpec, case_id: int) -> Tuple[np.ndarray, ...]:
    """start, stop, phase, block, repeats of one case: warm-ups first, then blocks that drift a little."""
    rng = np.random.default_rng(spec.seed + 1000 * case_id)
    rows = spec.warmup + spec.blocks * spec.per_block
    block = np.concatenate([np.full(spec.warmup, -1), np.repeat(np.arange(spec.blocks), spec.per_block)])
    factor, extra = np.ones(spec.ranks), np.zeros(spec.ranks)
    for rank, value in {**({} if case.workload == "noop" else spec.slow), **case.slow}.items():
        factor[rank] = value
    for rank, value in case.delay.items():
        extra[rank] = value
    drift = 1 + case.noise / 2 * rng.standard_normal(spec.blocks + 1)
    noise = 1 + case.noise * np.abs(rng.standard_normal((rows, spec.ranks)))
    personal = 1 + case.noise / 4 * rng.standard_normal(spec.ranks)
    seconds = case.seconds * noise * personal * factor * drift[block][:, None] + extra
    seconds[: spec.warmup] *= np.linspace(1.6, 1.1, spec.warmup)[:, None]
    lengths = np.maximum(1, np.rint(1e9 * seconds * case.repeats)).astype(np.int64)
    start = (
        10**9 * (1 + case_id) + np.cumsum(lengths.max(axis=1) + 1000)[:, None] + np.zeros_like(lengths)
    )
    stop = start + lengths
    phase = np.where(block < 0, 0, 1).astype(np.uint8)[:, None] + np.zeros(
        (rows, spec.ranks), dtype=np.uint8
    )
    if case.occupancy == "alone":  # ranks of a host take turns
        absent = (np.arange(rows)[:, None] % spec.ranks_per_host) != (
            np.arange(spec.ranks) % spec.ranks_per_host
        )
        start[absent], stop[absent], phase[absent] = -1, -1, 255
    return start, stop, phase, block.astype(np.int32), np.full(rows, case.repeats, dtype=np.int32)


def create_samples(file: h5py.File, case_id: int, ranks: int) -> None:
    group = file.create_group(f"samples/{case_id:04d}")
    group["ranks"] = np.arange(ranks, dtype=np.int32)
    wide = {"start": ("<i8", -1), "stop": ("<i8", -1), "phase": ("u1", 255)}
    for name, (kind, fill) in wide.items():
        group.create_dataset(
            name,
            (0, ranks),
            maxshape=(None, ranks),
            chunks=(16, min(ranks, 1024)),
            dtype=kind,
            fillvalue=fill,
        )
    for name in ("block", "repeats"):
        group.create_dataset(name, (0,), maxshape=(None,), chunks=(64,), dtype="<i4")


def append_samples(file: h5py.File, case_id: int, *arrays: np.ndarray) -> None:
    group = file[f"samples/{case_id:04d}"]
    for name, values in zip(("start", "stop", "phase", "block", "repeats"), arrays):
        old = group[name].shape[0]
        group[name].resize(old + values.shape[0], axis=0)
        group[name][old:] = values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--ranks-per-host", type=int, default=2)
    parser.add_argument("--samples", type=int, default=48, help="measured samples per case")
    parser.add_argument("--slow-rank", type=int, default=None)
    parser.add_argument("--big", action="store_true", help="10,240 ranks, 12 cases, 100 samples")
    options = parser.parse_args()
    spec = RunSpec(
        hosts=options.hosts, ranks_per_host=options.ranks_per_host, per_block=options.samples // 6
    )
    if options.big:
        spec = RunSpec(
            hosts=320,
            ranks_per_host=32,
            blocks=6,
            per_block=16,
            warmup=4,
            cases=big_cases(),
            slow={4711: 1.2, **{rank: 1.1 for rank in range(320, 352)}},
        )
    if options.slow_rank is not None:
        spec.slow[options.slow_rank] = 1.12
    write_run(options.out, spec)


if __name__ == "__main__":
    main()
