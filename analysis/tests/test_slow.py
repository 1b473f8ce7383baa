# SPDX-License-Identifier: BSD-3-Clause
"""Who is named, at which level, and who is not, on files whose truth is known."""

import re

import h5py
import numpy as np
import pytest

from dlscale_analysis import load
from dlscale_analysis.casestats import read_cases
from dlscale_analysis.overview import look
from dlscale_analysis.slow import find_slow
from dlscale_analysis.slow_remarks import nobody, sentence
from dlscale_analysis.slow_verdict import host_list
from dlscale_analysis.units import plural
from make_run import CaseSpec, RunSpec, write_new, write_run
from make_scaling import pairwise_case

ROOFS = [
    CaseSpec("noop", 1e-7),
    CaseSpec("fma", 1e-2, flops=2e9, dtype="f64", role="roof"),
    CaseSpec("triad", 2e-2, bytes_touched=4e8, dtype="f64", role="roof", params={"bytes": 4e8}),
]


def gemm(seconds=1e-2, **options):
    params = {"m": 1000, "n": 1000, "k": 1000}
    return CaseSpec(
        "gemm", seconds, flops=2e9, bytes_touched=2.4e7, dtype="f64", params=params, **options
    )


def judged(*paths):
    runs = [load(path) for path in paths]
    return find_slow(runs, [read_cases(run) for run in runs])


def named(tmp_path, **options):
    return [sentence(entry) for entry in judged(write_new(tmp_path, **options)).named]


def edit_ranks(path, change):
    with h5py.File(path, "r+") as file:
        rows = file["system/ranks"][()]
        change(rows)
        file["system/ranks"][...] = rows


def test_a_slow_rank_is_named(small_file):
    (entry,) = judged(small_file).named
    assert (entry.level, entry.rank, entry.host, entry.cause) == ("rank", 3, "n1", "compute")
    assert entry.excess == pytest.approx(0.12, abs=0.01) and entry.bound < 0.09
    assert entry.pattern == "steady" and not entry.exclude and len(entry.launches) == 1
    assert re.match(r"rank 3 \(host n1\): slow compute, \+1[12]\.\d % \(bound ", sentence(entry))


def test_equal_ranks_are_not_named(tmp_path):
    for seed in range(6):
        assert named(tmp_path, seed=seed, hosts=16) == []


def test_one_third_is_not_enough(tmp_path):
    path = tmp_path / "run.h5"
    write_run(str(path), RunSpec(cases=[gemm()], hosts=8))
    with h5py.File(path, "r+") as file:
        blocks = file["samples/0000/block"][()]
        stop = file["samples/0000/stop"][()]
        stop[np.flatnonzero((blocks == 0) | (blocks == 1)), 5] += 2_000_000
        file["samples/0000/stop"][...] = stop
    assert judged(path).named == []
    with h5py.File(path, "r+") as file:
        stop[np.flatnonzero((blocks == 2) | (blocks == 3)), 5] += 2_000_000
        file["samples/0000/stop"][...] = stop
    (entry,) = judged(path).named
    assert (entry.rank, entry.pattern) == (5, "intermittent")  # two of its six blocks are as usual


def test_bursts_that_no_median_shows(tmp_path):
    path = tmp_path / "run.h5"
    write_run(str(path), RunSpec(cases=[gemm()], hosts=16, per_block=8))
    with h5py.File(path, "r+") as file:
        stop = file["samples/0000/stop"][()]
        stop[3::4, 5] += 10_000_000  # every fourth sample takes twice as long
        file["samples/0000/stop"][...] = stop
    (entry,) = judged(path).named
    assert (entry.rank, entry.pattern, entry.cause) == (5, "intermittent", "compute")
    assert entry.excess == pytest.approx(0.25, abs=0.03) and "in bursts" in sentence(entry)


def test_only_equals_are_compared(tmp_path):
    path = tmp_path / "run.h5"
    write_run(str(path), RunSpec(cases=[gemm(slow={14: 1.5, 15: 1.5})], hosts=8))
    assert {entry.host for entry in judged(path).named} == {"n7"}
    edit_ranks(path, lambda rows: rows["device"].__setitem__((0, slice(14, 16)), b"other"))
    verdict = judged(path)
    assert verdict.named == [] and any("no equals" in text for text in verdict.remarks)
    assert nobody(verdict) == "nobody is named"  # the other nodes were judged


def test_local_ranks_have_their_own_slots(tmp_path):
    far = {rank: 1.2 for rank in range(16) if rank % 2}  # every second socket is slower, everywhere
    assert named(tmp_path, cases=[gemm(slow=far)], hosts=8) == []


