# SPDX-License-Identifier: BSD-3-Clause
"""What the commands share: an option, numbers for JSON."""

from __future__ import annotations

import argparse
import math
from typing import Any, Sequence


def width(text: str) -> int:
    """A number of columns, from the command line."""
    if not text.isdigit() or int(text) < 40:
        raise argparse.ArgumentTypeError(f"{text!r} is no width (a number of columns from 40 up)")
    return int(text)


def names(paths: Sequence[str]) -> str:
    """Files in a message: three of them, and how many more."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more


def for_json(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
