# SPDX-License-Identifier: BSD-3-Clause
"""Nothing that names a host, a user, a path, a device or a job is left in any output or in the anonymised file."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from dlscale_analysis import compare, load, report
from make_run import CaseSpec, RunSpec, default_cases, write_run

HOSTS = [f"jupiter-a{index:03d}.hpc.example.org" for index in range(4)]
UUIDS = [f"GPU-8a3f1c2e-0b1d-4f6a-9c3e-5d7e9f1a2b{index:02x}" for index in range(8)]
ENVIRONMENT = {
    "build": {
        "compiler": "GCC 12.2.0",
        "flags": "-O3 -I/opt/sitestack/include -L/p/project/deepthought/lib",
        "type": "Release",
    },
    "blas": {"library": "/p/software/jupitersite/openblas/lib/libopenblas.so.0", "core": "Haswell"},
    "mpi": {"version": "Open MPI v4.1.4, 4.1.4"},
    "cpu": {"model": "Example 9000", "cores": 32},
    "host": HOSTS[0],
    "clock": {"source": "tsc"},
    "command_line": [
        "/home/amueller/dlscale/build/dlscale",
        "results/amueller/run.h5",
        "-o",
        "/p/scratch/deepthought/out dir/r.h5",
    ],
    "libraries": [
        {"path": "/usr/lib/x86_64-linux-gnu/libm.so.6", "version": "6", "build_id": "ab12"},
        {"path": "/p/software/jupitersite/libfoo.so.1.2", "version": "1.2", "build_id": "cd34"},
    ],
    "slurm": {
        "SLURM_JOB_ID": "18812345",
        "SLURM_JOB_USER": "amueller",
        "SLURM_JOB_ACCOUNT": "deepthought",
        "SLURM_CLUSTER_NAME": "jupitercluster",
        "SLURM_JOB_NODELIST": "jupiter-a[000-003]",
        "SLURM_JOB_NAME": "secretname",
        "SLURM_SUBMIT_DIR": "/home/amueller/secret project",
        "SLURM_SUBMIT_HOST": "login07.hpc.example.org",
        "SLURM_NTASKS": "8",
        "SLURM_CPUS_PER_TASK": "4",
    },
    "variables": {
        "OMP_NUM_THREADS": "4",
        "LD_LIBRARY_PATH": "/p/software/jupitersite/lib:/home/amueller/lib",
        "OMPI_MCA_orte_hnp_uri": "3123.0;tcp://10.11.12.13:4567",
        "UCX_NET_DEVICES": "mlx5_0:1",
        "NCCL_SOCKET_IFNAME": "ib0",
        "TMPDIR": "/tmp/amueller-18812345",
    },
    "warnings": [
        f"{HOSTS[2]} has another kernel; 10.11.12.14 and fd00:1::2 answer",
        "0c:42:a1:00:11:22 at 0000:3b:00.0 is slow",
        "look at jupiter-a[000,002], or write to amueller@example.org",
    ],
}
JOB = """# by Anna
[run]
name = "test # no comment"  # for amueller
[[case]]
data = "/p/scratch/deepthought/cifar"
"""
SECRETS = [
    *(
        "jupiter",
        "example.org",
        "amueller",
        "deepthought",
        "18812345",
        "secretname",
        "secret project",
        "sitestack",
    ),
    *(
        "10.11.12",
        "fd00:1",
        "0c:42:a1",
        "3b:00.0",
        "8a3f1c2e",
        "login07",
        "isw-17",
        "scratch",
        "out dir",
        "Anna",
    ),
]
KEPT = [
    "Example 9000",
    "GCC 12.2.0",
    "libopenblas.so.0",
    "libfoo.so.1.2",
    "/usr/lib/x86_64-linux-gnu/libm.so.6",
    "Open MPI v4.1.4",
]


def secret_cases():
    """Those of make_run, with names in all texts that may hold some."""
    cases = default_cases()
    cases[8].message = (
        f"the check failed on rank 2 (host {HOSTS[1]}, uuid {UUIDS[2]}); see /home/amueller/log.txt"
    )
    cases[9].message = "needs 96.0 GiB per rank on jupiter-a001"
    cases[7].params["data"] = "/p/scratch/deepthought/cifar"
    cases[7].results = {"path": "/p/scratch/deepthought/cifar", "note": "read by amueller"}
    cases.append(
        CaseSpec(
            "train",
            0.02,
            items=16.0,
            dtype="f32",
            params={"model": "vgg", "batch": 16},
            series="amueller-1",
        )
    )
    return cases


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("secret") / "run-18812345.h5"
    write_run(str(path), RunSpec(cases=secret_cases(), text=ENVIRONMENT, slow={3: 1.12}))
    with h5py.File(path, "r+") as file:
        ranks = file["system/ranks"][()]
        for rank in range(8):
            ranks[0, rank]["host"] = HOSTS[rank // 2].encode()
            ranks[0, rank]["device_uuid"] = UUIDS[rank].encode()
            ranks[0, rank]["switch"] = b"isw-17"
        file["system/ranks"][...] = ranks
        launches = file["system/launches"][()]
        launches["hosts"] = ",".join(HOSTS).encode()
        file["system/launches"][...] = launches
        file["input/job"][...] = np.array(JOB.encode(), dtype="S4096")
        line = b"/home/amueller/build/dlscale jobs/anna.toml -o '/p/scratch/deepthought/out dir/r.h5'"
        file["input/command_line"][...] = np.array(line, dtype="S1024")
        file["cases"].attrs["unit"] = "flops=FLOP"
    return str(path)


def assert_clean(text, where):
    for secret in SECRETS:
        assert secret.lower() not in text.lower(), f"{secret!r} is in {where}: …{_around(text, secret)}…"


def _around(text, secret):
    at = text.lower().index(secret.lower())
    return text[max(0, at - 60) : at + 60]


def test_the_file_is_full_of_names(secret_file, tmp_path, capsys):
    """The searches below find what is there when nothing is hidden."""
    report.main([secret_file, "--html", str(tmp_path / "p.html"), "--csv", str(tmp_path / "t")])
    whole = capsys.readouterr().out + (tmp_path / "p.html").read_text(encoding="utf-8")
    missing = [secret for secret in SECRETS if secret.lower() not in whole.lower()]
    assert missing == []


def test_reports_show_no_names(secret_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        report.main([secret_file, "--anonymise", "--html", "p.html", "--csv", "t", "--width", "100"])
        == 0
    )
    outputs = {"the terminal": capsys.readouterr().out}
    for path in [Path("p.html"), *Path("t").iterdir()]:
        outputs[path.name] = path.read_text(encoding="utf-8")
    assert len(outputs) > 10
    for where, text in outputs.items():
        assert_clean(text, where)
    for kept in KEPT:
        assert kept in outputs["p.html"], kept
    assert "rank 3 (host host-2)" in outputs["the terminal"] and "run-1.h5" in outputs["samples.csv"]
    assert 'name = "test # no comment"' in outputs["p.html"].replace("&#34;", '"')


def test_compared_runs_show_no_names(secret_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run("amueller.h5", RunSpec(seed=5, cases=secret_cases()))
    code = compare.main(
        [secret_file, "amueller.h5", "--anonymise", "--json", "c.json", "--csv", "c.csv"]
    )
    assert code == 0
    for where, text in {
        "terminal": capsys.readouterr().out,
        **{n: Path(n).read_text("utf-8") for n in ("c.json", "c.csv")},
    }.items():
        assert_clean(text, where)
    names = [entry["name"] for entry in json.loads(Path("c.json").read_text("utf-8"))["differences"]]
    assert "hosts" in names  # the two sides keep names of their own


def test_the_copy_has_no_names_and_all_numbers(secret_file, tmp_path, capsys):
    out = tmp_path / "anonymous.h5"
    assert report.main([secret_file, "--anonymise-file", str(out)]) == 0
    assert_clean(out.read_bytes().decode("latin-1"), "the copy")
    with h5py.File(secret_file, "r") as before, h5py.File(out, "r") as after:
        names = []
        before.visit(names.append)
        assert all(name in after for name in names) and after.attrs["anonymised"] == 1
        for name in names:
            if name.startswith("samples/") and isinstance(before[name], h5py.Dataset):
                np.testing.assert_array_equal(before[name][()], after[name][()])
        assert dict(before["cases"].attrs) == dict(after["cases"].attrs)
        assert after["cases"].maxshape == before["cases"].maxshape
        for column in before["cases"].dtype.names:
            if column not in ("message", "params", "results", "series", "repro"):
                np.testing.assert_array_equal(before["cases"][column], after["cases"][column])
        assert after["cases"][5]["params"] == before["cases"][5]["params"]
        assert (
            len(set(after["system/ranks"]["host"][0])) == 4
            and (after["system/ranks"]["pid"] == -1).all()
        )
    with load(secret_file) as before, load(out) as after:
        assert before.cases["params"][4] == after.cases["params"][4]
        assert after.environment[0]["slurm"]["SLURM_NTASKS"] == "8"
        assert after.environment[0]["slurm"]["SLURM_JOB_NAME"] == "hidden"
        assert after.environment[0]["variables"]["OMP_NUM_THREADS"] == "4"
        assert after.environment[0]["variables"]["UCX_NET_DEVICES"] == "mlx5_0:1"
        assert before.table([5], measured=True)["seconds"].equals(
            after.table([5], measured=True)["seconds"]
        )
    capsys.readouterr()
    assert report.main([str(out)]) == 0 and "rank 3 (host host-2)" in capsys.readouterr().out


def test_the_copy_keeps_the_golden_types(tmp_path):
    """Texts stay UTF-8 of a fixed size, and grow where a new name is longer."""
    path, out = tmp_path / "short.h5", tmp_path / "out.h5"
    write_run(str(path), RunSpec(hosts=300, ranks_per_host=1, cases=[CaseSpec("noop", 1e-7)]))
    with h5py.File(path, "r+") as file:
        hosts = file["system/launches"]["hosts"][0]
        del file["system/launches"]
        kind = np.dtype(
            [("launch", "<i4"), ("started", "S32"), ("hosts", f"S{len(hosts)}"), ("reason", "S16")]
        )
        file["system/launches"] = np.array([(0, b"2024-05-01T08:30:00Z", hosts, b"first")], dtype=kind)
    assert report.main([str(path), "--anonymise-file", str(out)]) == 0
    with h5py.File(out, "r") as file:
        names = file["system/launches"]["hosts"][0].decode().split(",")
        assert names == [f"host-{index + 1}" for index in range(300)]
        assert h5py.check_string_dtype(file["system/environment"].dtype).encoding == "utf-8"


def test_bad_input(secret_file, tmp_path, capsys):
    out = tmp_path / "there.h5"
    out.write_text("precious")
    for arguments, word in (
        ([secret_file, "--anonymise-file", str(out)], "is not overwritten"),
        (
            [secret_file, secret_file, "--anonymise-file", str(tmp_path / "n.h5")],
            "needs one run file",
        ),
        ([secret_file, "--anonymise-file", str(tmp_path / "no" / "n.h5")], "No such file"),
    ):
        assert report.main(arguments) == 2
        message = capsys.readouterr().err
        assert word in message and message.count("\n") == 1, message
    assert out.read_text() == "precious"


def test_a_name_in_an_unexpected_place_removes_the_copy(secret_file, tmp_path, capsys):
    odd, out = tmp_path / "odd.h5", tmp_path / "out.h5"
    odd.write_bytes(Path(secret_file).read_bytes())
    with h5py.File(odd, "r+") as file:
        file["samples/0001"].attrs["note"] = f"on {HOSTS[0]}"
    assert report.main([str(odd), "--anonymise-file", str(out)]) == 2
    assert "is still in the copy" in capsys.readouterr().err and not out.exists()
