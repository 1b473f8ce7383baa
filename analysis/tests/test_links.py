# SPDX-License-Identifier: BSD-3-Clause
"""Collectives, pairs, overlap and logical blocks on files whose truth is known."""

import math

import pytest

from dlscale_analysis import load
from dlscale_analysis.casestats import read_cases
from dlscale_analysis.links import bus_lines, bus_table
from dlscale_analysis.scale_notes import of_sweep
from make_scaling import GRADIENT, Step, collective_case, pairwise_case, pdgemm_case, train_case
from test_efficiency import edit, write
from test_ledger import looked
from test_nets import printed


def test_collectives_split_waiting_from_transfer(tmp_path):
    cases = [
        collective_case(4, 2**20, 1e-3, {2: 0.4e-3}),
        collective_case(4, 2**10, 5e-6, {}, "batched"),
        collective_case(2, 2**20, 0.8e-3, {}),
        collective_case(1, 2**20, 1e-5, {}),
    ]
    path = write(tmp_path, cases)
    with load(path) as run:
        table = bus_table(run, read_cases(run)).set_index("case")
    assert table.loc[0, "arrival_s"] == pytest.approx(0.4e-3)
    assert table.loc[0, "transfer_s"] == pytest.approx(1e-3) and table["roof_s"].isna().all()
    assert table.loc[0, "busbw"] == pytest.approx(1.5 * 2**20 / 1.4e-3)  # of the slowest rank's time
    assert table.loc[0, "algbw"] == pytest.approx(2**20 / 1.4e-3)
    assert table.loc[1, "median_s"] == pytest.approx(5e-6) and math.isnan(table.loc[3, "busbw"])
    lines = bus_lines(table.reset_index())
    assert [(p, mode, len(rows)) for p, mode, rows in lines] == [
        (2, "isolated", 1),
        (4, "batched", 1),
        (4, "isolated", 1),
    ]


def test_collectives_against_what_pairs_allow(tmp_path):
    """1.5 MiB over the network per rank at 1 MiB in 0.1 ms (10.5 GB/s) and a latency of 2 µs: 0.152 ms."""
    cases = [
        collective_case(4, 2**20, 0.19e-3, {}),
        pairwise_case(4, 2**20, {}, 1e-4),
        pairwise_case(4, 8, {}, 2e-6),
        pairwise_case(2, 2**20, {}, 5e-4),  # of other ranks
    ]
    table = looked(write(tmp_path, cases)).bus
    assert table["roof_s"][0] == pytest.approx(0.152e-3)
    assert table["roof_share"][0] == pytest.approx(0.152 / 0.19)


def test_short_messages_of_pairs_bound_no_collective(tmp_path):
    """4 KiB in 4 µs is no bandwidth of 1 GB/s."""
    cases = [collective_case(4, 2**20, 0.19e-3, {}), pairwise_case(4, 8, {}, 2e-6)]
    cases.append(pairwise_case(4, 2**12, {}, 4e-6))
    table = looked(write(tmp_path, cases)).bus
    assert table["roof_s"].isna().all() and table["roof_share"].isna().all()
    cases.append(pairwise_case(4, 2**16, {}, 1e-5))
    table = looked(write(tmp_path, cases)).bus
    assert table["roof_s"][0] == pytest.approx(1.5 * 16e-5 + 2e-6)


def test_a_pair_takes_the_smaller_of_its_two_times(tmp_path):
    case = pairwise_case(4, 2**20, {}, 1e-4)
    case.arrays["layers"][:, 2] += 3e-5  # rank 2 comes first everywhere and waits
    table = looked(write(tmp_path, [case])).pairs[0].table
    assert table["seconds"].tolist() == pytest.approx([1e-4] * 6)


