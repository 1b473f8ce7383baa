#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write topflight_five_steps.bin: five SGD steps of the Top Flight CNN by PyTorch, to compare ours with.

usage: pytorch_topflight.py            (by hand, needs PyTorch; written with 1.13)

Both sides make weights, images and labels from the hash of src/device/random.hpp (tests/unit/nn/topflight_fixture.hpp
does it in C++), so only results are stored. u(stream, i) is uniform on [-1, 1]; all values are rounded to float32:
  parameter number p (order of named_parameters): weight and bias u(p, i)/sqrt(fan_in); batch norm: weight 1 + u/10,
  bias u/10
  images of step s: u(1000, s*BATCH*784 + i); labels floor((u(1001, s*BATCH + n) + 1) / 2 * 10)
Dropout is off, lr 0.05, momentum 0.9, batch norm in training mode.

The file, little-endian: 8 bytes "DLSFIX1\\n", then records of name (48 bytes, zero padded), count (uint64), count
float64 values:
  setup                 seed, batch, steps, lr, momentum
  loss64, loss32        the losses of the steps, computed in float64 and in float32
  NAME                  per parameter after the last step, float64: its norm, its sum, the norm of its change, then 16
                        times index and value
  NAME.running_mean, NAME.running_var    per batch norm, all values
  adam, adam_decay, sgd_decay    37 weights u(3100, i) after 5 steps on the gradients u(3000 + step, i) 16^-(i mod 8),
                        float64; Adam lr 0.01, SGD lr 0.05 and momentum 0.9; "decay": weight_decay 0.01
"""
import pathlib
import struct

import numpy as np
import torch
from torch import nn

SEED, BATCH, STEPS, LR, MOMENTUM = 2024, 16, 5, 0.05, 0.9
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix64(x):
    x = x ^ (x >> np.uint64(30))
    x = x * np.uint64(0xBF58476D1CE4E5B9)
    x = x ^ (x >> np.uint64(27))
    x = x * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def mix64_int(x):
    return int(mix64(np.array([x & MASK], np.uint64))[0])


def uniform(stream, count, first=0):
    key = mix64_int(mix64_int(SEED + GOLDEN) + stream * 0xD1342543DE82EF95)
    index = np.arange(first, first + count, dtype=np.uint64)
    bits = (mix64(np.uint64(key) + index * np.uint64(GOLDEN)) >> np.uint64(11)).astype(np.int64)
    return (2 * bits + 1 - (1 << 53)).astype(np.float64) * 2.0**-53


def build():
    layers, channels = [], 1
    for i in (1, 2, 3):
        filters = 16 << i
        layers += [(f"conv{i}", nn.Conv2d(channels, filters, 3, padding=1)), (f"bn{i}", nn.BatchNorm2d(filters)),
                   (f"relu{i}", nn.ReLU()), (f"pool{i}", nn.MaxPool2d(2))]
        channels = filters
    layers += [("flatten", nn.Flatten()), ("fc1", nn.Linear(1152, 256)), ("relu4", nn.ReLU()),
               ("fc2", nn.Linear(256, 128)), ("relu5", nn.ReLU()), ("fc3", nn.Linear(128, 10))]
    model = nn.Sequential()
    for name, layer in layers:
        model.add_module(name, layer)
    return model


def initialise(model):
    fan_in = 1
    for p, (name, parameter) in enumerate(model.named_parameters()):
        u = uniform(p, parameter.numel())
        if name.startswith("bn"):
            values = 1 + 0.1 * u if name.endswith("weight") else 0.1 * u
        else:
            if name.endswith("weight"):
                fan_in = parameter.numel() // parameter.shape[0]
            values = u / np.sqrt(np.float64(fan_in))
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values.astype(np.float32)).reshape(parameter.shape))


def train(dtype):
    model = build()
    initialise(model)
    model.to(dtype).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    losses = []
    for step in range(STEPS):
        images = uniform(1000, BATCH * 784, step * BATCH * 784).astype(np.float32).reshape(BATCH, 1, 28, 28)
        labels = np.floor((uniform(1001, BATCH, step * BATCH) + 1) / 2 * 10).astype(np.int64)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.from_numpy(images).to(dtype)), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model


def given_gradients(make):
    weights = torch.nn.Parameter(torch.from_numpy(uniform(3100, 37).astype(np.float32)).double())
    optimizer = make([weights])
    for step in range(5):
        gradient = (uniform(3000 + step, 37) * 16.0 ** -(np.arange(37) % 8)).astype(np.float32)
        weights.grad = torch.from_numpy(gradient).double()
        optimizer.step()
    return weights.detach().numpy()


def main():
    untrained = build()
    initialise(untrained)
    start = dict(untrained.to(torch.float64).named_parameters())
    loss64, model = train(torch.float64)
    loss32, narrow = train(torch.float32)
    records = [("setup", [SEED, BATCH, STEPS, LR, MOMENTUM]), ("loss64", loss64), ("loss32", loss32)]
    for p, (name, parameter) in enumerate(model.named_parameters()):
        values = parameter.detach().numpy().ravel()
        change = values - start[name].detach().numpy().ravel()
        record = [np.sqrt((values**2).sum()), values.sum(), np.sqrt((change**2).sum())]
        for u in uniform(2000 + p, 16):
            i = int((u + 1) / 2 * values.size)
            record += [i, values[i]]
        records.append((name, record))
        other = dict(narrow.named_parameters())[name].detach().numpy().ravel()
        rms = record[0] / np.sqrt(values.size)
        print(f"{name:14} changed by {record[2] / record[0]:.1e}; float32 differs by "
              f"{np.abs(other - values).max() / rms:.1e} of the root mean square")
    for name, buffer in model.named_buffers():
        if "running" in name:
            records.append((name, buffer.numpy().ravel()))
    records += [("adam", given_gradients(lambda w: torch.optim.Adam(w, lr=0.01))),
                ("adam_decay", given_gradients(lambda w: torch.optim.Adam(w, lr=0.01, weight_decay=0.01))),
                ("sgd_decay", given_gradients(
                    lambda w: torch.optim.SGD(w, lr=LR, momentum=MOMENTUM, weight_decay=0.01)))]
    path = pathlib.Path(__file__).with_name("topflight_five_steps.bin")
    with open(path, "wb") as file:
        file.write(b"DLSFIX1\n")
        for name, values in records:
            file.write(struct.pack("<48sQ", name.encode(), len(values)))
            file.write(np.asarray(values, "<f8").tobytes())
    print("losses in float64", loss64)
    print("float32 differs by", [abs(a / b - 1) for a, b in zip(loss32, loss64)])
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
