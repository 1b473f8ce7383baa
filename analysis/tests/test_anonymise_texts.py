# SPDX-License-Identifier: BSD-3-Clause
"""What is taken for a name inside a text, and what is not."""

import pytest

from dlscale_analysis import load
from dlscale_analysis.anonymise import Pseudonyms
from make_run import RunSpec, write_run


def test_names_are_the_same_in_all_files_of_a_call(tmp_path):
    for name in ("a", "b"):
        write_run(str(tmp_path / f"{name}.h5"), RunSpec(hosts=3 if name == "a" else 5))
    with load(tmp_path / "a.h5") as a, load(tmp_path / "b.h5") as b:
        names = Pseudonyms([b, a])
        assert [names.name("host", f"n{index}") for index in range(5)] == [
            f"host-{index + 1}" for index in range(5)
        ]
        assert names.text("n1 and n4, not n7") == "host-2 and host-5, not n7"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("images/s, error / tolerance, 2/3", "images/s, error / tolerance, 2/3"),
        ("gemm m=512 n1=512 n=512", "gemm m=512 n1=512 n=512"),  # a key that is named like a host
        ("look at /system/environment", "look at /system/environment"),
        ("-I/opt/x -L/usr/lib", "-I/path-1 -L/usr/lib"),
        ("/users/anna/x.h5", "/path-1.h5"),  # not a folder of the system, though it begins as one
        (
            "n1: 12:30:45, std::string, 0-3,8, {0:4}:8:4",
            "host-2: 12:30:45, std::string, 0-3,8, {0:4}:8:4",
        ),
        ("10.0.0.1:80, fe80::1, 4.1.4", "address-1:80, address-2, 4.1.4"),
        ("~/x, ~anna/y and ~otto, but ~3", "/path-1 /path-2 and /path-3, but ~3"),
        (
            'data = "anna/cifar" data=anna/cifar --output=anna/r.h5',
            'data = "/path-1" data=/path-1 --output=/path-2.h5',
        ),
        ("", ""),
    ],
)
def test_texts(small_file, text, expected):
    with load(small_file) as run:
        assert Pseudonyms([run]).text(text) == expected
