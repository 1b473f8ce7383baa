# SPDX-License-Identifier: BSD-3-Clause
"""The samples of one case, read piece by piece. Part of load.py: nobody else opens the file."""

from __future__ import annotations

from typing import Iterator, List, Optional, Tuple

import h5py
import numpy as np
import pandas as pd

WARM_UP, MEASURED, ABSENT = 0, 1, 255
PIECE = 4_000_000  # values read at once: some 200 MB with the work arrays
ARRAYS = ("start", "stop", "phase", "block", "repeats")


class Samples:
    """Arrays [sample, participant] of one case. `rows` is what all arrays have: of a batch that was being written
    when the file was opened, or cut off, the incomplete rows are left out."""

    def __init__(self, case_id: int, group: Optional[h5py.Group]) -> None:
        self.case = case_id
        self._group = group
        usable = group is not None and "start" in group and "stop" in group
        present = [group[name] for name in ARRAYS if name in group] if usable else []
        self.rows: int = min((array.shape[0] for array in present), default=0)
        self.participants: int = min((a.shape[1] for a in present if a.ndim == 2), default=0)
        self.ranks = np.arange(self.participants)  # world rank of each participant
        self.block = np.zeros(self.rows, dtype=np.int32)  # −1 before the first block
        self.repeats = np.ones(self.rows, dtype=np.int32)  # executions inside a sample
        if usable and "ranks" in group:
            self.ranks = group["ranks"][: self.participants].astype(int)
        if usable and "block" in group:
            self.block = group["block"][: self.rows]
        if usable and "repeats" in group:
            self.repeats = np.maximum(group["repeats"][: self.rows], 1)
        self.probe_names = self._names("probe_names")
        self.probe_units = self._names("probe_units")
        self.part_names = self._names("part_names")
        self.layer_names = self._names("layer_names")
        self.layer_flops = self._vector(
            "layer_flops", len(self.layer_names)
        )  # FLOP per repetition and rank
        self.layer_bytes = self._vector("layer_bytes", len(self.layer_names))  # B likewise
        self.bucket_bytes = (  # B of each gradient bucket
            group["bucket_bytes"][()].astype(float)
            if group is not None and "bucket_bytes" in group
            else np.empty(0)
        )
        self.epoch_names = self._names("epoch_names")
        self.epoch_units = self._names("epoch_units")
        self.epoch_descriptions = self._names("epoch_descriptions")

    def start_ns(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Nanoseconds since launch on the rank's own clock; −1 where the rank was absent."""
        return self._read("start", rows, columns)

    def stop_ns(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        return self._read("stop", rows, columns)

    def phase(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """0 warm-up, 1 measured, 255 absent."""
        if self._group is None or "phase" not in self._group:
            return np.where(self.start_ns(rows, columns) < 0, ABSENT, MEASURED).astype(np.uint8)
        return self._read("phase", rows, columns)

    def seconds(
        self, rows: slice = slice(None), columns: slice = slice(None), measured: bool = False
    ) -> np.ndarray:
        """Seconds per repetition; NaN where the rank was absent and, with `measured`, in warm-ups."""
        start, stop = self.start_ns(rows, columns), self.stop_ns(rows, columns)
        phase = self.phase(rows, columns)
        good = (start >= 0) & (stop >= start) & ((phase == MEASURED) if measured else (phase != ABSENT))
        return np.where(good, (stop - start) / (1e9 * self.repeats[rows, None]), np.nan)

    def probes(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """float64 [sample, participant, probe] in `probe_units`, in the order of `probe_names`."""
        return self._read_wide("probes", rows, columns)

    def buckets(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """float64 [sample, participant, bucket, 3]: when a gradient bucket was ready, when its reduction was entered and
        when it was done, in seconds from the rank's own start of the sample. No bucket where the case has none.
        """
        values = self._read_wide("buckets", rows, columns)
        return values if values.ndim == 4 else np.full(values.shape[:2] + (0, 3), np.nan)

    def parts(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """float64 [sample, participant, part] in seconds, in the order of `part_names`."""
        return self._read_wide("parts", rows, columns)

    def layers(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """float64 [sample, participant, layer] in seconds, in the order of `layer_names`."""
        return self._read_wide("layers", rows, columns)

    def partners(self) -> np.ndarray:
        """int32 [round, participant]: world rank of the partner, −1 = none. Without rows where the case has none."""
        if self._group is None or "partners" not in self._group:
            return np.full((0, self.participants), -1, dtype=np.int32)
        return self._group["partners"][:, : self.participants].astype(np.int32)

    def epochs(self) -> np.ndarray:
        """float64 [epoch, participant, column] in `epoch_units`, in the order of `epoch_names`; row i is measured
        block i. Without rows where the case has no epochs."""
        if self._group is None or "epochs" not in self._group:
            return np.full((0, self.participants, len(self.epoch_names)), np.nan)
        return self._group["epochs"][:, : self.participants].astype(float)

    def column_pieces(self) -> Iterator[slice]:
        """Slices of participants small enough to read with all their samples."""
        return _pieces(self.participants, self.rows)

    def row_pieces(self, values: int = PIECE) -> Iterator[slice]:
        """Slices of samples small enough to read with all their participants."""
        return _pieces(self.rows, self.participants, values)

    def frames(
        self, hosts: pd.Series, measured: bool = False, values: int = PIECE
    ) -> Iterator[pd.DataFrame]:
        """frame() in pieces of about `values` rows."""
        for rows in self.row_pieces(values):
            yield self.frame(hosts, measured, rows)

    def frame(
        self, hosts: Optional[pd.Series] = None, measured: bool = False, rows: slice = slice(None)
    ) -> pd.DataFrame:
        """One row per rank and sample; columns as in Run.table()."""
        indices = np.arange(self.rows)[rows]
        shape = (len(indices), self.participants)
        phase, seconds = self.phase(rows), self.seconds(rows)
        keep = (phase == MEASURED) if measured else (phase != ABSENT)
        host = np.array(
            [str(hosts.get(rank, "")) if hosts is not None else "" for rank in self.ranks], dtype=object
        )
        codes, names = pd.factorize(host)

        def per_row(values: np.ndarray) -> np.ndarray:
            return np.broadcast_to(np.asarray(values)[:, None], shape)[keep]

        def per_rank(values: np.ndarray) -> np.ndarray:
            return np.broadcast_to(np.asarray(values)[None, :], shape)[keep]

        return pd.DataFrame(
            {
                "case": np.full(int(keep.sum()), self.case),
                "rank": per_rank(self.ranks),
                "host": pd.Categorical.from_codes(per_rank(codes), categories=names),
                "sample": per_row(indices),
                "block": per_row(self.block[rows]),
                "phase": phase[keep],
                "repeats": per_row(self.repeats[rows]),
                "start_ns": self.start_ns(rows)[keep],
                "stop_ns": self.stop_ns(rows)[keep],
                "seconds": seconds[keep],
            }
        )

    def _names(self, name: str) -> List[str]:
        if self._group is None:
            return []
        values = self._group[name][()] if name in self._group else self._group.attrs.get(name, [])
        return [
            v.split(b"\0", 1)[0].decode("utf-8", "replace") if isinstance(v, bytes) else str(v)
            for v in np.atleast_1d(values).tolist()
        ]

    def _read(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        if self._group is None or name not in self._group:
            shape: Tuple[int, ...] = (
                len(range(*rows.indices(self.rows))),
                len(range(*columns.indices(self.participants))),
            )
            return np.full(shape, -1, dtype=np.int64)
        array = self._group[name]
        available = min(self.rows, array.shape[0])
        return array[slice(*rows.indices(available)), slice(*columns.indices(self.participants))]

    def _read_wide(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """An array with a third dimension: none of it where the case has no such array, NaN where it is behind the
        others, as in a file that is being written."""
        count = len(range(*rows.indices(self.rows)))
        width = len(range(*columns.indices(self.participants)))
        if self._group is None or name not in self._group:
            return np.full((count, width, 0), np.nan)
        array = self._read(name, rows, columns).astype(float)
        missing = np.full((count - array.shape[0],) + array.shape[1:], np.nan)
        return np.concatenate([array, missing]) if len(missing) else array

    def _vector(self, name: str, length: int) -> np.ndarray:
        """One number per layer; NaN where the file has none."""
        if self._group is None or name not in self._group:
            return np.full(length, np.nan)
        return self._group[name][:length].astype(float)


def _pieces(length: int, other: int, values: int = PIECE) -> Iterator[slice]:
    step = max(1, values // max(1, other))
    for first in range(0, length, step):
        yield slice(first, min(first + step, length))
