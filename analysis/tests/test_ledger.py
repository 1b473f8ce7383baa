# SPDX-License-Identifier: BSD-3-Clause
"""The ledger: the worked example of docs/metrics.md, losses that were put in, and what it refuses."""

import copy
import math

import h5py
import numpy as np
import pytest

from dlscale_analysis import load
from dlscale_analysis.casestats import read_cases
from dlscale_analysis.ledger import LedgerError, check_sum
from dlscale_analysis.scaling import look_at_scaling, term_cells
from dlscale_analysis.summary import summarise
from make_scaling import Step, own_case, pdgemm_case, train_case
from test_efficiency import write

POINTS = 2.0  # an injected loss lands in its own term within so many points
NAMES = ("granularity", "sharing", "interference", "waiting", "communication", "skew")


def looked(path):
    with load(path) as run:
        stats = read_cases(run)
        return look_at_scaling(run, stats, summarise(run, stats))


def points(ledger):
    """Points of every term; all six must be there."""
    cells = term_cells(ledger)
    assert None not in cells.values() and tuple(cells) == NAMES
    return np.array(list(cells.values()))


def run_of(step, alone=20e-3, together=20e-3, base=20e-3, p=4, **options):
    """Base on one rank, `step` on p, the own share alone and together."""
    noise = options.pop("own_noise", 0.0)
    first = Step(base, transfer=step.transfer, overlap=step.overlap, noise=step.noise)
    return [
        own_case(alone, 64, "alone", noise=noise),
        own_case(together, 64, "together", noise=noise),
        train_case(first, 1, 64, seed=11),
        train_case(step, p, 64, seed=12, **options),
    ]


