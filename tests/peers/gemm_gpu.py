#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""One square product on a GPU in PyTorch. Prints FLOP/s of the median of blocks timed by CUDA events; uniform random
data, operands in turn from sets that together exceed the L2, as dlscale does it.

    gemm_gpu.py f64|f32|tf32|bf16|f16|fp8 SIDE
"""
import statistics
import sys

import torch

SET_BYTES = 256 * 2**20


def operands(name, side):
    """A pair of matrices and the function that multiplies them."""
    def uniform():
        return torch.rand(side, side, device="cuda", dtype=torch.float64).mul_(2).sub_(1)

    if name == "fp8":
        one = torch.ones((), device="cuda")
        a, b = uniform().to(torch.float8_e4m3fn), uniform().to(torch.float8_e4m3fn).t()
        return a, b, lambda: torch._scaled_mm(a, b, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    dtype = {"f64": torch.float64, "f32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16,
             "f16": torch.float16}[name]
    a, b = uniform().to(dtype), uniform().to(dtype)
    c = torch.empty(side, side, device="cuda", dtype=dtype)
    return a, b, lambda: torch.matmul(a, b, out=c)


def main():
    name, side = sys.argv[1], int(sys.argv[2])
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    a, b, first = operands(name, side)
    set_bytes = 3 * a.element_size() * side * side
    count = max(1, min(16, -(-SET_BYTES // set_bytes)))
    products = [first] + [operands(name, side)[2] for _ in range(count - 1)]
    flops = 2.0 * side**3

    def seconds_of(repetitions):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for i in range(repetitions):
            products[i % count]()
        stop.record()
        stop.synchronize()
        return 1e-3 * start.elapsed_time(stop) / repetitions

    seconds_of(count)
    repetitions = max(count, int(0.05 / seconds_of(count)))
    for _ in range(20):  # a second of warm-up: the clock falls under load
        seconds_of(repetitions)
    print(flops / statistics.median(seconds_of(repetitions) for _ in range(30)))


if __name__ == "__main__":
    main()
