#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Speed on one GPU against PyTorch on the same one: runs alternate, ratios are dlscale over PyTorch. Judges nothing.

    python3 tests/gpu/speed.py [build/dlscale] [pairs = 3] [FILTER]

FILTER picks settings by a part of their text ("gemm bf16"). What this build has no variant for is "not run".
"""
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

PEERS = pathlib.Path(__file__).resolve().parent.parent / "peers"
OUTSIDE = os.environ.get("DLSCALE_OUTSIDE_LIBRARIES")

# text, dlscale's case, its unit, PyTorch's command
SETTINGS = [
    (f"gemm {dtype} {side}^3", f"gemm m={side} n={side} k={side} dtype={dtype}", "FLOP/s",
     ["gemm_gpu.py", dtype, str(side)])
    for dtype, side in (("bf16", 8192), ("f16", 8192), ("tf32", 8192), ("f64", 8192), ("fp8", 8192), ("bf16", 4096))
] + [
    (f"{model} {dtype} batch {batch}{note}",
     f"train model={model} batch={batch} dtype={dtype} data=random train_images={8 * batch}", "images/s",
     ["cnn_gpu.py", model, str(batch), dtype] + flags)
    for model, batch in (("topflight-cnn", 512), ("resnet50v2", 64))
    for dtype in ("bf16", "f32")
    for note, flags in ((" against compiled", ["--compile"]), (" against eager", []))
]


def run(command, environment=None):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def ours(binary, case, unit):
    """Rate of the case, or why there is none."""
    environment = dict(os.environ)
    if "DLSCALE" in environment and OUTSIDE is not None:  # from a bundle: its libraries again
        root = pathlib.Path(binary).resolve().parent.parent
        environment["LD_LIBRARY_PATH"] = f"{root}/lib/bundle:{OUTSIDE}"
    if "fp8" in case:
        case += " trans_a=T"
    with tempfile.TemporaryDirectory() as folder:
        code, out = run([binary, "--device", "cuda", "--quiet", "--only", case.split()[0] + "*", "--case", case, "--set",
                         "run.time_budget=8s", "-o", f"{folder}/speed.h5"], environment)
    found = re.search(rf"^FOM: {case.split()[0]}\S*_median = (\S+) (\S+)", out, re.M)
    if code != 0 or not found:
        return None, out.strip().splitlines()[-1] if out.strip() else f"exit code {code}"
    prefix = {"G": 1e9, "T": 1e12, "M": 1e6, "k": 1e3}
    rate, printed = float(found.group(1)), found.group(2)
    return rate * (prefix.get(printed[0], 1) if printed.endswith(unit) and printed != unit else 1), ""


def theirs(command):
    code, out = run([sys.executable, str(PEERS / command[0]), *command[1:]])
    lines = out.strip().splitlines()
    if code != 0 or not lines:
        return None, lines[-1] if lines else f"exit code {code}"
    return float(lines[-1]), ""


def main():
    binary = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "build/dlscale")
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    wanted = sys.argv[3] if len(sys.argv) > 3 else ""
    compared = 0
    for text, case, unit, command in SETTINGS:
        if wanted not in text:
            continue
        ratios, rates, problem = [], [], ""
        for _ in range(pairs):
            mine, problem = ours(binary, case, unit)
            if mine is None:
                problem = f"dlscale: {problem}"
                break
            peer, problem = theirs(command)
            if peer is None:
                problem = f"PyTorch: {problem}"
                break
            ratios.append(mine / peer)
            rates.append((mine, peer))
        if problem:
            print(f"{text}: not run ({problem})", flush=True)
            continue
        mine, peer = (statistics.median(column) for column in zip(*rates))
        print(f"{text}: dlscale {mine:.4g} {unit}, PyTorch {peer:.4g}, ratio {statistics.median(ratios):.3f} "
              f"[{min(ratios):.3f}, {max(ratios):.3f}] of {pairs} pairs", flush=True)
        compared += 1
    if compared == 0:
        sys.exit("nothing was compared")


if __name__ == "__main__":
    main()
