#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The same training steps in PyTorch: forward, loss, backward, Adam, images in memory. Prints images/s from the median
step. Used by train_speed.py; needs PyTorch (Debian: python3-torch).

    torch_train.py MODEL BATCH THREADS f32|bf16 STEPS [--ddp]

With --ddp, under Open MPI's mpirun, one network on all ranks (gloo): rank 0 prints images/s of all of them.
"""
import os
import statistics
import sys
import time

import torch
import torch.distributed
from torch import nn


def topflight():
    layers = []
    for c_in, c_out in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1152, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 128),
                         nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)), (1, 28, 28), 10


def vgg19():
    layers, c_in = [], 3
    for width, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            layers += [nn.Conv2d(c_in, width, 3, padding=1), nn.ReLU(inplace=True)]
            c_in = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)]
    return nn.Sequential(*layers, *head), (3, 32, 32), 1000


class Bottleneck(nn.Module):
    """Pre-activation, as in Keras Applications: the stride is in the last block of a stage."""

    def __init__(self, c_in, width, stride, project):
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(c_in), nn.ReLU(inplace=True))
        self.shortcut = nn.Identity()
        if project:
            self.shortcut = nn.Conv2d(c_in, 4 * width, 1, stride)
        elif stride > 1:
            self.shortcut = nn.MaxPool2d(1, stride)
        self.project = project
        self.body = nn.Sequential(
            nn.Conv2d(c_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, 4 * width, 1))

    def forward(self, x):
        active = self.before(x)
        return self.body(active) + self.shortcut(active if self.project else x)


def resnet50v2():
    layers = [nn.Conv2d(3, 64, 7, 2, 3), nn.ZeroPad2d(1), nn.MaxPool2d(3, 2)]
    c_in = 64
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for i in range(count):
            stride = 2 if i == count - 1 and stage < 3 else 1
            layers.append(Bottleneck(c_in, width, stride, i == 0))
            c_in = 4 * width
    head = [nn.BatchNorm2d(c_in), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 1000)]
    return nn.Sequential(*layers, *head), (3, 224, 224), 1000


def main():
    name, batch, threads, dtype, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
    torch.set_num_threads(threads)
    model, shape, classes = {"topflight-cnn": topflight, "vgg19": vgg19, "resnet50v2": resnet50v2}[name]()
    rank, ranks = 0, 1
    if "--ddp" in sys.argv:
        rank, ranks = int(os.environ["OMPI_COMM_WORLD_RANK"]), int(os.environ["OMPI_COMM_WORLD_SIZE"])
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "29511")
        torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
        model = nn.parallel.DistributedDataParallel(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    images, labels = torch.randn(batch, *shape), torch.randint(0, classes, (batch,))
    times = []
    for step in range(steps + 3):
        start = time.perf_counter()
        optimiser.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            loss = loss_of(model(images), labels)
        loss.backward()
        optimiser.step()
        if step >= 3:
            times.append(time.perf_counter() - start)
    if rank == 0:
        print(ranks * batch / statistics.median(times))


if __name__ == "__main__":
    main()
