# SPDX-License-Identifier: BSD-3-Clause
"""Training, inference and convolutions: numbers worked out by hand, on files whose truth is known."""

import functools
import math
import re

import h5py
import numpy as np
import pandas as pd
import pytest

import make_nets
from dlscale_analysis import load, nets, report, units
from dlscale_analysis.overview import look
from make_nets import roofs, study_cases, train
from make_run import CaseSpec, write_new

# Roofs of make_nets: 100 GFLOP/s in f32, 10 GB/s.
PLAIN, ALONE, INFER, STUDY, CONV = 3, 4, 5, 6, 10  # ids of its cases


write = functools.partial(write_new, hosts=2, ranks_per_host=1, blocks=3, per_block=5)


def looked(path):
    with load(path) as run:
        return look(run)


def printed(capsys, path, *options):
    capsys.readouterr()
    assert report.main([str(path), "--width", "80", *map(str, options)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    return re.sub(r"\s+", " ", " ".join(lines))


def test_reader_knows_the_new_arrays(nets_file):
    with load(nets_file) as run:
        assert run.case(PLAIN)["items"] == 64
        samples = run.samples(PLAIN)
        assert samples.part_names == ["load", "copy", "forward", "backward", "reduce", "update"]
        assert samples.parts().shape == (18, 2, 6) and samples.layers().shape == (18, 2, 5)
        assert samples.layer_names[1] == "bn1 forward" and samples.layer_flops[3] == 2e8
        assert samples.layer_bytes.tolist() == [1e6, 1e7, 4e6, 1e6, 4e6]
        np.testing.assert_allclose(samples.layers(slice(5, 6), slice(0, 1))[0, 0, 0], 2e-3)
        epochs = run.samples(STUDY)
        assert epochs.epochs().shape == (3, 2, 8) and epochs.epoch_names[:2] == ["train", "validate"]
        assert epochs.epoch_units[0] == "s" and len(epochs.epoch_descriptions) == 8
        assert run.samples(0).parts().shape == (18, 2, 0) and run.samples(0).epochs().shape == (0, 2, 0)
        assert run.samples(0).layer_flops.size == 0


def test_arrays_behind_the_others_are_padded(tmp_path):
    path = write(tmp_path, [train(1e-2, 64, 0)])
    with h5py.File(path, "r+") as file:
        file["samples/0000/parts"].resize(10, axis=0)
    with load(path) as run:
        parts = run.samples(0).parts()
        assert parts.shape == (18, 2, 6) and np.isnan(parts[10:]).all() and np.isfinite(parts[:10]).all()
        assert run.samples(0).parts(slice(8, 12)).shape == (4, 2, 6)
        entry = look(run).nets.parts[0]
    assert entry.count == 2 * 7  # three of the ten are warm-ups
    assert entry.step_s == pytest.approx(1e-2) and entry.mean_s[2] == pytest.approx(3e-3)


def test_older_file_without_items_is_judged_by_its_flops(tmp_path):
    path = write(tmp_path, [train(1e-2, 64, 0)])
    with h5py.File(path, "r+") as file:
        table = file["cases"][()]
        names = [name for name in table.dtype.names if name != "items"]
        del file["cases"]
        file["cases"] = table[names]
    with load(path) as run:
        assert run.case(0)["items"] == 0
        row = look(run).cases.iloc[0]
    assert row["unit"] == "FLOP/s" and row["rate"] == pytest.approx(46228992 * 64 / 1e-2)


def test_images_per_second_and_flops(view):
    rows = view.nets.rows.set_index("case")
    assert rows.loc[PLAIN, "unit"] == "images/s" and rows.loc[PLAIN, "rate"] == pytest.approx(6400)
    assert rows.loc[PLAIN, "median_s"] == pytest.approx(1e-2)
    assert rows.loc[PLAIN, "flop_rate"] == pytest.approx(50e9)  # 5e8 FLOP in 10 ms
    assert rows.loc[PLAIN, "of_fma"] == pytest.approx(0.5) and rows.loc[PLAIN, "fma_case"] == 1
    assert rows.loc[ALONE, "rate"] == pytest.approx(64 / (8e-3 * 1.05))  # median of 8.0 and 8.8 ms
    assert rows.loc[ALONE, "slowest_rate"] == pytest.approx(64 / 8.8e-3)
    assert (rows.loc[ALONE, "slowest_rank"], rows.loc[ALONE, "occupancy"]) == (1, "alone")
    assert math.isnan(rows.loc[ALONE, "of_fma"])  # there is no bf16 roof
    assert rows["synthetic"].tolist() == [True, True, True, False, False, False, False]
    assert rows.loc[PLAIN, "p99_samples"] == 0 and math.isnan(rows.loc[PLAIN, "p99_s"])


def test_p99_is_one_of_the_samples(view, nets_file):
    row = view.nets.rows.set_index("case").loc[INFER]
    with load(nets_file) as run:
        values = np.sort(run.samples(INFER).seconds(measured=True).ravel())
    values = values[np.isfinite(values)]
    assert row["p99_samples"] == values.size == 30 and row["p99_s"] == values[29]  # ⌈0.99·30⌉ = 30
    samples = type("", (), {"column_pieces": lambda _: [slice(0, 2)]})()
    samples.seconds = lambda columns, measured: np.arange(1.0, 201.0).reshape(100, 2)
    assert nets.high_quantile(samples, 0.99) == (198.0, 200)


def test_roof_needs_launch_threads_type_and_a_passed_check(tmp_path):
    good = roofs()[1]
    cases = [
        CaseSpec("fma", 1e-2, flops=4e9, dtype="f64", role="roof"),
        CaseSpec("fma", 1e-2, flops=2e9, dtype="f32", role="roof", check_passed=0),
        CaseSpec("fma", 1e-2, flops=3e9, dtype="f32", role="roof", launch=1),
    ]
    step = train(1e-2, 64, 0, flops=5e8)
    rows = looked(write(tmp_path, cases + [step])).nets.rows
    assert rows["fma_case"].tolist() == [-1] and rows["of_fma"].isna().all()
    rows = looked(write(tmp_path, cases + [good, step])).nets.rows
    assert rows["fma_case"].tolist() == [3] and rows["of_fma"][0] == pytest.approx(0.5)
    path = write(tmp_path, [good, step])
    with h5py.File(path, "r+") as file:
        table = file["cases"][()]
        table["threads"][0] = 8
        file["cases"][...] = table
    assert looked(path).nets.rows["fma_case"].tolist() == [-1]


def test_parts_sum_to_the_step(view):
    entry = next(entry for entry in view.nets.parts if entry.case == PLAIN)
    np.testing.assert_allclose(entry.mean_s, [1e-3, 5e-4, 3e-3, 4e-3, 0, 1e-3])
    assert entry.step_s == pytest.approx(1e-2) and entry.rest_s == pytest.approx(5e-4)
    assert entry.count == 30
    alone = next(entry for entry in view.nets.parts if entry.case == ALONE)
    assert alone.step_s == pytest.approx(8.4e-3)
    assert alone.rank_step_s.tolist() == pytest.approx([8e-3, 8.8e-3])
    assert [len(group) for group in nets.part_groups(view.nets.parts)] == [6]


def test_parts_and_layers_are_per_repetition_and_weighted_by_samples(tmp_path):
    path = write(
        tmp_path, roofs() + [train(1e-3, 64, 0, repeats=4, layers=make_nets.layers(), roofs=[1, 2])]
    )
    with h5py.File(
        path, "r+"
    ) as file:  # rank 1 in five samples only, where it takes three times as long
        group = file["samples/0003"]
        group["phase"][8:, 1] = 255
        group["stop"][3:8, 1] = group["start"][3:8, 1] + 12_000_000
        group["parts"][3:8, 1, 2] = 6e-3
    found = looked(path).nets
    entry = found.parts[0]
    assert entry.rank_samples.tolist() == [15, 5] and entry.count == 20
    assert entry.step_s == pytest.approx((15 * 1e-3 + 5 * 3e-3) / 20)
    assert entry.mean_s[2] == pytest.approx((15 * 0.3e-3 + 5 * 1.5e-3) / 20)
    assert found.layers[0].table["mean_s"][0] == pytest.approx(0.2e-3)


def test_layers_against_hand_computed_bounds(view):
    (roofline,) = view.nets.layers
    assert roofline.case == PLAIN and roofline.fma_rate == pytest.approx(100e9)
    assert roofline.triad_rate == pytest.approx(10e9) and not roofline.missing
    table = roofline.table.set_index("piece")
    bn, conv, fc = (table.loc[f"{name} forward"] for name in ("bn1", "conv1", "fc1"))
    assert bn["mean_s"] == pytest.approx(3.2e-3) and bn["share"] == pytest.approx(0.32)
    assert (bn["bound"], bn["bound_s"]) == ("memory", pytest.approx(1e-3))
    assert bn["of_bound"] == pytest.approx(1 / 3.2) and bn["byte_rate"] == pytest.approx(3.125e9)
    assert math.isnan(bn["flop_rate"]) and math.isnan(bn["intensity"])
    assert (conv["bound"], conv["of_bound"]) == ("FLOP", pytest.approx(0.5))
    assert conv["flop_rate"] == pytest.approx(50e9) and conv["intensity"] == pytest.approx(100)
    assert (fc["bound"], fc["of_bound"]) == ("memory", pytest.approx(0.4))
    assert table.loc["relu1 forward", "of_bound"] == pytest.approx(2.0)
    assert table.loc["conv2 backward weights", "of_bound"] == pytest.approx(0.8)
    assert roofline.sentences == [
        "bn1 forward reaches 31 % of its memory bound (32.0 % of the step)",
        "fc1 forward reaches 40 % of its memory bound (10.0 % of the step)",
    ]  # conv1 is at 50 %: not below


def test_bound_is_of_the_rank_itself(tmp_path):
    cases = roofs()
    cases[2].slow = {1: 2.0}  # rank 1: 5 GB/s
    cases.append(train(1e-2, 64, 0, layers=make_nets.layers(), roofs=[1, 2]))
    (roofline,) = looked(write(tmp_path, cases)).nets.layers
    bn = roofline.table.set_index("piece").loc["bn1 forward"]
    assert bn["of_bound"] == pytest.approx((1 / 3.2 + 2 / 3.2) / 2)
    assert (bn["of_bound_worst"], bn["worst_rank"]) == (pytest.approx(1 / 3.2), 0)
    assert bn["bound_s"] == pytest.approx(1.5e-3)


@pytest.mark.parametrize(
    "kept, missing, bound", [([1], "triad", "FLOP"), ([2], "fma", "memory"), ([], "fma and triad", "")]
)
def test_layers_without_a_roof(tmp_path, capsys, kept, missing, bound):
    cases = [roofs()[i] for i in kept] + [train(1e-2, 64, 0, layers=make_nets.layers())]
    path = write(tmp_path, cases)
    (roofline,) = looked(path).nets.layers
    conv = roofline.table.set_index("piece").loc["conv1 forward"]
    assert roofline.missing == missing and conv["bound"] == bound
    assert math.isnan(conv["of_bound"]) == (not bound)
    text = printed(capsys, path, "--html", tmp_path / "p.html")
    assert f"Not measured in this launch with 4 threads: {missing}" in text
    assert "nan" not in re.findall(r'="[^"]*"', (tmp_path / "p.html").read_text()).__str__().lower()


def test_convolutions(view):
    conv = view.nets.conv.set_index("case")
    assert conv.loc[CONV, "shape"] == "N16 C3 224×224 K64 7×7 s2 p3"
    assert conv.loc[CONV, "rate"] == pytest.approx(50e9) and conv.loc[CONV, "share"] == pytest.approx(
        0.5
    )
    assert conv.loc[CONV + 2, "share"] == pytest.approx(1e9 / 0.06 / 100e9)
    assert not conv.loc[CONV + 5, "ok"] and math.isnan(conv.loc[CONV + 5, "rate"])
    (total,) = view.nets.conv_sums
    assert total.passes == {
        "forward": pytest.approx(0.06),
        "backward_data": pytest.approx(0.12),
        "backward_weights": pytest.approx(0.06),
    }
    assert total.done["backward_weights"] == 1 and total.total["backward_weights"] == 2
    assert total.total_s == pytest.approx(0.24)
    grid = nets.conv_grid(view.nets.conv)
    assert len(grid) == 2 and grid["complete"].tolist() == [True, False]
    twice = pd.concat([view.nets.conv, view.nets.conv], ignore_index=True)
    assert len(nets.conv_grid(twice)) == 4


def test_sums_of_convolutions_keep_algorithms_apart(tmp_path, capsys):
    cases = []
    for algorithm in ("direct", "winograd"):
        for case in make_nets.conv_cases()[:3]:
            cases.append(case)
            case.roofs, case.params["algorithm"] = [], algorithm
            case.seconds *= 1.0 if algorithm == "direct" else 0.5
    path = write(tmp_path, cases)
    sums = looked(path).nets.conv_sums
    assert [entry.algorithm for entry in sums] == ["direct", "winograd"]
    assert [entry.total_s for entry in sums] == pytest.approx([0.12, 0.06])
    assert all(list(entry.total.values()) == [1, 1, 1] for entry in sums)
    text = printed(capsys, path, "--html", tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    for words in ("deepbench training f32 4t direct", "deepbench training f32 4t winograd"):
        assert f"{words}, sum of times" in text and f"<td>{words}</td>" in page


def test_the_batch_in_effect_is_shown(tmp_path):
    """With scaling = strong the key `batch` stays at its default; the results say what a rank had."""
    params = {"model": "top-flight", "batch": 256, "scaling": "strong", "global_batch": 64}
    results = {"data": "synthetic", "batch": 32}
    cases = [train(1e-2, 32, 0, params=params, results=results), train(1e-2, 16, 0)]
    assert looked(write(tmp_path, cases)).nets.rows["batch"].tolist() == [32, 16]


def test_a_case_that_was_interrupted_and_measured_again_does_not_count(tmp_path, capsys):
    """Its samples are in the file, its status is "skipped" (docs/file-format.md)."""
    cases = roofs() + [train(1e-2, 64, 0, flops=5e8, layers=make_nets.layers())]
    cases += make_nets.conv_cases()[:1] + study_cases(counters=False)[:3]
    path = write(tmp_path, cases)
    with h5py.File(path, "r+") as file:
        table = file["cases"][()]
        table["status"][[1, 3, 4, 6]] = b"skipped"
        file["cases"][...] = table
    view = looked(path)
    rows = view.nets.rows.set_index("case")
    assert (rows["fma_case"] == -1).all()  # the roof is one of them
    assert rows["why"].tolist() == ["skipped", "", "skipped", ""] and not rows.loc[3, "ok"]
    assert view.nets.layers[0].label.endswith("(skipped)") and view.nets.layers[0].missing == "fma"
    assert view.nets.conv["median_s"].isna().all() and view.nets.conv_sums[0].done == {"forward": 0}
    (study,) = view.nets.studies
    assert study.rows["why"].tolist() == ["", "skipped", ""]
    assert study.rows["speedup"].isna().tolist() == [False, True, False]
    (tile,) = [tile for tile in view.tiles if tile.title.startswith("Training")]
    assert tile.value == "6000 images/s"  # the skipped step reached 6400
    text = printed(capsys, path, "--html", tmp_path / "p.html")
    assert "batch=128 skipped" in text and "K64 7×7 s2 p3 skipped" in text
    assert '<span class="pill bad">skipped</span>' in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_names_of_convolutions_and_networks():
    shape = dict(zip(units.CONV_SIZES, (1, 8, 7, 9, 16, 3, 1)))
    assert units.convolution(shape) == "N1 C8 7×9 K16 3×1"
    more = {"stride_h": 2, "stride_w": 1, "pad_bottom": 1, "groups": 4}
    assert units.convolution({**shape, **more}) == "N1 C8 7×9 K16 3×1 s2×1 p0,1,0,0 g4"
    assert units.convolution({"batch": 3}) == ""
    assert units.quantity(2713.4, "images/s") == "2713 images/s"
    assert units.quantity(999_400, "images/s") == "999400 images/s"
    assert units.quantity(1.2345e6, "images/s") == "1.234 M images/s"
    assert units.plus_minus(19.232, 0.222, "s") == "19.23 ± 0.22 s"
    assert units.plus_minus(7.0, 0.0123, "s") == "7.000 ± 0.012 s"
    assert units.plus_minus(10.0, math.nan, "s") == "10.00 s"
    assert units.counted(4.809e12) == "4.81 T" and units.counted(918) == "918"
