# SPDX-License-Identifier: BSD-3-Clause
"""Cases and files for the tests of dlscale-compare, and what it says of them."""

import json

from dlscale_analysis import compare
from make_run import CaseSpec, RunSpec, write_run

GEMM = {"m": 512, "n": 512, "k": 512}


def gemm(seconds=0.01, **changes):
    return CaseSpec(
        "gemm",
        seconds,
        flops=2.0 * 512**3,
        dtype="f64",
        **{"params": dict(GEMM), "noise": 0.001, **changes},
    )


def collective(seconds=0.001, **changes):
    ranks = list(range(8))
    return CaseSpec(
        "collective",
        seconds,
        bytes_sent=1e6,
        dtype="f32",
        placement="packed",
        **{
            "params": {"op": "allreduce", "bytes": 65536},
            "participants": ranks,
            "noise": 0.001,
            **changes,
        },
    )


def maker(tmp_path):
    """make(factor, seed=…, cases=…): a file whose cases take `factor` times as long."""

    def write(factor=1.0, seed=1, cases=None, name=None, **options):
        cases = cases if cases is not None else [gemm(), collective()]
        for case in cases:
            case.seconds *= factor
        path = tmp_path / (name or f"run{len(list(tmp_path.iterdir()))}.h5")
        write_run(str(path), RunSpec(seed=seed, cases=cases, **options))
        return str(path)

    return write


def judged(capsys, *arguments):
    """Exit code and the JSON of a comparison."""
    code = compare.main([*map(str, arguments), "--json", "-"])
    return code, json.loads(capsys.readouterr().out)


def words(document):
    return {(case["workload"], case["quantity"]): case["verdict"] for case in document["cases"]}
