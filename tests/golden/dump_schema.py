#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare a run file's names, shapes, types and units with schema.txt; no numbers.

usage: dump_schema.py FILE             exit 1 and a diff if they differ
       dump_schema.py --generate FILE  write schema.txt from FILE
       dump_schema.py --print FILE     only print

The file should have a case with probes and parts (unit_record writes one: DLSCALE_GOLDEN=generate).
"""
import difflib
import pathlib
import re
import sys

import h5py

GOLDEN = pathlib.Path(__file__).with_name("schema.txt")
# Texts whose size follows what they hold.
FLEXIBLE = re.compile(r"^/(input/|system/environment|system/launches)")


def type_name(dtype, flexible):
    if dtype.names:
        fields = (f"    {name}: {type_name(dtype[name], flexible and name == 'hosts')}" for name in dtype.names)
        return "compound\n" + "\n".join(fields)
    if dtype.kind == "S":
        return "text[*]" if flexible else f"text[{dtype.itemsize}]"
    return dtype.name


def describe(name, array):
    growing = ["+" if limit is None else "" for limit in array.maxshape]
    dimensions = array.attrs["dimensions"].decode().split()
    if len(dimensions) != len(array.shape):
        raise SystemExit(f"{name}: dimensions {dimensions} for shape {array.shape}")
    shape = ", ".join(d + g for d, g in zip(dimensions, growing))
    if not array.attrs["description"]:
        raise SystemExit(f"{name}: no description")
    return f"{name} [{shape}] unit='{array.attrs['unit'].decode()}' {type_name(array.dtype, bool(FLEXIBLE.match(name)))}"


def schema(path):
    lines = {}
    with h5py.File(path, "r") as file:
        for key, value in file.attrs.items():
            kind = "text[*]" if file.attrs.get_id(key).dtype.kind == "S" else file.attrs.get_id(key).dtype.name
            lines[f"/@{key}"] = f"/@{key} {kind}"

        def visit(name, item):
            name = re.sub(r"^/samples/\d{4,}", "/samples/NNNN", "/" + name)
            lines[name] = describe(name, item) if isinstance(item, h5py.Dataset) else f"{name}/"

        file.visititems(visit)
    return "\n".join(lines[name] for name in sorted(lines)) + "\n"


def main(arguments):
    path = arguments[-1]
    found = schema(path)
    if "--print" in arguments:
        print(found, end="")
    elif "--generate" in arguments:
        GOLDEN.write_text(found)
    elif found != GOLDEN.read_text():
        sys.stdout.writelines(difflib.unified_diff(GOLDEN.read_text().splitlines(True), found.splitlines(True),
                                                   str(GOLDEN), path))
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
