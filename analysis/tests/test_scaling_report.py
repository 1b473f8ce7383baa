# SPDX-License-Identifier: BSD-3-Clause
"""What terminal, page and tables show of scaling."""

import math
import re
from contextlib import redirect_stdout

import h5py
import pandas as pd
import pytest

from dlscale_analysis import load, report, scale_figures, units
from dlscale_analysis.casestats import read_cases
from dlscale_analysis.links import bus_table
from dlscale_analysis.overview import look
from make_run import write_run
from make_scaling import Step, collective_case, own_case, pairwise_case, scaling_spec, train_case
from test_efficiency import write
from test_nets import printed
from test_report import read_page, without_holes


@pytest.fixture(scope="module")
def scaling_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("scaling") / "scaling.h5"
    write_run(str(path), scaling_spec())
    return str(path)


@pytest.fixture(scope="module")
def reported(scaling_file, tmp_path_factory):
    """The folder with page.html, terminal.txt and all tables of that file."""
    folder = tmp_path_factory.mktemp("reported")
    options = ["--html", str(folder / "page.html"), "--csv", str(folder), "--width", "80"]
    with open(folder / "terminal.txt", "w", encoding="utf-8") as out, redirect_stdout(out):
        assert report.main([scaling_file, *options]) == 0
    return folder


def test_terminal(reported):
    lines = (reported / "terminal.txt").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 80
    text = re.sub(r"\s+", " ", " ".join(lines))
    for words in (
        "Efficiency, train p = 4 0.977",
        "Efficiency, pdgemm p = 4 0.913",
        "Slow pairs 1 pair 1 (n0) – 2 (n1)",
        "Scaling: train topflight-cnn overlap=none f32 weak",
        "2 1 22.98 ms 5570 images/s 1.00 1 (base) 0.898",
        "Baseline: 2 ranks (case 4, a full node, 5570 images/s, 23.0 ms).",
        "All points share the baseline's time",
        "Where the efficiency went: train topflight-cnn overlap=test f32 weak",
        "p time E gran. shar. interf. wait comm. skew",
        "p = 4: closure holds. T − T without communication (case 13) is",
        "Persistent imbalance: rank 3 (n1) works",
        "Overlap: train topflight-cnn batch=64 data f32 p=4",
        "an all-reduce of as many bytes",
        "Scaling: pdgemm 2048³ f64 strong",
        "→: not to be told apart, in the next column.",
        "best: 256, 142.0 GFLOP/s on 4 ranks, 1.21 [1.21, 1.21] × the library's default (32)",
        "Collective: allreduce f32 out of place",
        "16 B b 4.10 µs 3.90 MB/s",
        "never joined",
        "1 (n0) – 2 (n1) 4.03 GB/s 260 µs +136 %",
    ):
        assert words in text, words
    assert text.count("All points share") == 1  # said once
    assert "nan" not in text.lower().split()


def test_page(reported):
    page_file = reported / "page.html"
    text = " ".join(read_page(page_file).words)
    for words in (
        "Scaling: train topflight-cnn overlap=thread f32 weak",
        "Where the efficiency went",
        "Overlap:",
        "Distributed products",
        "Collective: allreduce",
        "Pairs: pairwise 1 MiB",
        "Parts of each rank",
        "against ranks that work by themselves",
        "exposed communication",
    ):
        assert words in text, words
    raw = without_holes(page_file)
    assert ".cell.marked" in raw and 'class="cell slow3 marked"' in raw


def test_isolated_and_batched_points_are_never_joined(scaling_file):
    with load(scaling_file) as run:
        table = bus_table(run, read_cases(run))
    drawn = scale_figures.bus_figure(table)
    paths = re.findall(r'<path class="series s\d( dashed)?" d="([^"]+)"', drawn)
    lengths = sorted((bool(dashed), path.count("L") + 1) for dashed, path in paths)
    isolated = (table["mode"] == "isolated").groupby(table["ranks"]).sum().tolist()
    batched = (table["mode"] == "batched").groupby(table["ranks"]).sum().tolist()
    assert lengths == sorted([(False, n) for n in isolated] + [(True, n) for n in batched])


def test_points_with_fewer_ranks_than_the_baseline_are_inside_their_panels(scaling_file):
    with load(scaling_file) as run:
        curve = look(run).scaling.curves[0].curve
    assert curve.base.p == 2 and curve.points[0].p == 1
    drawn = scale_figures.curve_figure(curve)
    places = [float(x) for x in re.findall(r'<circle[^>]* cx="([\d.]+)"', drawn)]
    assert len(places) >= 6
    assert all(any(low <= x <= high for low, high in scale_figures.PANELS) for x in places)


def test_ledger_bars_are_the_loss(tmp_path):
    path = str(tmp_path / "one_node.h5")  # against one rank: two ledgers
    write_run(path, scaling_spec(hosts=1, ranks_per_host=4))
    with load(path) as run:
        entry = look(run).scaling.curves[0]
    # A gain goes to the left of zero and leaves the losses as they are.
    term = entry.ledgers[0].terms[1]
    term.loss = type(term.loss)(-2 * term.loss.median, *[math.nan] * 2, 6, *[math.nan] * 3)
    drawn = scale_figures.ledger_bars(entry)
    zero = float(re.search(r'class="zero" d="M([\d.]+) ', drawn).group(1))
    most = max(sum(max(0.0, ledger.points(t)) for t in ledger.terms) for ledger in entry.ledgers)
    sums = {}
    for x, y, width in re.findall(
        r'<rect class="part [^"]+" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', drawn
    ):
        sums.setdefault(y, [0.0, 0.0])[float(x) >= zero - 0.2] += float(width)
    scale = max(lost for _, lost in sums.values()) / most  # pixels per point
    for ledger, (gained, lost) in zip(entry.ledgers, sums.values()):
        points = [ledger.points(term) for term in ledger.terms]
        assert lost == pytest.approx(scale * sum(p for p in points if p > 0), abs=1.0)
        assert gained == pytest.approx(-scale * sum(p for p in points if p < 0), abs=1.0)
    assert min(gained for gained, _ in sums.values()) < 1 < max(gained for gained, _ in sums.values())


