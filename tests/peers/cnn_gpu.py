#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Training steps on a GPU in PyTorch: forward, loss, backward, Adam; channels last, images on the GPU. Prints images/s
from the median of ten blocks of steps.

    cnn_gpu.py topflight-cnn|vgg19|resnet50v2 BATCH f32|tf32|bf16 [--compile]

f32 is without TF32, as dlscale's. --compile uses torch.compile and the fused Adam.
"""
import statistics
import sys
import time

import torch
from torch import nn

from torch_train import resnet50v2, topflight, vgg19


def main():
    name, batch, dtype = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    compiled = "--compile" in sys.argv
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype != "f32"
    torch.backends.cudnn.benchmark = True
    model, shape, classes = {"topflight-cnn": topflight, "vgg19": vgg19, "resnet50v2": resnet50v2}[name]()
    model = model.cuda().to(memory_format=torch.channels_last)
    if compiled:
        model = torch.compile(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=compiled)
    loss_of = nn.CrossEntropyLoss()
    images = torch.randn(batch, *shape, device="cuda").to(memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (batch,), device="cuda")

    def steps(count):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=dtype == "bf16"):
                loss = loss_of(model(images), labels)
            loss.backward()
            optimiser.step()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / count

    steps(10)  # compiles, and chooses algorithms
    count = max(5, int(0.3 / steps(5)))
    steps(count)
    print(batch / statistics.median(steps(count) for _ in range(10)))


if __name__ == "__main__":
    main()
