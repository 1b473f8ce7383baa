# SPDX-License-Identifier: BSD-3-Clause
"""The command, its page and its tables, as a user meets them."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import make_run
from dlscale_analysis import load, report, svg, units
from make_run import CaseSpec, RunSpec, write_run

ANALYSIS = Path(__file__).resolve().parent.parent
VOID = {"meta", "br", "link", "img", "hr", "input"}


def command(*arguments, program=ANALYSIS / "dlscale-report", **environment):
    return subprocess.run(
        [str(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "DLSCALE_PYTHON": sys.executable, **environment},
    )


class Page(HTMLParser):
    """Checks that tags match and collects what would be fetched."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        self.fetched += [
            value
            for name, value in attributes
            if name in ("src", "srcset") or (name == "href" and not value.startswith("#"))
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read_page(path):
    page = Page()
    page.feed(Path(path).read_text(encoding="utf-8"))
    assert page.open == [] and page.fetched == []
    return page


def without_holes(path):
    """The page as it stands in the file: no number of a text or drawing is NaN or infinite."""
    raw = Path(path).read_text(encoding="utf-8")
    assert not re.search(r'(?:x|y|cx|cy|r|width|d)="[^"]*(?:nan|inf)', raw)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", raw, flags=re.S).lower().split()
    return raw


def test_terminal_fits_in_80_columns(small_file):
    done = command(small_file, "--width", "80")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    flat = re.sub(r"\s+", " ", done.stdout)
    for text in (
        "8 of 10 cases completed, 1 failed, 1 skipped, 1 slow rank",
        "119.6 GFLOP/s",
        "80 %",
        "3 (n1)",
        "rank 3 (host n1): slow compute, +12.",
        "needs 96.0 GiB per rank",
        "[119.1, 120.0]",
        "again: dlscale --case 'gemm m=999",
    ):
        assert text in flat, text


def test_page_is_complete_and_self_contained(small_file, tmp_path):
    other = tmp_path / "other.h5"
    write_run(str(other), RunSpec(hosts=1, ranks_per_host=1))
    page_file = tmp_path / "page.html"
    assert report.main([small_file, str(other), "--html", str(page_file), "--width", "100"]) == 0
    page = read_page(page_file)
    text = " ".join(page.words)
    for words in (
        "small.h5",
        "other.h5",
        "Rates against the roofs",
        "Slow nodes and ranks",
        "Ranks and nodes",
        "OpenBLAS",
        "Samples in the order they were taken",
        "The harness's own cost",
        "Clocks of the nodes",
        "Failed and skipped cases",
        'workload = "gemm"',
        "rank 3 (host n1): slow compute",
    ):
        assert words in text, words
    raw = without_holes(page_file)
    assert raw.count('<svg viewBox="0 0 1040 214"') == 18


def test_hostile_text_is_escaped(tmp_path):
    path = tmp_path / "run.h5"
    bad = CaseSpec(
        "gemm",
        1e-2,
        flops=1e9,
        dtype="f64",
        status="failed",
        check_passed=0,
        message="<script>alert(1)</script> [bold]x[/nothing]",
    )
    write_run(str(path), RunSpec(cases=[bad]))
    assert report.main([str(path), "--html", str(tmp_path / "p.html")]) == 0
    assert "<script>alert" not in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_csv_agrees_with_the_file(small_file, tmp_path):
    assert report.main([small_file, "--csv", str(tmp_path / "tables")]) == 0
    samples = pd.read_csv(tmp_path / "tables" / "samples.csv")
    with load(small_file) as run:
        truth = run.table()
    assert len(samples) == len(truth) and set(samples["run"]) == {small_file}
    np.testing.assert_array_equal(samples["start_ns"], truth["start_ns"])
    np.testing.assert_allclose(samples["seconds"], truth["seconds"], rtol=1e-8)
    cases = pd.read_csv(tmp_path / "tables" / "cases.csv")
    assert cases["case"].tolist() == list(range(10)) and cases["of_roof"][5] == pytest.approx(
        0.8, rel=0.02
    )
    assert pd.read_csv(tmp_path / "tables" / "slow.csv")["rank"].tolist() == [3]


