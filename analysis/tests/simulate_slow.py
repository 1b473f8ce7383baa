# SPDX-License-Identifier: BSD-3-Clause
"""Run files of clusters that nobody here has, with noise like that of real ones and a fault on demand.

Log time of a sample = lasting part of its rank + drift of all + jitter + bursts. Lasting: normal, SIGMA = 1 %, so that 95 %
of the ranks lie within 4 %; four fifths of its variance are the rank's in all cases (a fifth of those its node's), the
rest the case's. Jitter: AR(1) from sample to sample and from block to block. Bursts: one sample in a hundred is longer,
by a Pareto share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Set

import h5py
import numpy as np

from make_run import append_samples, create_samples, write_header
from run_spec import CaseSpec, RunSpec

SIGMA = 0.01
BLOCKS, PER_BLOCK, WARM = 6, 16, 4
FAST, SLOW = (0.9, 0.006), (
    0.5,
    0.004,
)  # AR(1): correlation, standard deviation; of samples and of blocks
BURSTS, BURST, SHAPE = 0.01, 0.05, 2.5  # how many samples, least share, exponent of the tail
PARAMS = {"m": 2048, "n": 2048, "k": 2048}


@dataclass
class Fault:
    """`kind`: none; rank (one rank × 1 + size); edge (one rank beyond the slowest of all by size); node (all its ranks ×
    1 + size)."""

    kind: str = "none"
    size: float = 0.0
    unit: int = 0


def cases() -> List[CaseSpec]:
    """The no-op and six cases in which ranks work by themselves."""
    return [
        CaseSpec("noop", 1e-7, noise=0.05),
        CaseSpec("fma", 1e-2, flops=2e9, dtype="f64", role="roof"),
        CaseSpec("triad", 2e-2, bytes_touched=4e8, dtype="f64", role="roof", params={"bytes": 4e8}),
        CaseSpec("gemm", 2e-2, flops=2.0 * 2048**3, dtype="f64", params=PARAMS),
        CaseSpec("gemm", 1e-2, flops=2.0 * 2048**3, dtype="f32", params=PARAMS),
        CaseSpec("gemm", 5e-3, flops=2.0 * 2048**3, dtype="bf16", params=PARAMS),
        CaseSpec("conv2d", 8e-3, flops=1e9, dtype="f32"),
    ]


def write_simulated(
    path: str,
    hosts: int,
    ranks_per_host: int,
    seed: int,
    fault: Optional[Fault] = None,
    sigma: float = SIGMA,
) -> Set[int]:
    """Writes one file and returns the ranks that are slow in it."""
    rng = np.random.default_rng(seed)
    spec = RunSpec(hosts, ranks_per_host, BLOCKS, PER_BLOCK, WARM, seed, cases=cases())
    fault = fault or Fault()
    host = np.repeat(np.arange(hosts), ranks_per_host)
    members = np.flatnonzero(host == fault.unit) if fault.kind == "node" else np.array([fault.unit])
    members = members if fault.kind != "none" else np.zeros(0, dtype=int)
    own = rng.standard_normal(spec.ranks)
    common = np.sqrt(0.8) * own + np.sqrt(0.2) * rng.standard_normal(hosts)[host]
    with h5py.File(path, "w", libver="latest") as file:
        write_header(file, spec)
        for case_id, case in enumerate(spec.cases):
            lasting = sigma * (np.sqrt(0.8) * common + np.sqrt(0.2) * rng.standard_normal(spec.ranks))
            if case.workload == "noop":
                lasting = np.zeros(spec.ranks)
            elif fault.kind == "edge":
                lasting[members] = lasting.max() + np.log1p(fault.size)
            else:
                lasting[members] += np.log1p(fault.size)
            write_case(file, case, case_id, lasting, rng)
    return set(members.tolist())


def write_case(
    file: h5py.File, case: CaseSpec, case_id: int, lasting: np.ndarray, rng: np.random.Generator
) -> None:
    """Samples of one case."""
    ranks, rows = lasting.size, WARM + BLOCKS * PER_BLOCK
    block = np.concatenate([np.full(WARM, -1), np.repeat(np.arange(BLOCKS), PER_BLOCK)])
    slow = autoregressive(BLOCKS, ranks, *SLOW, rng)
    noise = autoregressive(rows, ranks, *FAST, rng)
    noise += (
        slow[np.maximum(block, 0)] + (0.01 * rng.standard_normal(BLOCKS))[np.maximum(block, 0)][:, None]
    )
    burst = rng.random((rows, ranks), dtype=np.float32) < BURSTS
    noise[burst] += np.minimum(3.0, BURST * (1 + rng.pareto(SHAPE, int(burst.sum()))))
    lengths = np.rint(1e9 * case.seconds * np.exp(noise + lasting)).astype(np.int64)
    start = (
        10**9 * (1 + case_id) + np.cumsum(lengths.max(axis=1) + 1000)[:, None] + np.zeros_like(lengths)
    )
    phase = np.where(block < 0, 0, 1).astype(np.uint8)[:, None] + np.zeros((rows, ranks), dtype=np.uint8)
    create_samples(file, case_id, ranks)
    append_samples(
        file,
        case_id,
        start,
        start + lengths,
        phase,
        block.astype(np.int32),
        np.ones(rows, dtype=np.int32),
    )


def autoregressive(
    rows: int, columns: int, correlation: float, sigma: float, rng: np.random.Generator
) -> np.ndarray:
    """AR(1) down each column [row, column], with standard deviation `sigma` from the first row on."""
    values = rng.standard_normal((rows, columns), dtype=np.float32)
    fresh = np.float32(np.sqrt(1 - correlation**2))
    for row in range(1, rows):
        values[row] = np.float32(correlation) * values[row - 1] + fresh * values[row]
    return np.float32(sigma) * values
