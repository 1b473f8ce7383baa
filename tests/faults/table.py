# SPDX-License-Identifier: BSD-3-Clause
"""docs/faults.md: every fault of its table names a test that exists, and every test of a fault has its row."""
import importlib
import re

from harness import ROOT, expect

# The files whose every test is a row of the table.
FILES = ("endings", "output", "staged", "memory", "results", "networks", "resume")


def rows():
    """Cells of each row of the table of faults."""
    lines = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[1:]]


def test_table_of_faults():
    tests = {}
    for name in FILES:
        for word in vars(importlib.import_module(name)):
            if word.startswith("test_"):
                tests[f"program.sh {word[5:]}"] = f"{name}.py"
    named = set()
    for row in rows():
        expect(len(row) == 5, f"not five cells: {row}")
        fault, said, code, left, by = row
        expect(all((fault, said, code, left, by)), f"an empty cell: {row}")
        for test in re.findall(r"`([^`]+)`", by):
            named.add(test)
            if test.startswith("program.sh "):
                expect(test in tests, f"{fault}: there is no test {test}")
            else:
                script = test.split()[0]
                expect((ROOT / "tests" / script).is_file(), f"{fault}: there is no tests/{script}")
        expect("`" in by, f"{fault}: no test is named")
    missing = sorted(set(tests) - named)
    expect(not missing, f"no row of docs/faults.md names {missing}")
