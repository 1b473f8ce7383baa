# SPDX-License-Identifier: BSD-3-Clause
"""What samples are made of: the common clock, waiting in buckets, the arrays that only distributed cases have."""

import h5py
import numpy as np
import pytest

from dlscale_analysis import bars, load
from dlscale_analysis.bars import arrival_waiting, bucket_waiting, read_bars
from dlscale_analysis.casestats import read_cases
from dlscale_analysis.scaling import look_at_scaling
from dlscale_analysis.summary import summarise
from make_scaling import GRADIENT, Step, collective_case, pairwise_case, train_case
from test_efficiency import write
from test_ledger import ledger_of, looked, run_of


def test_clocks_of_other_nodes_are_applied(tmp_path):
    """Offsets of seconds between two hosts: the same ledger, but for what is alone on a node."""
    step = Step(20e-3, late={3: 3e-3})
    found = ledger_of(tmp_path, step, hosts=2)
    assert found.term("waiting").loss.median == pytest.approx(2.25e-3, rel=1e-6)
    assert found.term("skew").loss.median == pytest.approx(0.75e-3, rel=1e-6)
    assert any("± 1.25 µs" in note for note in found.notes)
    path = write(tmp_path, run_of(step), hosts=2, ranks_per_host=2)
    with h5py.File(path, "r+") as file:
        table = file["system/clocks"][()]
        table["node"][table["node"] == 1] = 7
        file["system/clocks"][...] = table
    ledger = looked(path).curves[0].ledgers[0]
    assert any("no clock offset of node 1" in note for note in ledger.notes)


def test_clock_that_drifts_is_taken_between_its_measurements(tmp_path):
    path = write(tmp_path, run_of(Step(20e-3)), hosts=2, ranks_per_host=2)
    with h5py.File(path, "r+") as file:
        rows = file["system/clocks"][()]
        own = rows[rows["case"] == 3]
        more = own.copy()
        starts = file["samples/0003/start"][()].astype(float)[:, 2:]
        offset = int(own["offset_ns"][1])
        early, late = (np.int64(starts.min() + offset), np.int64(starts.max() + offset))
        own["at_ns"], more["at_ns"] = early, late
        more["offset_ns"][1] += 40_000  # ns in between
        for name in ("start", "stop"):
            times = file[f"samples/0003/{name}"][()]
            root = times[:, 2:] + offset
            share = (file["samples/0003/start"][()][:, 2:] + offset - early) / float(late - early)
            times[:, 2:] = root - offset - np.rint(40_000 * share).astype(np.int64)
            if name == "start":
                kept = times
            else:
                file["samples/0003/stop"][...] = times
        file["samples/0003/start"][...] = kept
        del file["system/clocks"]
        file["system/clocks"] = np.concatenate([rows[rows["case"] != 3], own, more])
    with load(path) as run:
        found = read_bars(run, run.case(3))
    assert found.mean("wall") == pytest.approx(21.5e-3, abs=2e-8)
    assert found.mean("wall") - found.mean("own") == pytest.approx(0, abs=2e-8)


def test_bars_are_made_once_per_case(tmp_path, monkeypatch):
    path = write(tmp_path, run_of(Step(20e-3)) + [collective_case(4, 2**20, 1e-3, {})])
    made, read = [], bars._read
    monkeypatch.setattr(bars, "_read", lambda run, case: made.append(int(case["id"])) or read(run, case))
    with load(path) as run:
        stats = read_cases(run)
        look_at_scaling(run, stats, summarise(run, stats))
        assert read_bars(run, run.case(3)) is read_bars(run, run.case(3))
    assert {2, 3, 4} <= set(made) and len(made) == len(set(made))


def test_waiting_in_buckets_by_hand():
    """Two ranks, two buckets; rank 1 starts 1 s late. Times of the sample on each rank's own clock."""
    late = np.array([[0.0, 1.0]])
    ready = np.zeros((1, 2, 2))
    enter = np.array([[[4.0, 7.5], [5.0, 6.5]]])  # common clock: rank 1 enters at 6 and 7.5
    done = np.array([[[7.0, 8.0], [6.0, 7.0]]])
    buckets = np.stack([ready, enter, done], axis=3)
    blocked = np.array([[4.0, 2.0]])  # until 8 and 7: from 4, from 5
    assert bucket_waiting(late, buckets, blocked).tolist() == [[2.0, 0.0]]
    # A main thread that is blocked from 5.5 on only waits from there.
    assert bucket_waiting(late, buckets, np.array([[2.5, 1.0]])).tolist() == [[0.5, 0.0]]
    # Entered while the bucket before was under way: waiting for both at once counts once.
    early = np.stack([ready, [[[4.0, 4.5], [5.0, 5.2]]], done], axis=3)
    assert bucket_waiting(late, early, blocked).tolist() == [[2.0, 0.0]]
    assert np.isnan(bucket_waiting(late, np.full((1, 2, 0, 3), np.nan), blocked)).all()
    buckets[0, 1, 1, 1] = np.nan
    assert np.isnan(bucket_waiting(late, buckets, blocked)).any()
    assert arrival_waiting(late, np.array([[3.0, 2.0]])).tolist() == [[1.0, 0.0]]
    assert arrival_waiting(late, np.array([[0.25, 2.0]])).tolist() == [
        [0.25, 0.0]
    ]  # clocks can be wrong


def test_buckets_and_partners_are_read(tmp_path):
    path = write(tmp_path, [train_case(Step(20e-3), 2, 64), pairwise_case(4, 8, {}, 1e-5)])
    with load(path) as run:
        samples = run.samples(0)
        assert samples.buckets().shape == (50, 2, 3, 3) and samples.bucket_bytes.sum() == GRADIENT
        assert samples.buckets(slice(2, 4), slice(1, 2)).shape == (2, 1, 3, 3)
        assert run.samples(1).buckets().shape == (50, 4, 0, 3) and run.samples(1).bucket_bytes.size == 0
        assert run.samples(1).partners().shape == (3, 4) and samples.partners().shape == (0, 2)
