# SPDX-License-Identifier: BSD-3-Clause
"""Numbers and names as people read them."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Set, Tuple

import pandas as pd

PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
IMAGES = "images/s"
RATE_UNITS = {"flops": "FLOP/s", "bytes": "B/s", "images": IMAGES, "bus": "B/s", "time": "s"}
MISSING = "–"


def digits(value: float, significant: int = 3) -> str:
    """`value` with this many significant digits, never in exponents: 54.3, 143, 0.125."""
    if value == 0:
        return "0"
    value = float(f"{value:.{significant - 1}e}")  # rounded first: 0.9996 has the decimals of 1.00
    decimals = significant - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(max(decimals, 0), 9)}f}"


def scale_of(value: float, unit: str) -> Tuple[float, str]:
    """Factor and unit in which `value` reads well: (1e9, "GFLOP/s"), (1e-3, "ms"); images only from a million on."""
    if unit == IMAGES:
        return (1e6, f"M {unit}") if abs(value) >= 1e6 * 0.9995 else (1.0, unit)
    if unit == "s":
        return next(
            ((factor, name) for factor, name in TIMES if abs(value) >= factor * 0.9995), TIMES[-1]
        )
    return next(
        ((factor, prefix + unit) for factor, prefix in PREFIXES if abs(value) >= factor * 0.9995),
        (1.0, unit),
    )


def quantity(value: float, unit: str, significant: int = 3) -> str:
    """ "54.3 GFLOP/s", "12.1 ms", "2713 images/s"; a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return MISSING
    factor, name = scale_of(value, unit)
    significant = max(4, significant) if unit == IMAGES else significant
    return f"{digits(value / factor, significant)} {name}".rstrip()


def plus_minus(mean: float, spread: float, unit: str = "") -> str:
    """ "19.23 ± 0.22 s": both with the same decimals, enough for two digits of the spread; without a spread the mean
    alone."""
    if not math.isfinite(mean):
        return MISSING
    factor, name = scale_of(mean, unit) if unit else (1.0, "")
    text = digits(mean / factor, 4)
    if math.isfinite(spread):
        decimals = len(text.partition(".")[2])
        if 0 < spread / factor < 10 ** (1 - decimals):
            decimals = min(decimals + 2, 1 - math.floor(math.log10(spread / factor)))
        text = f"{mean / factor:.{decimals}f} ± {spread / factor:.{decimals}f}"
    return f"{text} {name}".rstrip()


def counted(value: float) -> str:
    """A count with SI prefix: "4.81 T", "12.0 k", "918"."""
    return quantity(value, "").rstrip() if value >= 1000 or not math.isfinite(value) else f"{value:.0f}"


