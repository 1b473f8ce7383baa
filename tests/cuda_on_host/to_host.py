#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A .cu file as C++ for the host: every launch becomes a call of host_cuda::launch (host_cuda.hpp).

    to_host.py kernels.cu kernels.cpp
"""
import re
import sys

LAUNCH = re.compile(r"([A-Za-z_]\w*(?:<[^<>;(){}]*(?:<[^<>]*>)?[^<>;(){}]*>)?)\s*<<<(.*?)>>>\s*\(", re.S)


def closing(text, at):
    """Index of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    raise ValueError("a launch without an end")


def converted(text):
    while match := LAUNCH.search(text):
        end = closing(text, match.end() - 1)
        call = f"{match[1]}({text[match.end():end]})"
        text = f"{text[:match.start()]}host_cuda::launch({match[2]}, [&] {{ {call}; }}){text[end + 1:]}"
    return text


def main():
    source, target = sys.argv[1:3]
    with open(source, encoding="utf-8") as f:
        text = converted(f.read())
    with open(target, "w", encoding="utf-8") as f:
        f.write(f'#include "host_cuda.hpp"\n#line 1 "{source}"\n{text}')


if __name__ == "__main__":
    main()
