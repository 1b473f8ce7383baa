# SPDX-License-Identifier: BSD-3-Clause
"""Makes the package and the test helper importable from any folder."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.fixture(scope="session")
def small_file(tmp_path_factory):
    """Eight ranks on four hosts, ten cases, rank 3 slower by 12 % in all but the no-op."""
    from make_run import RunSpec, write_run

    path = tmp_path_factory.mktemp("run") / "small.h5"
    write_run(str(path), RunSpec(slow={3: 1.12}))
    return str(path)


@pytest.fixture(scope="session")
def nets_file(tmp_path_factory):
    """Two ranks, three blocks: roofs, training, inference, a study of four cases, convolutions."""
    from make_nets import nets_spec
    from make_run import write_run

    path = tmp_path_factory.mktemp("nets") / "nets.h5"
    write_run(str(path), nets_spec())
    return str(path)


@pytest.fixture(scope="session")
def view(nets_file):
    """nets_file as the reports see it."""
    from dlscale_analysis import load
    from dlscale_analysis.overview import look

    with load(nets_file) as run:
        yield look(run)


@pytest.fixture
def make(tmp_path):
    """Writes files to compare, compare_files.py."""
    from compare_files import maker

    return maker(tmp_path)
