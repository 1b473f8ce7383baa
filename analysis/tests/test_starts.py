# SPDX-License-Identifier: BSD-3-Clause
"""What the report says of how a launch began."""

import pytest

from dlscale_analysis import load, report
from dlscale_analysis.starts import start_lines
from make_run import RunSpec, write_run


def written(tmp_path, start):
    text = {} if start is ... else {"start": start}
    path = str(tmp_path / "run.h5")
    write_run(path, RunSpec(hosts=2, ranks_per_host=2, text=text))
    return path


def start_of(launch=3.0, loading=0.2, init=0.5):
    spread = {"min": 0.01, "median": 0.1, "slowest_rank": 3}
    return {
        "launch_s": {"root": 1.0, "latest": launch, "latest_rank": 2},
        "loading_s": {**spread, "max": loading},
        "mpi_init_s": {**spread, "max": init},
    }


def test_a_quick_start_is_told_only_when_asked(tmp_path):
    with load(written(tmp_path, start_of())) as run:
        assert start_lines(run) == []
        (line,) = start_lines(run, every=True)
    assert "launch 0: from the launcher to main on the last rank 3.00 s (rank 2 on" in line
    assert "libraries 200 ms (rank 3 on" in line and "MPI_Init 500 ms" in line


@pytest.mark.parametrize("part", ["launch", "loading", "init"])
def test_a_slow_part_is_told(tmp_path, capsys, part):
    path = written(tmp_path, start_of(**{part: 12.0}))
    assert report.main([str(path), "--width", "100"]) == 0
    assert "12.0 s (rank" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "start",
    [..., None, {}, "soon", {"launch_s": None, "loading_s": {}, "mpi_init_s": {"max": None}}],
)
def test_what_is_not_told_is_left_out(tmp_path, start):
    with load(written(tmp_path, start)) as run:
        assert start_lines(run, every=True) == []


def test_unknown_parts_leave_the_others(tmp_path):
    start = {**start_of(init=11.0), "launch_s": None}
    start["mpi_init_s"]["slowest_rank"] = 99
    with load(written(tmp_path, start)) as run:
        (line,) = start_lines(run)
    assert "launcher" not in line and line.endswith("MPI_Init 11.0 s")