def test_files_without_samples_and_cases(tmp_path):
    for name, cases in (
        ("none", []),
        ("planned", [CaseSpec("gemm", 1.0, dtype="f64", status="planned")]),
    ):
        path = tmp_path / f"{name}.h5"
        write_run(str(path), RunSpec(cases=cases, status="running"))
        with h5py.File(path, "r+") as file:
            for group in file.get("samples", {}).values():
                for array in ("start", "stop", "phase", "block", "repeats"):
                    group[array].resize(0, axis=0)
        assert report.main([str(path), "--html", str(tmp_path / "p.html"), "--csv", str(tmp_path)]) == 0
        read_page(tmp_path / "p.html")


def test_many_ranks_are_drawn_as_bands(tmp_path):
    path = tmp_path / "many.h5"
    write_run(str(path), RunSpec(hosts=40, ranks_per_host=8, slow={17: 1.3}, blocks=6, per_block=2))
    assert report.main([str(path), "--html", str(tmp_path / "p.html")]) == 0
    text = " ".join(read_page(tmp_path / "p.html").words)
    assert "The 20 slowest ranks over all cases" in text and "rank 17 (n0002)" in text
    assert (tmp_path / "p.html").stat().st_size < 500_000


def test_bad_input_is_one_sentence_and_exit_2(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("x")
    for path in (text, tmp_path / "gone.h5"):
        done = command(path)
        assert done.returncode == 2 and str(path) in done.stderr and len(done.stderr.splitlines()) == 1
    assert command(text, "--width", "3").returncode == 2 and command().returncode == 2


def test_unwritable_page_is_exit_2(small_file, tmp_path):
    done = command(small_file, "--html", tmp_path / "no" / "page.html")
    assert done.returncode == 2 and "no/page.html" in done.stderr and len(done.stderr.splitlines()) == 1


def test_wrapper_from_an_installed_tree_through_a_link(small_file, tmp_path):
    installed = tmp_path / "pre fix" / "share" / "dlscale" / "analysis"
    installed.mkdir(parents=True)
    shutil.copy(ANALYSIS / "dlscale-report", installed)
    shutil.copytree(ANALYSIS / "dlscale_analysis", installed / "dlscale_analysis")
    (tmp_path / "pre fix" / "bin").mkdir()
    link = tmp_path / "pre fix" / "bin" / "dlscale-report"
    link.symlink_to("../share/dlscale/analysis/dlscale-report")
    done = command(small_file, "--html", tmp_path / "p.html", program=link)
    assert done.returncode == 0, done.stderr
    assert (
        not list(installed.rglob("__pycache__")) or (ANALYSIS / "dlscale_analysis/__pycache__").exists()
    )


def test_wrapper_says_what_is_missing(tmp_path):
    for name in ("readlink", "dirname", "tail", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name))
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\necho 'h5py, rich' >&2\nexit 1\n")
    fake.chmod(0o755)
    script = tmp_path / "dlscale-report"
    script.write_text(
        (ANALYSIS / "dlscale-report").read_text().replace("/usr/bin/python3", "/nowhere/python3")
    )
    script.chmod(0o755)
    done = command("x.h5", program=script, PATH=str(tmp_path), DLSCALE_PYTHON="")
    assert (
        done.returncode == 2
        and "python3 lacks h5py, rich" in done.stderr
        and len(done.stderr.splitlines()) == 1
    )