def test_overlap_by_its_three_runs(tmp_path):
    cases = [
        train_case(Step(20e-3, transfer=0.6e-3, overlap=overlap), 4, 64)
        for overlap in ("none", "test", "thread")
    ]
    cases[2] = train_case(Step(20.4e-3, transfer=0.6e-3, overlap="thread"), 4, 64)
    cases.append(train_case(Step(20e-3, communicate=False), 4, 64))
    (entry,) = looked(write(tmp_path, cases)).overlaps
    assert "overlap=none" in entry.alone_text and entry.alone_s == pytest.approx(1.8e-3)
    cases.append(collective_case(4, int(GRADIENT), 2e-3, {}, "batched"))
    (entry,) = looked(write(tmp_path, cases)).overlaps
    assert "overlap=none" in entry.alone_text and entry.alone_s == pytest.approx(1.8e-3)
    cases[-1] = collective_case(4, int(GRADIENT), 2e-3, {})
    (entry,) = looked(write(tmp_path, cases)).overlaps
    assert entry.alone_s == pytest.approx(2e-3) and "case 4" in entry.alone_text
    rows = {row.overlap: row for row in entry.rows}
    assert rows["none"].exposed.median == pytest.approx(1.8e-3) and rows["none"].hidden == pytest.approx(
        0.1
    )
    assert rows["test"].exposed.median == pytest.approx(0.6e-3) and rows["test"].hidden == pytest.approx(
        0.7
    )
    assert rows["test"].slowdown.median == pytest.approx(1, abs=1e-6)
    assert rows["thread"].slowdown.median == pytest.approx(1.02) and rows[
        "thread"
    ].exposed.median == pytest.approx(1e-3)


def test_slow_pairs_and_ranks_are_named(tmp_path):
    link = pairwise_case(8, 2**20, {(2, 5): 3e-4}, 1e-4)
    rank = pairwise_case(
        8, 2**20, {(min(3, other), max(3, other)): 2e-4 for other in range(8) if other != 3}, 1e-4
    )
    odd = pairwise_case(5, 2**20, {}, 1e-4)
    path = write(tmp_path, [link, rank, odd], hosts=2, ranks_per_host=4)
    first, second, third = looked(path).pairs
    assert len(first.table) == 28 and first.slow[["a", "b"]].values.tolist() == [[2, 5]]
    assert first.slow["excess"].iloc[0] == pytest.approx(2) and not first.slow_ends
    assert "pair 2 (n0) – 5 (n1): 3.50 GB/s each way" in first.sentences[0]
    assert second.slow_ends == ["rank 3: all its 7 pairs are slow"] and len(second.slow) == 7
    assert len(third.table) == 10 and third.idle == [0, 1, 2, 3, 4] and third.slow.empty


def test_logical_block_sweep(tmp_path):
    cases = [
        pdgemm_case(2, blas, 0.0, [0.0] * 2, params={"logical_block": block})
        for block, blas in ((32, 0.2), (256, 0.16), (64, 0.18))
    ]
    path = write(tmp_path, cases)
    (sweep,) = looked(path).sweeps
    assert [point.block for point in sweep.points] == [32, 64, 256] and sweep.best.block == 256
    assert sweep.gain.median == pytest.approx(1.25)
    edit(path, 0, results=b'{"logical_block": 64}')  # what was in effect counts, not what was asked for
    (sweep,) = looked(path).sweeps
    assert [(point.block, point.case) for point in sweep.points] == [(64, 0), (256, 1)]
    assert sweep.default is None and sweep.gain is None
    assert of_sweep(sweep).endswith("the library's default (32) was not measured")


def test_the_default_block_is_what_the_file_says(tmp_path):
    def sweep_of(**results):
        cases = [
            pdgemm_case(2, blas, 0.0, [0.0] * 2, params={"logical_block": block}, results=results)
            for block, blas in ((32, 0.2), (64, 0.18), (256, 0.16))
        ]
        (sweep,) = looked(write(tmp_path, cases)).sweeps
        return sweep

    sweep = sweep_of(library_logical_block=64)
    assert sweep.default.block == 64 and sweep.gain.median == pytest.approx(1.125)
    assert of_sweep(sweep).endswith("× the library's default (64)")
    sweep = sweep_of(library_logical_block=None)  # a file from before the fact was kept
    assert sweep.default is None and of_sweep(sweep).endswith("does not tell the library's default")


def test_what_the_librarys_block_costs(tmp_path, capsys):
    for pairs, words in (((3, 5), "3 to 5 pairs"), ((3, 3), "3 pairs"), ((3, None), "a few pairs")):
        cases = [pdgemm_case(1, 0.4, 0.0, [0.0])]
        for cost, count in zip((1.234, 1.3), pairs):
            facts = {"library_block_costs": cost, "library_block_pairs": count}
            cases.append(pdgemm_case(2, 0.2 * cost, 0.0, [0.0] * 2, results=facts))
        text = printed(capsys, write(tmp_path, cases))
        assert "BLAS pack MPI lib. block" in text and "0.0 % 0.0 % 1.23" in text
        assert f"time with the block shown, the shortest of {words} after the check." in text
    assert "lib. block" not in printed(capsys, write(tmp_path, [pdgemm_case(1, 0.4, 0.0, [0.0])]))
