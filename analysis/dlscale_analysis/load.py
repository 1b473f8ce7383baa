# SPDX-License-Identifier: BSD-3-Clause
"""The only reader of the run file's layout (docs/file-format.md); it never modifies a file.

A running file, one whose writer was killed, and a finished one are opened alike. Sample arrays are read when asked
for, and only the rows and columns asked for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

import h5py
import numpy as np
import pandas as pd

from .samples import Samples

SCHEMA_VERSION = 1  # the newest this reader understands

CASE_COLUMNS: Dict[str, Any] = {  # column → what it holds where a file lacks it
    "id": -1,
    "launch": 0,
    "order": 0,
    "series": "",
    "role": "",
    "workload": "",
    "variant": "",
    "device": "",
    "dtype": "",
    "occupancy": "",
    "placement": "",
    "ranks": 0,
    "threads": 0,
    "engine": "",
    "params": "",
    "flops": np.nan,
    "bytes_touched": np.nan,
    "bytes_sent": np.nan,
    "memory_bytes": np.nan,
    "items": 0.0,
    "status": "",
    "stop_reason": "",
    "blocks": 0,
    "samples": 0,
    "warmup": 0,
    "repeats": 0,
    "mode": "",
    "median_s": np.nan,
    "low_s": np.nan,
    "high_s": np.nan,
    "check_error": np.nan,
    "check_tolerance": np.nan,
    "check_passed": -1,
    "results": "",
    "message": "",
    "repro": "",
}
RANK_COLUMNS: Dict[str, Any] = {
    "launch": 0,
    "rank": 0,
    "host": "",
    "local_rank": 0,
    "pid": 0,
    "cpus": "",
    "threads": 0,
    "numa": -1,
    "device": "",
    "device_uuid": "",
    "memory_bytes": 0,
    "switch": "",
}
LAUNCH_COLUMNS: Dict[str, Any] = {"launch": 0, "started": "", "hosts": "", "reason": ""}
CLOCK_COLUMNS: Dict[str, Any] = {
    "launch": 0,
    "case": -1,
    "block": -1,
    "node": 0,
    "offset_ns": 0,
    "min_rtt_ns": 0,
    "error_ns": 0,
    "at_ns": 0,
}


class RunFileError(Exception):
    """A file that can't be used; the text is one sentence naming it."""


def load(path: Union[str, Path]) -> "Run":
    """Opens `path`; raises RunFileError with one sentence when it is no run file or is newer than this reader."""
    name = str(path)
    if Path(name).is_dir():
        raise RunFileError(f"{name}: this is a folder (run files are needed); give {name.rstrip('/')}/*.h5")
    if not Path(name).is_file():
        raise RunFileError(f"{name}: there is no such file")
    handle = _open(name)
    try:
        return Run(name, handle)
    except RunFileError:
        handle.close()
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        handle.close()
        raise RunFileError(
            f"{name}: the file is damaged or no dlscale run file ({_first_line(error)})"
        ) from error


