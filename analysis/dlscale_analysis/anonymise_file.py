# SPDX-License-Identifier: BSD-3-Clause
"""A copy of a run file without the names that anonymise.py replaces; its numbers and samples are the same."""

from __future__ import annotations

import json
import mmap
import os
import re
from typing import Any, Callable, Dict, List

import h5py
import numpy as np

from .anonymise import NAME, Pseudonyms
from .load import CASE_COLUMNS, LAUNCH_COLUMNS, RANK_COLUMNS, Run, RunFileError
from .places import writer_alive

Rewrite = Callable[[str], str]
KNOWN = {"cases": CASE_COLUMNS, "system/ranks": RANK_COLUMNS, "system/launches": LAUNCH_COLUMNS}


def write_anonymised(run: Run, out: str, names: Pseudonyms) -> None:
    """Copies the file of `run` to `out`, which must not exist. Before it is left there it is searched for
    every name that was replaced. Raises RunFileError, and then leaves nothing."""
    if run.status == "running" and writer_alive(run):
        raise RunFileError(
            f"{run.path}: the run goes on (its file grows while it is copied); "
            "anonymise it when it is over"
        )
    try:
        os.close(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError as error:
        raise RunFileError(f"{out}: the file exists and is not overwritten; name another") from error
    try:
        with h5py.File(out, "w", libver=("earliest", "v110")) as copy:
            _copy(run, copy, names)
        _search(out, run.path, names.originals)
    except BaseException:
        os.unlink(out)
        raise


def _copy(run: Run, copy: h5py.File, names: Pseudonyms) -> None:
    source = run.handle
    tables = _tables(names)
    texts: Dict[str, Rewrite] = {
        "input/job": names.job,
        "input/resolved": names.text,
        "input/command_line": names.command_line,
        "system/environment": lambda text: _json(text, names.environment, names),
    }
    for name, value in source.attrs.items():
        copy.attrs[name] = value
    copy.attrs["anonymised"] = np.int32(1)

    def visit(name: str, item: Any) -> None:
        if name in tables:
            _write(copy, name, item, _table(item[()], tables[name], KNOWN[name], names))
        elif name in texts:
            _write(copy, name, item, _texts(item[()], item.dtype, texts[name]))
        elif name == "samples" or name.startswith("samples/"):
            pass  # copied whole, below
        elif isinstance(item, h5py.Dataset):
            values = item[()]
            if item.dtype.kind in "SO":  # unknown to this version: as a text
                values = _texts(values, item.dtype, names.text)
            _write(copy, name, item, values)

    source.visititems(visit)
    if "samples" in source:
        source.copy("samples", copy)


def _tables(names: Pseudonyms) -> Dict[str, Dict[str, Rewrite]]:
    """Columns that hold names; those not listed are numbers or words of the program."""

    def hosts(text: str) -> str:
        return ",".join(names.name("host", host) for host in text.split(","))

    def objects(text: str) -> str:
        return _json(text, names.value, names)

    return {
        "cases": {
            **{column: names.text for column in ("message", "repro", "series", "role")},
            **{column: objects for column in ("params", "results")},
        },
        "system/ranks": {
            "host": lambda text: names.name("host", text),
            "device_uuid": lambda text: names.name("device", text),
            "switch": lambda text: names.name("switch", text),
        },
        "system/launches": {"hosts": hosts},
    }


def _json(text: str, rewrite: Callable[[Any], Any], names: Pseudonyms) -> str:
    """Rewritten member by member; a text that is no JSON as a text."""
    try:
        value = json.loads(text)
    except ValueError:
        return names.text(text)
    return (
        json.dumps(rewrite(value), ensure_ascii=False) if isinstance(value, dict) else names.text(text)
    )


def _decoded(value: Any) -> str:
    return (
        value.split(b"\0", 1)[0].decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    )


def _texts(values: Any, kind: np.dtype, rewrite: Rewrite) -> np.ndarray:
    """Fixed texts, as long as before or as long as they need to be."""
    array = np.asarray(values)
    encoded: List[bytes] = [rewrite(_decoded(value)).encode() for value in array.ravel().tolist()]
    longest = max([len(text) for text in encoded] + [kind.itemsize if kind.kind == "S" else 1])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", longest)).reshape(array.shape)


def _table(
    values: np.ndarray, columns: Dict[str, Rewrite], known: Dict[str, Any], names: Pseudonyms
) -> np.ndarray:
    """A compound array with these columns rewritten and, where needed, made wider; texts of later versions
    too."""
    later = [name for name in values.dtype.names if values.dtype[name].kind == "S" and name not in known]
    columns = {**columns, **{name: names.text for name in later}}
    changed = {
        name: _texts(values[name], values.dtype[name], rewrite)
        for name, rewrite in columns.items()
        if name in (values.dtype.names or ())
    }
    kind = np.dtype(
        [
            (name, changed[name].dtype if name in changed else values.dtype[name])
            for name in values.dtype.names
        ]
    )
    result = np.zeros(values.shape, dtype=kind)
    for name in values.dtype.names:
        result[name] = changed.get(name, values[name])
    if "pid" in values.dtype.names:
        result["pid"] = -1
    return result


def _write(copy: h5py.File, name: str, like: h5py.Dataset, values: Any) -> None:
    growing = like.maxshape != like.shape
    made = copy.create_dataset(
        name,
        data=values,
        maxshape=like.maxshape if growing else None,
        chunks=like.chunks if growing else None,
    )
    for attribute, value in like.attrs.items():
        made.attrs[attribute] = value


def _search(out: str, source: str, originals: List[str]) -> None:
    """Nothing of what was replaced is in the file."""
    with open(out, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for name in originals:
            if re.search(NAME.format(re.escape(name)).encode(), content):
                raise RunFileError(
                    f"{source}: {name!r} is still in the copy (in a place where no name is expected), "
                    "which was removed; share a report made with --anonymise, and report this"
                )
