# SPDX-License-Identifier: BSD-3-Clause
"""What a run file written by make_run.py shall contain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple


@dataclass
class CaseSpec:
    """One case to invent. `seconds` = typical time per repetition; `slow` multiplies, `delay` adds, per rank."""

    workload: str
    seconds: float
    flops: float = 0.0
    bytes_touched: float = 0.0
    dtype: str = ""
    occupancy: str = "together"
    params: Dict[str, Any] = field(default_factory=dict)
    role: str = ""
    roofs: List[int] = field(default_factory=list)
    status: str = "completed"
    message: str = ""
    check_passed: int = 1
    noise: float = 0.004
    slow: Dict[int, float] = field(default_factory=dict)
    delay: Dict[int, float] = field(default_factory=dict)
    repeats: int = 1
    placement: str = ""
    launch: int = 0
    series: str = ""
    items: float = 0.0
    bytes_sent: float = 0.0
    participants: List[int] = field(default_factory=list)  # world ranks; empty: all
    arrays: Dict[str, Any] = field(
        default_factory=dict
    )  # start, stop on the common clock and more, instead of invented ones (make_scaling.py)
    results: Dict[str, Any] = field(default_factory=dict)  # beside the roofs
    parts: Dict[str, float] = field(default_factory=dict)  # shares of each sample
    layers: List[Tuple[str, float, float, float]] = field(
        default_factory=list
    )  # name, share, FLOP, bytes
    epochs: Dict[str, Any] = field(
        default_factory=dict
    )  # column → values [epoch] or [epoch][participant]
    probes: Dict[str, float] = field(default_factory=dict)  # reading of every sample
    partners: List[List[int]] = field(default_factory=list)  # [round][participant]


@dataclass
class RunSpec:
    """One file to invent."""

    hosts: int = 4
    ranks_per_host: int = 2
    blocks: int = 6
    per_block: int = 8
    warmup: int = 3
    seed: int = 1
    status: str = "completed"
    schema_version: int = 1
    cases: Optional[List[CaseSpec]] = None
    slow: Dict[int, float] = field(default_factory=dict)  # of all cases but the no-op
    threads: int = 4
    text: Dict[str, Any] = field(
        default_factory=lambda: {
            "build": {"compiler": "GCC 12.2.0", "type": "Release"},
            "blas": {"library": "OpenBLAS", "core": "Haswell"},
            "mpi": "Open MPI 4.1.4",
            "clock": {"source": "tsc", "cost_s": 2.1e-8, "resolution_s": 1e-9},
            "cpu": {"model": "Example 9000", "cores": 32},
            "governor": "performance",
        }
    )

    @property
    def ranks(self) -> int:
        return self.hosts * self.ranks_per_host


def default_cases() -> List[CaseSpec]:
    """No-op, roofs, GEMM alone and together, a failed and a skipped case."""
    gemm = {"m": 2048, "n": 2048, "k": 2048, "trans_a": "N", "trans_b": "N"}
    work = 2.0 * 2048**3
    touched = 3 * 2048**2 * 8.0
    roofs = [
        CaseSpec("noop", 8.5e-8, params={"delay": 0.0, "delay_rank": -1}, repeats=1, noise=0.05),
        CaseSpec("fma", 1.0e-2, flops=1.5e9, dtype="f64", role="roof"),
        CaseSpec("fma", 1.0e-2, flops=3.0e9, dtype="f32", role="roof"),
        CaseSpec(
            "triad",
            2.0e-2,
            bytes_touched=4e8,
            dtype="f64",
            role="roof",
            params={"bytes": 4e8},
            repeats=2,
        ),
    ]
    kernels = [
        CaseSpec(
            "gemm",
            work / 128e9,
            flops=work,
            bytes_touched=touched,
            dtype="f64",
            occupancy="alone",
            params=gemm,
            roofs=[1, 3],
        ),
        CaseSpec(
            "gemm",
            work / 120e9,
            flops=work,
            bytes_touched=touched,
            dtype="f64",
            params=gemm,
            roofs=[1, 3],
        ),
        CaseSpec(
            "gemm",
            work / 245e9,
            flops=work,
            bytes_touched=touched / 2,
            dtype="f32",
            params=gemm,
            roofs=[2, 3],
            repeats=3,
        ),
        CaseSpec(
            "gemm",
            4e-5,
            flops=2.0 * 128**3,
            bytes_touched=3 * 128**2 * 8.0,
            dtype="f64",
            params={**gemm, "m": 128, "n": 128, "k": 128},
            roofs=[1, 3],
            repeats=40,
        ),
    ]
    return (
        roofs
        + kernels
        + [
            CaseSpec(
                "gemm",
                0.1,
                flops=2.0 * 999**3,
                dtype="f32",
                params={**gemm, "m": 999, "n": 999, "k": 999},
                status="failed",
                check_passed=0,
                message="the check failed on rank 2 (error 3.1e-2 > tolerance "
                "1.2e-5); look at the BLAS named in /system/environment",
                roofs=[2, 3],
            ),
            CaseSpec(
                "gemm",
                1.0,
                dtype="f64",
                params={**gemm, "m": 65536, "n": 65536, "k": 65536},
                status="skipped",
                check_passed=-1,
                message="needs 96.0 GiB per rank (58.2 GiB are free); lower m, n or k",
            ),
        ]
    )


def big_cases() -> List[CaseSpec]:
    """Twelve cases for the timing of large files."""
    cases = default_cases()[:8]
    return cases + [
        CaseSpec(
            "gemm",
            2e-3 * i,
            flops=2e8 * i,
            bytes_touched=1e6,
            dtype="f64",
            roofs=[1, 3],
            params={"m": 500 + i, "n": 500, "k": 500},
        )
        for i in range(1, 5)
    ]