def test_a_bad_node_does_not_hide_behind_its_own_median(tmp_path):
    slow = {rank: 1.08 for rank in range(8, 16)}
    verdict = judged(write_new(tmp_path, cases=[gemm(slow=slow)], hosts=8, ranks_per_host=8))
    (entry,) = verdict.named
    assert (entry.level, entry.name, entry.ranks) == ("node", "n1", list(range(8, 16)))
    assert entry.excess == pytest.approx(0.08, abs=0.01)


def test_a_rank_slower_than_its_slow_node_is_named_besides(tmp_path):
    slow = {**{rank: 1.1 for rank in range(8, 16)}, 9: 1.3}
    verdict = judged(write_new(tmp_path, cases=[gemm(slow=slow)], hosts=8, ranks_per_host=8))
    assert [(e.level, e.name) for e in verdict.named] == [("node", "n1"), ("rank", "rank 9")]
    assert verdict.named[1].excess == pytest.approx(1.3 / 1.1 - 1, abs=0.02)


def test_one_slow_rank_makes_no_slow_node(tmp_path):
    (entry,) = judged(write_new(tmp_path, cases=[gemm(slow={5: 1.3})], hosts=12)).named
    assert (entry.level, entry.rank) == ("rank", 5)


def test_switches_and_devices(tmp_path):
    path = tmp_path / "run.h5"
    slow = {rank: 1.1 for rank in range(8, 16)}
    write_run(
        str(path), RunSpec(cases=[gemm(slow={**slow, 40: 1.3, 41: 1.3})], hosts=16, ranks_per_host=4)
    )

    def change(rows):
        for index in range(64):
            rows["switch"][0, index] = f"core.leaf{index // 8}".encode()  # two nodes each
            rows["device"][0, index] = b"GPU"
            rows["device_uuid"][0, index] = f"GPU-{index // 2}".encode()  # two ranks share one

    edit_ranks(path, change)
    verdict = judged(path)
    assert [(e.level, e.name, e.host) for e in verdict.named] == [
        ("switch", "leaf1", ""),
        ("device", "device GPU-20", "n0010"),
    ]
    assert plural(2, "slow switch") == "2 slow switches" and plural(1, "switch") == "1 switch"


def test_a_link_is_told_from_its_partners_and_from_compute(tmp_path):
    slow = {(min(2, other), max(2, other)): 9e-3 for other in range(4) if other != 2}
    cases = [*ROOFS, gemm(), pairwise_case(4, 2**20, slow, 1e-4)]
    (entry,) = judged(write_new(tmp_path, cases=cases, hosts=4, ranks_per_host=1)).named
    assert (entry.level, entry.name, entry.cause) == ("node", "n2", "link")
    assert entry.excess > 10 and entry.cases == ["pairwise 1 MiB between nodes"]
    one = [*ROOFS, gemm(), pairwise_case(4, 2**20, {(1, 2): 9e-3}, 1e-4)]
    assert named(tmp_path, cases=one, hosts=4, ranks_per_host=1) == []  # one link, nobody's node


def test_memory_and_compute_are_told_apart(tmp_path):
    triad = CaseSpec("triad", 2e-2, bytes_touched=4e8, dtype="f64", role="roof", slow={3: 1.4})
    (entry,) = judged(
        write_new(tmp_path, cases=[*ROOFS[:2], triad, gemm()], hosts=8, ranks_per_host=1)
    ).named
    assert (entry.name, entry.cause) == ("n3", "memory")
    (entry,) = judged(
        write_new(tmp_path, cases=[*ROOFS, gemm()], slow={3: 1.4}, hosts=8, ranks_per_host=1)
    ).named
    assert (entry.name, entry.cause) == ("n3", "compute")


def test_throttling_is_read_from_the_probes(tmp_path):
    path = tmp_path / "run.h5"
    case = gemm(slow={3: 1.4}, probes={"frequency": 2.8e9, "steal": 0.0, "cpu_time": 1e-2})
    write_run(str(path), RunSpec(cases=[case], hosts=8, ranks_per_host=1))
    assert judged(path).named[0].cause == "compute"
    with h5py.File(path, "r+") as file:
        probes = file["samples/0000/probes"]
        probes[:, 3, 0] = 2.0e9
    (entry,) = judged(path).named
    assert (
        entry.cause == "throttling" and "2.00 GHz" in entry.details[0] and "2.80 GHz" in entry.details[0]
    )
    with h5py.File(path, "r+") as file:
        probes = file["samples/0000/probes"]
        probes[:, 3, 0] = 2.8e9
        probes[:, 3, 1] = 1.6e-2  # s of 14 ms × 4 threads
    assert judged(path).named[0].cause == "throttling"


def test_a_delayed_noop_is_late(tmp_path):
    noop = CaseSpec("noop", 1e-7, noise=0.05, delay={2: 1e-3})
    (entry,) = judged(write_new(tmp_path, cases=[noop])).named
    assert (entry.rank, entry.cause, entry.unit) == (2, "late arrival", "s")
    assert entry.excess == pytest.approx(1e-3, rel=0.01)
    noop.delay = {2: 2e-8}
    assert named(tmp_path, cases=[noop]) == []


