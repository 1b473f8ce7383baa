# SPDX-License-Identifier: BSD-3-Clause
"""Reading, judging and showing dlscale run files. `load.py` is the only reader of the file's layout."""

from .load import Run, RunFileError, Samples, load

__all__ = ["Run", "RunFileError", "Samples", "load"]