class Run:
    """One run file. Tables are read at once, samples on demand; a context manager that closes the file."""

    def __init__(self, path: str, handle: h5py.File) -> None:
        self.path = path
        self._file = handle
        self._samples: Dict[int, Samples] = {}  # each looked at once, so that all see the same rows
        self.bars: Dict[int, Any] = {}  # what bars.read_bars() made of a case, or None
        self.attrs: Dict[str, Any] = {name: _plain(value) for name, value in handle.attrs.items()}
        version = self.attrs.get("schema_version")
        if not isinstance(version, int) or "cases" not in handle:
            raise RunFileError(
                f"{path}: this HDF5 file was not written by dlscale (no schema_version or no /cases)"
            )
        if version > SCHEMA_VERSION:
            raise RunFileError(
                f"{path}: schema_version {version} is newer than {SCHEMA_VERSION}, the newest this "
                "reader understands; use the analysis of the dlscale that wrote it"
            )
        self.status: str = self._text("status") or "unknown"
        self.job_text = self._text("input/job")
        self.resolved_text = self._text("input/resolved")
        self.command_line = self._text("input/command_line")
        self.cases = self._table("cases", CASE_COLUMNS)
        self.cases["params"] = [_json_object(text) for text in self.cases["params"]]
        self.cases["results"] = [_json_object(text) for text in self.cases["results"]]
        self.ranks = self._table("system/ranks", RANK_COLUMNS, outer="launch")
        self.ranks = self.ranks[self.ranks["host"] != ""].reset_index(
            drop=True
        )  # rows a smaller launch left empty
        self.launches = self._table("system/launches", LAUNCH_COLUMNS)
        self.clocks = self._table("system/clocks", CLOCK_COLUMNS)
        self.environment = self._environment()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The tables stay; samples are let go."""
        self._samples.clear()
        self._file.close()

    @property
    def handle(self) -> h5py.File:
        """The open file, for what copies it as a whole."""
        return self._file

    def case(self, case_id: int) -> pd.Series:
        """The row of /cases with this id."""
        rows = self.cases[self.cases["id"] == case_id]
        if rows.empty:
            raise KeyError(f"{self.path}: there is no case {case_id}")
        return rows.iloc[0]

    def hosts(self, launch: int) -> pd.Series:
        """Host of each rank in this launch, indexed by rank."""
        rows = self.ranks[self.ranks["launch"] == launch]
        return pd.Series(rows["host"].to_numpy(), index=rows["rank"].to_numpy(), dtype=object)

    def samples(self, case_id: int) -> Samples:
        """The samples of one case; empty (rows = 0) when none were written."""
        if case_id in self._samples:
            return self._samples[case_id]
        name = f"samples/{case_id:04d}"
        group = self._file[name] if name in self._file else None
        try:
            return self._samples.setdefault(case_id, Samples(case_id, group))
        except (OSError, RuntimeError) as error:
            raise RunFileError(
                f"{self.path}: the samples of case {case_id} can't be read " f"({_first_line(error)})"
            ) from error

    def tables(
        self, cases: Optional[Sequence[int]] = None, measured: bool = False, rows: int = 1_000_000
    ) -> Iterator[pd.DataFrame]:
        """Like table(), in pieces of about `rows` rows, so that any file fits in memory."""
        for case_id in self.cases["id"] if cases is None else cases:
            hosts = self.hosts(int(self.case(int(case_id))["launch"]))
            yield from self.samples(int(case_id)).frames(hosts, measured, rows)

    def table(self, cases: Optional[Sequence[int]] = None, measured: bool = False) -> pd.DataFrame:
        """One row per case, rank and sample: case, rank, host, sample, block, phase (0 warm-up, 1 measured), repeats,
        start_ns and stop_ns (since launch, local clock), seconds (per repetition). `cases` = ids, default all;
        `measured` leaves warm-ups out. Absent ranks have no row."""
        pieces = list(self.tables(cases, measured))
        return pd.concat(pieces, ignore_index=True) if pieces else Samples(-1, None).frame()

    def _text(self, name: str) -> str:
        return _plain(self._file[name][()]) if name in self._file else ""

    def _environment(self) -> List[Dict[str, Any]]:
        if "system/environment" not in self._file:
            return []
        texts = [_plain(text) for text in np.atleast_1d(self._file["system/environment"][()])]
        return [_json_object(text) or ({"text": text} if text.strip() else {}) for text in texts]

    def _table(self, name: str, columns: Dict[str, Any], outer: str = "") -> pd.DataFrame:
        """A compound dataset as a DataFrame; `outer` names the first of two dimensions. Missing columns get their
        default, further ones are kept."""
        data = self._file[name][()] if name in self._file else np.empty(0)
        data = np.atleast_1d(data)
        frame = pd.DataFrame({field: _column(data[field].ravel()) for field in data.dtype.names or ()})
        if outer and data.ndim == 2 and outer not in frame:
            frame[outer] = np.repeat(np.arange(data.shape[0]), data.shape[1])
        for column, default in columns.items():
            if column not in frame:
                frame[column] = pd.Series(
                    [default] * len(frame),
                    index=frame.index,
                    dtype=object if isinstance(default, str) else type(default),
                )
        return frame[list(columns) + [column for column in frame if column not in columns]]


def _open(path: str) -> h5py.File:
    """Plainly first, which checks that a finished file is whole (with SWMR reading HDF5 2.0 searches one that lost
    its end without end); the mark of a running or killed writer makes that fail, and then SWMR opens it. Without a
    lock, which a reader does not need and which would stand in the way of a resume."""
    reason: Exception = OSError("unknown")
    try:
        if not h5py.is_hdf5(path):
            raise RunFileError(f"{path}: this is not an HDF5 file")
    except OSError as error:
        raise RunFileError(f"{path}: the file can't be opened ({_first_line(error)})") from error
    for options in ({"locking": False}, {}, {"swmr": True, "locking": False}, {"swmr": True}):
        try:
            return h5py.File(path, "r", **options)
        except (TypeError, ValueError):  # an h5py or HDF5 without the locking switch
            continue
        except OSError as error:
            reason = error
            if "truncated" in str(error):
                break
    raise RunFileError(f"{path}: the file can't be opened ({_first_line(reason)})")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _plain(value: Any) -> Any:
    """Bytes as text, NUL padding removed; numpy scalars as Python's own."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.split(b"\0", 1)[0].decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def _column(values: np.ndarray) -> np.ndarray:
    """One field of a compound dataset: texts decoded, numbers as they are."""
    if values.dtype.kind in "SO":
        return np.array([_plain(value) for value in values.tolist()], dtype=object)
    return values.astype(values.dtype.newbyteorder("="))


def _json_object(text: str) -> Dict[str, Any]:
    """The object in `text`; empty when there is none (a text longer than its fixed size was cut)."""
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
