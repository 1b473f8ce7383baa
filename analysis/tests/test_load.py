# SPDX-License-Identifier: BSD-3-Clause
"""The reader against files with known content: finished, running, killed, cut short, damaged, newer."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import make_run
from dlscale_analysis import RunFileError, load
from make_run import CaseSpec, RunSpec, write_run

HERE = Path(__file__).resolve().parent


def test_tables(small_file):
    with load(small_file) as run:
        assert run.status == "completed" and run.attrs["schema_version"] == 1 and run.attrs["ranks"] == 8
        assert run.cases["status"].tolist()[-2:] == ["failed", "skipped"]
        assert run.case(5)["params"]["m"] == 2048 and run.case(5)["results"] == {"roofs": [1, 3]}
        assert run.hosts(0)[3] == "n1" and len(run.ranks) == 8
        assert run.environment[0]["blas"]["library"] == "OpenBLAS"
        assert 'workload = "gemm"' in run.job_text and run.command_line == "dlscale job.toml"
        assert run.launches["hosts"][0] == "n0,n1,n2,n3"
        with pytest.raises(KeyError):
            run.case(99)


def test_samples_are_what_was_written(small_file):
    spec = RunSpec(slow={3: 1.12})
    start, stop, phase, block, repeats = make_run.invent(spec, make_run.default_cases()[6], 6)
    with load(small_file) as run:
        samples = run.samples(6)
        np.testing.assert_array_equal(samples.start_ns(), start)
        np.testing.assert_allclose(samples.seconds(), (stop - start) / 1e9 / 3)
        assert np.isnan(samples.seconds(measured=True)[:3]).all()
        np.testing.assert_array_equal(
            samples.seconds(slice(4, 9), slice(2, 3)), samples.seconds()[4:9, 2:3]
        )
        table = run.table([6])
        assert len(table) == start.size and set(table["host"]) == {"n0", "n1", "n2", "n3"}
        one = table[(table["rank"] == 5) & (table["sample"] == 10)].iloc[0]
        assert one["seconds"] == pytest.approx((stop - start)[10, 5] / 3e9) and one["repeats"] == 3
        assert one["block"] == block[10] and one["phase"] == 1
        assert len(run.table([6], measured=True)) == start.size - 3 * 8
        assert sum(len(piece) for piece in run.tables([6], rows=16)) == start.size


def test_ranks_that_take_turns_have_no_rows_where_absent(small_file):
    with load(small_file) as run:
        seconds = run.samples(4).seconds()
        assert np.isnan(seconds[0, 1]) and np.isfinite(seconds[1, 1])
        assert len(run.table([4])) == np.isfinite(seconds).sum() == seconds.size // 2


def test_common_rows_of_an_unfinished_batch(tmp_path):
    path = tmp_path / "short.h5"
    write_run(str(path), RunSpec())
    with h5py.File(path, "r+") as file:
        file["samples/0005/stop"].resize(20, axis=0)
        file["samples/0005/block"].resize(18, axis=0)
    with load(path) as run:
        assert run.samples(5).rows == 18 and run.samples(5).seconds().shape == (18, 8)


def test_optional_parts_may_be_missing_or_there(tmp_path):
    path = tmp_path / "bare.h5"
    write_run(str(path), RunSpec())
    with h5py.File(path, "r+") as file:
        del file["system/clocks"], file["system/environment"], file["system/launches"], file["input"]
        del file["samples/0005/phase"], file["samples/0005/repeats"], file["samples/0007"]
        group = file["samples/0006"]
        group["probes"] = np.arange(51 * 8 * 2, dtype=float).reshape(51, 8, 2)
        group["probe_names"] = np.array([b"cycles", b"frequency"], dtype="S32")
        group["probe_units"] = np.array([b"1", b"Hz"], dtype="S16")
    with load(path) as run:
        assert run.clocks.empty and run.environment == [] and run.launches.empty and run.job_text == ""
        assert (
            run.samples(5).rows == 51
            and (run.samples(5).repeats == 1).all()
            and run.samples(7).rows == 0
        )
        assert run.table([7]).empty and "seconds" in run.table([7])
        samples = run.samples(6)
        assert samples.probe_names == ["cycles", "frequency"] and samples.probe_units == ["1", "Hz"]
        assert samples.probes(slice(1, 2), slice(0, 1)).tolist() == [[[16.0, 17.0]]]


def test_rounds_of_pairs(tmp_path):
    path = tmp_path / "pairs.h5"
    table = [[1, 0, 3, 2], [2, 3, 0, 1], [-1, 2, 1, -1]]
    rounds = [(f"round {k}", 0.3, 0.0, 1e6) for k in range(3)]
    cases = [
        CaseSpec("noop", 1e-7),
        CaseSpec("pairwise", 1e-3, placement="packed", partners=table, layers=rounds),
    ]
    write_run(str(path), RunSpec(hosts=2, cases=cases))
    with load(path) as run:
        samples = run.samples(1)
        assert samples.partners().tolist() == table and samples.layer_names[2] == "round 2"
        assert run.samples(0).partners().shape == (0, 4)


def test_files_that_are_refused(tmp_path):
    newer, foreign, text = tmp_path / "newer.h5", tmp_path / "foreign.h5", tmp_path / "text.h5"
    write_run(str(newer), RunSpec(schema_version=2, cases=[CaseSpec("noop", 1e-7)]))
    with h5py.File(foreign, "w") as file:
        file["x"] = 1
    text.write_text("no HDF5")
    for path, reason in (
        (newer, "schema_version 2 is newer"),
        (foreign, "not written by dlscale"),
        (text, "not an HDF5 file"),
        (tmp_path / "gone.h5", "no such file"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(RunFileError) as caught:
            load(path)
        assert (
            str(path) in str(caught.value)
            and reason in str(caught.value)
            and "\n" not in str(caught.value)
        )


def test_truncated_file_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "half.h5"
    write_run(str(path), RunSpec())
    os.truncate(path, path.stat().st_size // 3)
    with pytest.raises(RunFileError, match="half.h5"), load(path) as run:
        run.table()


WRITER = """
import sys, time, numpy as np
sys.path[:0] = [{here!r}]
import h5py, make_run
spec = make_run.RunSpec(status="running", cases=[make_run.CaseSpec("noop", 1e-7), make_run.CaseSpec("gemm", 1e-2, 1e9)])
file = h5py.File({path!r}, "w", libver="latest")
make_run.write_header(file, spec)
for case in (0, 1):
    make_run.create_samples(file, case, spec.ranks)
