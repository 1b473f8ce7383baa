# SPDX-License-Identifier: BSD-3-Clause
"""The recipes of docs/reading-the-file.md do what they say, run as they stand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlscale_analysis import load
from dlscale_analysis.casestats import read_case

ANALYSIS = Path(__file__).resolve().parent.parent
PAGE = ANALYSIS.parent / "docs" / "reading-the-file.md"


def blocks(language):
    return re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture
def folder(small_file, tmp_path):
    shutil.copy(small_file, tmp_path / "run.h5")
    return tmp_path


def run_python(text, folder):
    done = subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ANALYSIS), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.strip()
    return done.stdout


WORDS = (  # what each recipe prints of conftest's small_file
    ["completed", "4 gemm f64 ok", "8 gemm f32 the check failed on rank 2", "needs 96.0 GiB"],
    ["seconds per rank:", "world ranks: [0 1 2 3 4 5 6 7]"],
    ["0 n0 0-3 4", "7 n3 4-7 4"],
    ["'m': 2048", "OpenBLAS", "Open MPI 4.1.4"],
    ["51 samples so far"],
    ["gemm", "2048.0", "completed"],
    ["rank", "[9 rows x 8 columns]"],
)


def test_every_block_has_its_words():
    assert len(blocks("python")) == len(WORDS) and len(blocks("sh")) == 1


@pytest.mark.parametrize("number", range(len(WORDS)))
def test_python(number, folder):
    shown = run_python(blocks("python")[number], folder)
    for word in WORDS[number]:
        assert word in shown, shown


def test_times_are_those_of_the_report(folder):
    (text,) = [block for block in blocks("python") if "per_rank" in block]
    shown = run_python(text + "    print('first', number, repr(float(per_rank[3])))\n", folder)
    number, seconds = re.search(r"^first (\d+) (\S+)$", shown, re.MULTILINE).groups()
    with load(folder / "run.h5") as run:
        assert float(seconds) == pytest.approx(read_case(run, int(number)).rank_s[3], rel=1e-12)


def test_tools_of_hdf5(folder):
    if not (shutil.which("h5dump") and shutil.which("h5ls")):
        pytest.skip("h5dump and h5ls are not installed (Debian: hdf5-tools)")
    lines = [line for line in blocks("sh")[0].splitlines() if line.strip()]
    assert len(lines) == 7
    words = (
        "/samples/0000/start",
        '"0.1.0"',
        '"completed',
        '"library": "OpenBLAS"',
        "(2,0)",
        "-1, -1, -1, 0, 0",
        "DATASPACE",
    )
    for line, word in zip(lines, words):
        done = subprocess.run(
            ["sh", "-c", f"set -e; {line}"], capture_output=True, text=True, cwd=folder
        )
        assert done.returncode == 0 and word in done.stdout, f"{line}\n{done.stdout[-500:]}{done.stderr}"