def test_of_two_the_own_roof_or_a_late_noop_tells(tmp_path):
    noop = CaseSpec("noop", 1e-7, delay={1: 5e-4})
    (text,) = named(tmp_path, cases=[noop], hosts=1)
    assert text.startswith("rank 1 (host n0): late arrival, 500 µs")
    cases = [*ROOFS, gemm(roofs=[1, 2], slow={0: 1.2})]
    (entry,) = judged(write_new(tmp_path, cases=cases, hosts=1)).named
    assert entry.rank == 0 and entry.details == [
        "slower of two, and below the other in its share of its own roof"
    ]
    both = CaseSpec("fma", 1e-2, flops=2e9, dtype="f64", role="roof", slow={0: 1.2})
    verdict = judged(
        write_new(
            tmp_path, cases=[ROOFS[0], both, gemm(roofs=[1], slow={0: 1.2})], hosts=2, ranks_per_host=1
        )
    )
    assert verdict.named == [] and any("nobody can tell" in text for text in verdict.remarks)
    assert named(tmp_path, cases=[*ROOFS, gemm()], hosts=1) == []


def test_few_nodes_need_a_large_difference(tmp_path):
    small = judged(write_new(tmp_path, cases=[gemm(slow={2: 1.07})], hosts=4, ranks_per_host=1))
    assert small.named == [] and any("fewer than 8" in text for text in small.remarks)
    (entry,) = judged(write_new(tmp_path, cases=[gemm(slow={2: 1.3})], hosts=4, ranks_per_host=1)).named
    assert (entry.level, entry.name) == ("node", "n2") and entry.bound >= 0.1


@pytest.mark.parametrize("ranks_per_host", (1, 2, 4))
def test_two_of_four_slow_nodes_are_as_slow_as_they_are(tmp_path, ranks_per_host):
    """Their median of the others is a fast node: the difference must not be taken off twice."""
    path = tmp_path / "run.h5"
    slow = {rank: 1.5 for rank in range(4 * ranks_per_host) if rank // ranks_per_host in (1, 3)}
    write_run(str(path), RunSpec(cases=[gemm(slow=slow)], hosts=4, ranks_per_host=ranks_per_host))
    found = judged(path).named
    assert {entry.host for entry in found} == {"n1", "n3"} and len(found) == 2
    for entry in found:
        assert entry.excess == pytest.approx(0.5, abs=0.05)


def test_what_can_not_be_judged(tmp_path):
    alone = judged(write_new(tmp_path, hosts=1, ranks_per_host=1))
    assert alone.named == [] and "one rank has no equals" in alone.remarks[0]
    assert nobody(alone) == "nobody could be judged by equals"
    with load(write_new(tmp_path, hosts=1, ranks_per_host=1)) as run:
        view = look(run)
    assert "nobody could be judged by equals" in view.verdict and "stands out" not in view.verdict
    assert [tile.value for tile in view.tiles if tile.title == "Slow nodes and ranks"] == ["–"]
    failed = write_new(tmp_path, cases=[gemm(status="failed", slow={1: 2.0})])
    assert judged(failed).named == [] and "nothing was judged" in judged(failed).remarks[0]
    assert named(tmp_path, cases=[gemm(slow={1: 2.0})], blocks=2) == []
    empty = judged(write_new(tmp_path, cases=[]))
    assert empty.named == [] and empty.remarks


def test_in_an_oversubscribed_run_nobody_is_named_for_a_rate(tmp_path):
    path = tmp_path / "run.h5"
    cases = [CaseSpec("noop", 1e-7, delay={2: 1e-3}), gemm(slow={1: 1.5})]
    write_run(str(path), RunSpec(hosts=1, ranks_per_host=8, cases=cases))
    assert {entry.rank for entry in judged(path).named} == {1, 2}
    edit_ranks(path, lambda rows: rows["cpus"].__setitem__(slice(None), b"0-3"))
    verdict = judged(path)
    assert [entry.rank for entry in verdict.named] == [2]
    assert any("only the no-op" in text for text in verdict.remarks)
    with load(path) as run:
        view = look(run)
    assert any("more threads than processors on 1 host (n0)" in text for text in view.warnings)
    assert any(tile.title == "GEMM per rank, f64" for tile in view.tiles)


def test_host_lists():
    assert host_list(set()) == "" and host_list({"n1"}) == "n1"
    assert host_list({"n1", "n2", "n3", "n7", "login"}) == "login,n[1-3,7]"
    assert host_list({"gpu009", "gpu010", "gpu011"}) == "gpu[009-011]"
    assert host_list({"n9", "n10"}) == "n[9-10]" and host_list({"a-1.b2", "a-1.b4"}) == "a-1.b[2,4]"