file.swmr_mode = True
arrays = make_run.invent(spec, spec.cases[1], 1)
for first in range(0, 40, 8):
    make_run.append_samples(file, 1, *[array[first:first + 8] for array in arrays])
    file.flush()
    print(first, flush=True)
make_run.append_samples(file, 1, *[array[40:44] for array in arrays])  # never flushed
print("ready", flush=True)
time.sleep(60)
"""


def test_running_and_killed_files(tmp_path):
    path = tmp_path / "live.h5"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(here=str(HERE), path=str(path))],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while "ready" not in (line := writer.stdout.readline()):
            assert line, "the writer died"
        with load(path) as run:
            assert run.status == "running" and run.samples(1).rows >= 40
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    changed = path.stat().st_mtime_ns
    time.sleep(0.01)
    with load(path) as run:
        assert run.status == "running" and run.samples(1).rows >= 40
        assert np.isfinite(run.samples(1).seconds(slice(0, 40))).all() and run.samples(0).rows == 0
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before and path.stat().st_mtime_ns == changed


def test_old_format_versions_of_hdf5_open(tmp_path):
    path = tmp_path / "early.h5"
    spec = RunSpec(cases=[CaseSpec("noop", 1e-7)])
    with h5py.File(path, "w", libver="earliest") as file:
        make_run.write_header(file, spec)
    with load(path) as run:
        assert len(run.cases) == 1
