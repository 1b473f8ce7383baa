# SPDX-License-Identifier: BSD-3-Clause
"""docs/faults.md: every fault of its table names a test that exists, and every sentence is one of the program's."""
import importlib
import pathlib
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


def spoken(sources):
    """All string literals of the program, adjacent ones joined."""
    text = "\n".join(path.read_text() for path in sources)
    text = re.sub(r'"\s*\n\s*"', "", text)
    return text


def test_sentences_of_the_table():
    """The fixed words of each sentence that the table quotes stand in the program's sources."""
    sources = sorted(pathlib.Path(ROOT / "src").rglob("*.cpp")) + sorted(pathlib.Path(ROOT / "src").rglob("*.hpp"))
    text = spoken(sources)
    for row in rows():
        for said in re.findall(r"`dlscale: ([^`]+)`", row[1]):
            # What comes from outside: paths, numbers, hosts, the system's reasons.
            pieces = re.split(r"\S*/\S+|\S+\.h5\S*|\d[\d.,]*(?: s\b)?|n\d\b|\([^()]*\)|…|'[^']*'", said)
            for piece in (piece.strip(" ;:,()'") for piece in pieces):
                words = piece.split()
                expect(len(words) < 3 or " ".join(words[:6]) in text or any(
                    " ".join(words[i:i + 3]) in text for i in range(len(words) - 2)), f"nobody says '{piece}'")