def test_follow_until_the_run_ends(tmp_path, capsys):
    path = tmp_path / "live.h5"
    write_run(str(path), RunSpec(status="running", cases=[CaseSpec("noop", 1e-7)]))
    lock = open(str(path) + ".lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)

    # Another process, as in life: one process can't have a file open for reading and writing at once.
    program = (
        "import h5py, sys, time; time.sleep(0.7); file = h5py.File(sys.argv[1], 'r+', libver='latest', "
        "locking=False); file.swmr_mode = True; file['status'][...] = b'completed'; file.flush(); time.sleep(0.3)"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)])
    from rich.console import Console

    began = time.monotonic()
    alarm = threading.Timer(
        20, lambda: (fcntl.flock(lock, fcntl.LOCK_UN))
    )  # then follow() takes the writer for gone
    alarm.start()
    report.follow(str(path), Console(width=80), poll_s=0.05)
    alarm.cancel()
    assert writer.wait() == 0
    lock.close()
    shown = capsys.readouterr().out
    assert (
        time.monotonic() - began > 0.6 and "samples written" in shown and "writer is gone" not in shown
    )


def test_follow_ends_when_the_writer_is_gone(tmp_path, capsys):
    path = tmp_path / "dead.h5"
    write_run(str(path), RunSpec(status="running", cases=[CaseSpec("noop", 1e-7)]))
    Path(str(path) + ".lock").touch()
    assert report.main([str(path), "--follow"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "its writer is gone" in shown
        and "cut off (it says running, but its writer is gone): 1 of 1 case completed" in shown
    )


def test_numbers_read_well():
    assert (
        units.quantity(119.96e9, "FLOP/s", 4) == "120.0 GFLOP/s"
        and units.quantity(8.871e-8, "s") == "88.7 ns"
    )
    assert (
        units.quantity(0.99996e-3, "s") == "1.00 ms"
        and units.quantity(float("nan"), "s") == units.MISSING
    )
    assert units.quantity(1023, "B/s") == "1.02 kB/s" and units.quantity(0, "s") == "0 ns"
    assert (
        units.span(1.5e9, 2.25e9, 2e9, "B/s") == "[1.500, 2.250]"
        and units.signed_percent(-0.0001) == "+0.0 %"
    )


def test_ticks_are_round():
    assert svg.nice_ticks(0, 1, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert svg.ticks_text(svg.nice_ticks(0.97, 1.03, 3)) == ["0.98", "1.00", "1.02"]
    assert svg.nice_ticks(2, 2) == [2] and svg.Scale(1e-8, 1e-3, 0, 1, log=True).ticks()[0] == 1e-8


def test_generator_command(tmp_path):
    make = subprocess.run(
        [sys.executable, make_run.__file__, str(tmp_path / "g.h5"), "--hosts", "2", "--samples", "12"]
    )
    assert make.returncode == 0 and load(tmp_path / "g.h5").samples(5).rows == 15


def test_missed_requirements_are_told(tmp_path):
    sentence = "require max_time = 0.001 missed (slowest rank: 0.01) look at that rank, or correct the requirement"
    case = CaseSpec("gemm", 1e-2, flops=2e9, dtype="f64", params={"m": 1000, "n": 1000, "k": 1000})
    assert "requirement missed" not in load_view(tmp_path, case)
    case.results, case.message = {"missed": ["max_time"]}, sentence
    flat = load_view(tmp_path, case)
    assert "1 requirement missed" in flat and "Requirements missed" in flat and sentence in flat


def load_view(folder, case):
    """Terminal and page of a run with this case, as words."""
    path, page = folder / "run.h5", folder / "page.html"
    write_run(str(path), RunSpec(cases=[CaseSpec("noop", 1e-7), case]))
    done = command(path, "--html", page)
    assert done.returncode == 0, done.stderr
    words = " ".join(read_page(page).words)
    terminal = re.sub(r"\s+", " ", done.stdout)
    if "missed" in case.results:
        assert case.message in re.sub(r"\s+", " ", words) and "Requirements missed" in words
    else:
        assert "Requirements missed" not in words
    return terminal