def test_tables(scaling_file, reported):
    tables = {
        name: pd.read_csv(reported / f"{name}.csv")
        for name in ("efficiency", "ledger", "ledger_ranks", "overlap", "collectives", "pairs", "pdgemm")
    }
    assert all(len(table) and (table["run"] == scaling_file).all() for table in tables.values())
    sums = tables["ledger"].groupby("case").agg({"points": "sum", "efficiency": "first"})
    assert (sums["points"] / 100 + sums["efficiency"]).tolist() == pytest.approx([1] * len(sums))
    last = tables["efficiency"][tables["efficiency"]["p"] == 4]
    assert last["efficiency"].between(0.9, 0.98).all() and (last["baseline"] != last["case"]).all()
    assert tables["pairs"]["slow"].sum() == 1 and set(tables["collectives"]["mode"]) == {
        "isolated",
        "batched",
    }
    assert tables["overlap"]["overlap"].tolist() == ["none", "test", "thread"] * 2
    assert tables["ledger_ranks"].groupby("case").size().max() == 4


def test_a_run_without_distributed_cases_shows_nothing_of_them(small_file, tmp_path, capsys):
    text = printed(capsys, small_file, "--html", tmp_path / "p.html", "--csv", tmp_path)
    raw = (tmp_path / "p.html").read_text(encoding="utf-8")
    for words in ("Scaling", "efficiency went", "Collective", "Pairs", "Overlap", ".cell"):
        assert words not in text and words not in raw
    for name in ("efficiency", "ledger", "overlap", "collectives", "pairs", "pdgemm"):
        assert pd.read_csv(tmp_path / f"{name}.csv").empty


def test_incomplete_files_are_shown_all_the_same(scaling_file, tmp_path, capsys):
    """A run cut off in the middle: rows without samples, arrays behind the others."""
    path = tmp_path / "cut.h5"
    write_run(str(path), scaling_spec(status="interrupted"))
    with h5py.File(path, "r+") as file:
        for case in (5, 13, 46, 47):
            for name in ("start", "stop", "phase", "block", "repeats"):
                file[f"samples/{case:04d}/{name}"].resize(0, axis=0)
        file["samples/0004/parts"].resize(20, axis=0)
        file["samples/0004/buckets"].resize(10, axis=0)
        file["samples/0048/layers"].resize(5, axis=0)
    text = printed(capsys, path, "--html", tmp_path / "p.html", "--csv", tmp_path)
    assert "Scaling: train topflight-cnn overlap=none f32 weak" in text
    read_page(tmp_path / "p.html")


def test_numbers_of_crowded_runs_carry_their_mark(tmp_path, capsys):
    cases = [train_case(Step(20e-3), p, 64) for p in (1, 4)] + [pairwise_case(4, 2**20, {}, 1e-4)]
    path = write(tmp_path, cases)
    assert "oversubscribed" not in printed(capsys, path)
    with h5py.File(path, "r+") as file:
        table = file["system/ranks"][()]
        table["cpus"] = b"0-1"
        file["system/ranks"][...] = table
    text = printed(capsys, path)
    assert "Scaling: train topflight-cnn f32 weak oversubscribed" in text
    assert "6 pairs of 4 ranks, oversubscribed" in text and "Ranks share processors" in text
    assert "Efficiency, train p = 4, oversubscribed" in text


def test_many_ranks(tmp_path, capsys):
    """40 ranks: the map of pairs, bars of the ranks that work longest and shortest."""
    extra = {rank: 1e-4 * rank for rank in range(40)}
    cases = [train_case(Step(20e-3), 1, 64), train_case(Step(20e-3, extra=extra), 40, 64)]
    cases.append(pairwise_case(40, 2**20, {(0, 39): 4e-4}, 1e-4))
    path = write(tmp_path, cases, hosts=10, ranks_per_host=4)
    text = printed(capsys, path, "--html", tmp_path / "p.html")
    assert "0 (n0) – 39 (n9)" in text and "rank 39 (n9) works" in text
    assert "The ranks that work longest and shortest." in (tmp_path / "p.html").read_text()


def test_names_of_distributed_cases(tmp_path):
    strong = {"scaling": "strong", "params": {"global_batch": 256}}
    cases = [
        train_case(Step(1e-2), 2, 64),
        train_case(Step(1e-2, communicate=False), 2, 64),
        train_case(Step(1e-2), 2, 128, **strong),
        own_case(1e-2, 64, "alone"),
        collective_case(4, 2**20, 1e-3, {}, params={"in_place": True}),
        pairwise_case(4, 8, {}, 1e-5),
    ]
    with load(write(tmp_path, cases)) as run:
        names = list(units.case_labels(run.cases).values())
    assert names == [
        "train topflight-cnn batch=64 data f32",
        "train topflight-cnn batch=64 data no comm. f32",
        "train topflight-cnn global_batch=256 data f32",
        "train topflight-cnn batch=64 f32 alone",
        "collective allreduce 1 MiB in place f32",
        "pairwise 8 B",
    ]
    assert [units.byte_count(n) for n in (8, 1000, 1024, 25 * 2**20, 1536, 6574080, float("nan"))] == [
        "8 B",
        "1000 B",
        "1 KiB",
        "25 MiB",
        "1.5 KiB",
        "6.57 MB",
        "nan",
    ]