def ledger_of(tmp_path, *arguments, **options):
    hosts = options.pop("hosts", 1)
    path = write(tmp_path, run_of(*arguments, **options), hosts=hosts, ranks_per_host=4 // hosts)
    (view,) = looked(path).curves
    assert view.problems == []
    return view.ledgers[-1]


def test_worked_example_of_the_documentation(tmp_path):
    """256 images: 80 ms on one rank. On four ranks 64 images each."""
    step = Step(21.5e-3, transfer=0.5e-3, extra={3: 0.4e-3}, late={2: 0.2e-3})
    one = train_case(Step(80e-3), 1, 256, scaling="strong", batch_key=0, params={"global_batch": 256})
    four = train_case(step, 4, 64, scaling="strong", batch_key=0, params={"global_batch": 256})
    own = [own_case(20.4e-3, 64, "alone"), own_case(21.2e-3, 64, "together")]
    for case in own:
        case.params["global_batch"] = 0
    (view,) = looked(write(tmp_path, [one, four, *own])).curves
    (ledger,) = view.ledgers
    ms = 1e3 * np.array([term.loss.median for term in ledger.terms])
    assert ms == pytest.approx([0.4, 0.8, 0.4, 0.25, 1.5, 0.05], abs=1e-5)
    assert 1e3 * ledger.wall.median == pytest.approx(
        23.4
    ) and 1e3 * ledger.ideal.median == pytest.approx(20)
    assert 1e3 * ledger.own_s == pytest.approx(23.35) and 1e3 * ledger.blocked_s == pytest.approx(1.75)
    assert ledger.efficiency == pytest.approx(0.8547, abs=5e-5)
    assert points(ledger) == pytest.approx([1.71, 3.42, 1.71, 1.07, 6.41, 0.21], abs=0.005)
    assert points(ledger).sum() / 100 == pytest.approx(1 - ledger.efficiency, abs=1e-12)
    assert (ledger.imbalance_rank, 1e3 * ledger.imbalance_s) == (3, pytest.approx(0.3))


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(
    "what, change, expected",
    [
        # Rank 3 comes 3 ms late: the other three wait, its own share of the delay is skew.
        ("late start", {"late": {3: 3e-3}}, {"waiting": 2.25e-3, "skew": 0.75e-3}),
        # Rank 3 works 3 ms longer: the other three wait, its own share is local time that B does not have.
        ("slow rank", {"extra": {3: 3e-3}}, {"waiting": 2.25e-3, "interference": 0.75e-3}),
        ("delay in MPI", {"transfer": 1.5e-3}, {"communication": 3e-3}),
        ("extra local work beside communication", {"local": 22e-3}, {"interference": 2e-3}),
        ("memory-bound neighbour", {"local": 23e-3, "together": 23e-3}, {"sharing": 3e-3}),
        (
            "extra work of a smaller share",
            {"local": 22e-3, "together": 22e-3, "alone": 22e-3},
            {"granularity": 2e-3},
        ),
    ],
)
def test_an_injected_loss_lands_in_its_own_term(tmp_path, what, change, expected, noise):
    own = {name: change[name] for name in ("alone", "together") if name in change}
    change = {name: value for name, value in change.items() if name not in own}
    own["own_noise"] = noise / 2
    plain = {"local": 20e-3, "transfer": 0.5e-3, "noise": noise}
    clean = ledger_of(tmp_path, Step(**plain), own_noise=noise / 2)
    found = ledger_of(tmp_path, Step(**{**plain, **change}), **own)
    ms = {name: found.term(name).loss.median - clean.term(name).loss.median for name in NAMES}
    for name in NAMES:
        lost = 100 * (ms[name] - expected.get(name, 0.0)) / found.wall.median
        assert abs(lost) <= (POINTS if noise else 0.01), (what, name, ms)
    assert sum(ms.values()) == pytest.approx(sum(expected.values()), rel=0.15 if noise else 1e-3)
    assert points(found).sum() / 100 == pytest.approx(1 - found.efficiency, abs=1e-12)


@pytest.mark.parametrize("overlap", ["test", "thread"])
def test_hidden_communication_is_no_loss(tmp_path, overlap):
    step = Step(20e-3, transfer=0.5e-3, overlap=overlap)
    found = ledger_of(tmp_path, step)
    # Two of three buckets are done before the backward pass ends; of the last one all is exposed.
    assert found.term("communication").loss.median == pytest.approx(0.5e-3, rel=1e-4)
    assert found.term("waiting").loss.median == pytest.approx(0, abs=1e-9)
    late = ledger_of(tmp_path, Step(20e-3, transfer=0.5e-3, overlap=overlap, extra={1: 2e-3}))
    assert late.term("waiting").loss.median == pytest.approx(1.5e-3, rel=1e-3)
    assert late.term("communication").loss.median == pytest.approx(0.5e-3, rel=1e-3)
    assert late.imbalance_rank == 1
    assert "rank 1 (n0) is the last to arrive in 100 % of the samples" in late.notes


def test_terms_that_can_not_be_told_apart_are_joined(tmp_path):
    step = Step(22e-3, transfer=0.5e-3)

    def titles(*left_out, **options):
        cases = run_of(step, alone=20.5e-3, together=21e-3)
        kept = [case for index, case in enumerate(cases) if index not in left_out]
        (view,) = looked(write(tmp_path, kept, **options)).curves
        (ledger,) = view.ledgers
        assert sum(map(ledger.points, ledger.terms)) / 100 == pytest.approx(1 - ledger.efficiency)
        return [term.title for term in ledger.terms][:-3], ledger

    assert titles()[0] == ["granularity", "sharing", "interference"]
    joined, ledger = titles(0)
    assert joined == ["granularity + sharing", "interference"]
    assert ledger.terms[0].loss.median == pytest.approx(1e-3) and "own share alone" in ledger.notes[0]
    assert titles(1)[0] == ["granularity", "sharing + interference"]
    assert titles(0, 1)[0] == ["granularity + sharing + interference"]
    # Ranks per node can be asked for; eight together do not stand for four.
    two = run_of(step, alone=20.5e-3, p=2) + [own_case(21e-3, 64, "2")]
    (view,) = looked(write(tmp_path, two[:1] + two[2:])).curves
    assert view.ledgers[0].together_case == 3 and len(view.ledgers[0].terms) == 6
    assert titles(ranks_per_host=8)[0] == ["granularity", "sharing + interference"]


def test_ledger_without_buckets_joins_waiting_and_communication(tmp_path):
    path = write(tmp_path, run_of(Step(20e-3, extra={3: 1e-3})))
    with h5py.File(path, "r+") as file:
        del file["samples/0003/buckets"], file["samples/0003/bucket_bytes"]
    ledger = looked(path).curves[0].ledgers[0]
    assert ledger.term("waiting").names == ("waiting", "communication")
    assert ledger.term("waiting").loss.median == pytest.approx(2.25e-3)
    assert ledger.part_of["waiting"] == pytest.approx(0.75e-3)  # by the rank that is blocked least


def test_products(tmp_path):
    cases = [
        pdgemm_case(1, 0.4, 0.0, [0.0]),
        pdgemm_case(4, 0.105, 0.004, [0.010, 0.012, 0.011, 0.013]),
    ]
    (view,) = looked(write(tmp_path, cases)).curves
    (ledger,) = view.ledgers
    assert [term.names for term in ledger.terms] == [
        ("granularity", "sharing"),
        ("interference",),
        ("waiting", "communication"),
        ("skew",),
    ]
    seconds = [term.loss.median for term in ledger.terms]
    assert seconds == pytest.approx([0.005, 0.004, 0.0115, 0.0015])
    assert ledger.part_of["waiting"] == pytest.approx(0.0015)
    cases[1] = pdgemm_case(4, 0.105, 0.004, [0.040, 0.042, 0.041, 0.043])  # 30 ms more inside MPI
    (ledger,) = looked(write(tmp_path, cases)).curves[0].ledgers
    more = [term.loss.median - old for term, old in zip(ledger.terms, seconds)]
    assert more == pytest.approx([0, 0, 0.03, 0])


def test_a_sum_that_is_wrong_fails(tmp_path):
    ledger = ledger_of(tmp_path, Step(20e-3))
    check_sum(ledger)
    for wrong in (1e-6, math.nan):
        broken = copy.deepcopy(ledger)
        term = broken.terms[3]
        term.loss = type(term.loss)(wrong, *[math.nan] * 2, 6, *[math.nan] * 3)
        with pytest.raises(LedgerError, match="does not add up"):
            check_sum(broken)


def test_case_without_parts_has_no_ledger_but_a_reason(tmp_path):
    path = write(tmp_path, run_of(Step(20e-3)))
    with h5py.File(path, "r+") as file:
        del file["samples/0003/parts"], file["samples/0003/part_names"]
    (view,) = looked(path).curves
    assert view.ledgers == [] and "case 3 has no ledger" in view.problems[0]


def test_samples_that_a_rank_lacks_are_left_out(tmp_path):
    path = write(tmp_path, run_of(Step(20e-3)))
    with h5py.File(path, "r+") as file:
        for name, value in (("start", -1), ("stop", -1), ("phase", 255)):
            file[f"samples/0003/{name}"][10, 2] = value
        file["samples/0003/parts"][10, 2] = np.nan
        file["samples/0003/buckets"][10, 2] = np.nan
    ledger = looked(path).curves[0].ledgers[0]
    assert ledger.samples == 47 and math.isfinite(points(ledger).sum())


def test_closure_holds_on_a_clean_run_and_not_on_another(tmp_path):
    step = Step(20.5e-3, transfer=0.6e-3, noise=0.01)

    def closure(local, together, **options):
        cases = run_of(step, together=together, own_noise=0.002)
        cases.append(train_case(Step(local, communicate=False, noise=0.01), 4, 64, seed=5, **options))
        (view,) = looked(write(tmp_path, cases)).curves
        return view.ledgers[-1]

    exact = run_of(Step(20e-3), together=20e-3)
    exact.append(train_case(Step(20e-3, communicate=False), 4, 64))
    (view,) = looked(write(tmp_path, exact)).curves
    assert view.ledgers[-1].closure.holds  # intervals of no width: rounding is no gap

    clean = closure(20.2e-3, 20.2e-3)
    assert clean.closure.holds and clean.closure.case == 4
    assert clean.closure.expected.median == pytest.approx(clean.closure.found.median, rel=0.05)
    assert clean.closure.found.median == pytest.approx(
        sum(term.loss.median for term in clean.terms[2:]), rel=1e-9
    )
    assert closure(20.2e-3, 21.5e-3).closure.holds is False
    # A rank that is slow in all runs is waited for in one: the check holds all the same.
    cases = run_of(Step(20e-3, extra={2: 2e-3}, noise=0.01), own_noise=0.002)
    cases[1].delay = {2: 2e-3}
    quiet = Step(20e-3, extra={2: 2e-3}, communicate=False, noise=0.01)
    cases.append(train_case(quiet, 4, 64, seed=5))
    (view,) = looked(write(tmp_path, cases)).curves
    assert abs(view.ledgers[-1].closure.gap.median) < 0.005 * view.ledgers[-1].wall.median
    # Without ranks that train by themselves the run without communication is B, and proves nothing.
    cases = run_of(step)[0:1] + run_of(step)[2:] + [train_case(Step(20.2e-3, communicate=False), 4, 64)]
    ledger = looked(write(tmp_path, cases)).curves[0].ledgers[-1]
    assert ledger.closure is None and ledger.together_case == 3
    assert any("no closure check" in note for note in ledger.notes)
