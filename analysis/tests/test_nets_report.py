# SPDX-License-Identifier: BSD-3-Clause
"""What terminal, page and tables show of training, inference and convolutions."""

import re

import pandas as pd
import pytest

import make_nets
from dlscale_analysis import net_figures, report
from dlscale_analysis.steps import LAYER_COLUMNS, Roofline
from make_nets import roofs, train
from test_nets import PLAIN, STUDY, printed, write
from test_report import read_page, without_holes


def test_terminal(nets_file, capsys):
    text = printed(capsys, nets_file)
    for words in (
        "Training per node, f32 8451 images/s",
        "train top-flight* 6400 – 6400 10.0 ms 50.0 50 %",
        "3 train top-flight 10.0 ms 10.0 % 5.0 % 30.0 % 40.0 % 10.0 % 5.0 %",
        "Zero everywhere: reduce.",
        "bn1 forward reaches 31 % of its memory bound",
        "More than 100 % is possible",
        "batch=64 workers=0 19.00 ± 0.89 s 1.00 1520 s 80.0 90.64 %",
        "batch=512 workers=4 7.200 ± 0.089 s 2.64 ± 0.13 504.0 s 70.0 95.12 %",
        "first row (batch=64 workers=0)",
        "perf stat's is a standard error",
        "5.00 G 1.25 G 0.250 20.0 M 5.00 M 25.0 % –",
        "N16 C3 224×224 K64 7×7 s2 p3 50.0 50 % 25.0 25 % 16.7 17 % f32",
        "N16 C64 56×56 K128 3×3 s2 p3 50.0 50 % w 25.0 25 % failed f32",
        "w: by Winograd's algorithm.",
        "forward 60.00 ms (2 cases), bwd data 120.0 ms (2 cases), bwd weights 60.00 ms (1 of 2 cases)",
        "*: synthetic data",
        "Of fewer than 100 samples it is the largest.",
    ):
        assert words in text, words


def test_page(nets_file, tmp_path):
    page_file = tmp_path / "page.html"
    assert report.main([nets_file, "--html", str(page_file), "--width", "100"]) == 0
    text = " ".join(read_page(page_file).words)
    for words in (
        "Training and inference",
        "Where a step goes",
        "Layers against the roofline",
        "Below half of their bound",
        "bn1 forward reaches 31 %",
        "2 pieces without counted FLOP are in the table only",
        "Epochs",
        "Speed-up study: topflight",
        "2.64 ± 0.13",
        "Sums of times per pass",
        "1 of 2 cases",
    ):
        assert words in text, words
    raw = without_holes(page_file)
    assert raw.count("<h2>") == raw.count("</h2>") and ".roofname" in raw


def test_a_run_without_networks_shows_nothing_of_them(small_file, tmp_path, capsys):
    text = printed(capsys, small_file, "--html", tmp_path / "p.html", "--csv", tmp_path)
    raw = (tmp_path / "p.html").read_text(encoding="utf-8")
    for words in ("Training", "Layers", "Epochs", "Convolutions", "Where a step", "images/s"):
        assert words not in text and words not in raw
    assert ".roofname" not in raw
    for name in ("networks", "parts", "layers", "epochs", "studies"):
        assert pd.read_csv(tmp_path / f"{name}.csv").empty


def test_tables(nets_file, tmp_path):
    assert report.main([nets_file, "--csv", str(tmp_path), "--width", "100"]) == 0
    tables = {
        name: pd.read_csv(tmp_path / f"{name}.csv")
        for name in ("cases", "networks", "parts", "layers", "epochs", "studies")
    }
    assert all((table["run"] == nets_file).all() for table in tables.values())
    assert tables["cases"]["items"][PLAIN] == 64 and tables["cases"]["series"][STUDY] == "topflight"
    assert tables["networks"]["rate"][0] == pytest.approx(6400)
    parts = tables["parts"][(tables["parts"]["case"] == PLAIN) & (tables["parts"]["rank"] == 1)]
    assert parts["part"].tolist()[-2:] == ["update", "rest"]
    assert parts["mean_s"].sum() == pytest.approx(1e-2) and parts["share"].sum() == pytest.approx(1)
    assert tables["layers"]["piece"].tolist() == [name for name, *_ in make_nets.layers()]
    epochs = tables["epochs"]
    assert (
        len(epochs) == 4 * 3 * 2 and epochs["epoch"].min() == 1 and epochs["test_accuracy"][0] == 0.971
    )
    assert tables["studies"]["speedup"].tolist() == pytest.approx([1, 19 / 13, 1.9, 19 / 7.2])


def test_failed_training_has_no_rate(tmp_path, capsys):
    path = write(tmp_path, roofs() + [train(1e-2, 64, 0, status="failed", check_passed=0)])
    text = printed(capsys, path, "--html", tmp_path / "p.html")
    assert (
        re.search(r"3 train top-flight\* .*?failed", text)
        and "6400" not in text.split("Training and")[1]
    )
    assert "batch=64 f32 (failed)" in text
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert '<td colspan="8"><span class="pill bad">failed</span></td>' in page


def test_roofline_labels_do_not_overlap():
    rows = []
    for index in range(30):
        rows.append((f"layer{index // 5}.conv{index} forward", 0.03, 1e8 * (1 + index % 3), 1e6))
    table = pd.DataFrame(
        [
            (3, n, 1e-3, s, f, b, f / 1e-3, b / 1e-3, f / b, "FLOP", 1e-3, 1.0, 1.0, 0)
            for n, s, f, b in rows
        ],
        columns=LAYER_COLUMNS,
    )
    drawn = net_figures.roofline_plot(Roofline(3, "x", table, 1e-2, 30, 5e11, 1e10, 1, 2, "f32", 4))
    places = [
        (float(x), float(y), len(name))
        for x, y, name in re.findall(r'<text class="t small" x="([\d.]+)" y="([\d.]+)">([^<]+)<', drawn)
    ]
    assert places and drawn.count("<circle") == 30
    for i, (x, y, length) in enumerate(places):
        for other_x, other_y, other_length in places[:i]:
            apart = x + 6.8 * length <= other_x + 1 or other_x + 6.8 * other_length <= x + 1
            assert apart or abs(y - other_y) >= 11
    assert net_figures.log_ticks(0.9, 30) == [1, 2, 5, 10, 20]
    assert net_figures.log_ticks(0.5, 5e4) == [1, 10, 100, 1000, 10000]