def span(low: float, high: float, like: float, unit: str) -> str:
    """ "[53.14, 55.02]" in the unit that quantity(like) uses; empty without an interval."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    factor, _ = scale_of(like, unit)
    return f"[{digits(low / factor, 4)}, {digits(high / factor, 4)}]"


def percent(share: float, places: int = 0) -> str:
    return f"{100 * share:.{places}f} %" if share is not None and math.isfinite(share) else MISSING


def signed_percent(share: float) -> str:
    return (
        f"{round(100 * share, 1) + 0.0:+.1f} %" if math.isfinite(share) else MISSING
    )  # + 0.0: no "−0.0"


def gibibytes(count: float) -> str:
    return f"{count / 2**30:.0f} GiB" if count and math.isfinite(count) else MISSING


def byte_count(count: Any) -> str:
    """ "8 B", "64 KiB", "25 MiB"; decimal where that is rounder: "6.57 MB"."""
    if not isinstance(count, (int, float)) or not math.isfinite(count):
        return str(count)
    for factor, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if factor <= count < 1024 * factor and count % (factor // 8) == 0:
            return f"{count / factor:g} {name}"
    return f"{count:.0f} B" if count < 1024 else quantity(float(count), "B")


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "es" if noun.endswith("ch") else "s")


HIDDEN_KEYS = {"dtype", "threads", "occupancy", "device", "variant"}  # have columns of their own
SIZE_KEYS = ("m", "n", "k")
TRANSPOSED = ("trans_a", "trans_b")
NETS = ("train", "infer")
PARALLEL_KEYS = {"overlap", "bucket_bytes", "scaling", "check_replicas"}  # of parallel = data
CONV_SIZES = ("batch", "channels", "height", "width", "filters", "kernel_h", "kernel_w")
CONV_KEYS = {
    *CONV_SIZES,
    *("stride_h", "stride_w", "pad_top", "pad_bottom", "pad_left", "pad_right", "groups", "pass"),
}


def case_labels(cases: pd.DataFrame) -> Dict[int, str]:
    """A short name per case: workload, sizes, and those keys by which cases of one workload differ."""
    differing: Dict[str, Set[str]] = {}
    for workload, rows in cases.groupby("workload", sort=False):
        keys = {key for params in rows["params"] for key in params}
        differing[str(workload)] = {
            key
            for key in keys
            if len({repr(params[key]) for params in rows["params"] if key in params}) > 1
        }
    variants = cases.groupby("workload")["variant"].nunique()
    threads = cases.groupby("workload")["threads"].nunique()
    placed = cases[cases["placement"] != ""].groupby("workload")
    counts, placements = placed["ranks"].nunique(), placed["placement"].nunique()
    labels: Dict[int, str] = {}
    for row in cases.itertuples():
        named, said = _identity(row.workload, row.params)
        parts = [row.workload] + named
        parts += [
            f"{key}={short(row.params[key])}"
            for key in row.params
            if key in differing[row.workload] - HIDDEN_KEYS - said
        ]
        parts += [str(row.dtype)] if row.dtype else []
        parts += [str(row.variant)] if variants[row.workload] > 1 else []
        parts += [f"{row.threads}t"] if threads[row.workload] > 1 else []
        shared = row.placement != ""
        parts += [f"p={row.ranks}"] if shared and counts.get(row.workload, 1) > 1 else []
        parts += [row.placement] if shared and placements.get(row.workload, 1) > 1 else []
        parts += (
            [] if row.occupancy in ("", "together") else [str(row.occupancy)]
        )  # together is what goes without saying
        labels[int(row.id)] = " ".join(parts)
    return labels


def _identity(workload: str, params: Mapping[str, Any]) -> Tuple[List[str], Set[str]]:
    """What always belongs in the name of a case of this workload, and the keys it says."""
    if workload in NETS and "model" in params:
        size = "global_batch" if params.get("scaling") == "strong" else "batch"
        own = [str(params["model"]), f"{size}={short(params.get(size, '?'))}"]
        own += ["data"] if params.get("parallel") == "data" else []
        said = {"model", "batch", "global_batch", "scaling", "parallel", "communicate"}
        if params.get("communicate") is False:
            return own + ["no comm."], said | PARALLEL_KEYS
        return own, said if params.get("parallel") == "data" else said | PARALLEL_KEYS
    if workload == "collective" and "bytes" in params:
        own = [str(params.get("op", "")), byte_count(params["bytes"])]
        own += ["in place"] if params.get("in_place") else []
        return own, {"op", "bytes", "in_place"}
    if workload == "pairwise" and "bytes" in params:
        return [byte_count(params["bytes"])], {"bytes"}
    if workload == "conv2d" and convolution(params):
        return [convolution(params), pass_name(params.get("pass", ""))], CONV_KEYS
    sizes = product_sizes(params)
    return sizes, set(SIZE_KEYS + TRANSPOSED) if sizes else set()


def pass_name(name: Any) -> str:
    """ "forward", "bwd data", "bwd weights"."""
    return str(name).replace("backward", "bwd").replace("_", " ")


def convolution(params: Mapping[str, Any]) -> str:
    """ "N16 C3 224×224 K64 7×7 s2 p3": batch, channels, height × width, filters, kernel, stride, padding (top, bottom,
    left, right where they differ), groups; empty when sizes are missing."""
    if not all(isinstance(params.get(key), (int, float)) for key in CONV_SIZES):
        return ""
    batch, channels, height, width, filters, kernel_h, kernel_w = (
        int(params[key]) for key in CONV_SIZES
    )
    strides = [int(params.get(f"stride_{key}", 1)) for key in "hw"]
    pads = [int(params.get(f"pad_{side}", 0)) for side in ("top", "bottom", "left", "right")]
    parts = [f"N{batch} C{channels} {height}×{width} K{filters} {kernel_h}×{kernel_w}"]
    if strides != [1, 1]:
        parts.append(f"s{strides[0]}" if strides[0] == strides[1] else f"s{strides[0]}×{strides[1]}")
    if any(pads):
        parts.append(f"p{pads[0]}" if len(set(pads)) == 1 else "p" + ",".join(map(str, pads)))
    parts += [f"g{int(params['groups'])}"] if int(params.get("groups", 1)) != 1 else []
    return " ".join(parts)


def product_sizes(params: Mapping[str, Any]) -> List[str]:
    """["2048³"] or ["512×64×1024", "Aᵀ"]; empty where there are no m, n and k."""
    if not all(isinstance(params.get(key), (int, float)) for key in SIZE_KEYS):
        return []
    m, n, k = (int(params[key]) for key in SIZE_KEYS)
    turned = [
        f"{key[-1].upper()}ᵀ"
        for key in TRANSPOSED
        if str(params.get(key, "N")).upper() in ("T", "C", "TRUE")
    ]
    return [f"{m}³" if m == n == k else f"{m}×{n}×{k}"] + turned


def short(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
