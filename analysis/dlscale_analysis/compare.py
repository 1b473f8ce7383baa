# SPDX-License-Identifier: BSD-3-Clause
"""dlscale-compare: is B faster or slower than A, case by case?

Exit codes, the first that applies: 2 files or options that can't be used, or nothing to compare; 1 a
case that counted in A failed in B; 3 a case is SLOWER (with --strict also UNSURE, or in A only, or not
comparable); 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import List, Optional, Set

from rich.console import Console

from .anonymise import Pseudonyms, hide_path, hide_run
from .commands import width
from .compare_cases import IDENTITY
from .compare_show import as_csv, as_json, print_comparison
from .compare_side import Comparison, compare
from .compare_stats import SLOWER, UNSURE
from .load import Run, RunFileError, load

BAD_INPUT, FAILED, MISSED = 2, 1, 3


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        a, b = _sides(options)
        with ExitStack() as files:
            runs = {path: files.enter_context(load(path)) for path in a + b}
            return _compare([runs[path] for path in a], [runs[path] for path in b], options)
    except RunFileError as error:
        print(f"dlscale-compare: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, RuntimeError) as error:
        print(f"dlscale-compare: {str(error).splitlines()[0]}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return BAD_INPUT


def _sides(options: argparse.Namespace) -> tuple:
    """Files of A and of B, each once."""
    a, b = list(options.runs), list(options.to)
    if not b:
        if len(a) != 2:
            raise RunFileError(
                f"{len(a)} file{'' if len(a) == 1 else 's'} and no --to (two sides are compared); "
                "give A.h5 B.h5, or A1.h5 A2.h5 … --to B1.h5 B2.h5 …"
            )
        a, b = a[:1], a[1:]
    seen: Set[str] = set()
    for path in a + b:
        real = os.path.realpath(path)
        if real in seen:
            raise RunFileError(f"{path} is given twice (a launch counts once); name different files")
        seen.add(real)
    return a, b


def _compare(a: List[Run], b: List[Run], options: argparse.Namespace) -> int:
    ignored = _ignored(a + b, options.ignore)
    if options.anonymise:
        names = Pseudonyms(a + b)
        for run in a + b:
            hide_run(run, names)
    found = compare(a, b, options.delta, options.confidence, ignored, options.only)
    if not found.rows and not found.failed_in_b:
        raise RunFileError(_nothing(found, options.only))
    if options.anonymise:
        for index, run in enumerate(a + b):
            hide_path(run, index)
    code = _exit_code(found, options.strict)
    _write(found, options, code)
    return code


def _nothing(found: Comparison, only: List[str]) -> str:
    """Why no case is compared."""
    if found.left_out:
        label, why = found.left_out[0]
        return f"no case can be compared ({label}: {why}); look at the runs with dlscale-report"
    if only and not found.lonely:
        return (
            f"no case can be compared (none matches --only {' '.join(only)}); "
            "look for names with dlscale-report"
        )
    return (
        "no case can be compared (A and B have none in common); workload, keys, type, ranks, "
        "threads, occupancy and placement must agree, or be named with --ignore"
    )


def _exit_code(found: Comparison, strict: bool) -> int:
    if found.failed_in_b:
        return FAILED
    unclear = found.count(UNSURE) or found.left_out or any(side == "A" for _, side in found.lonely)
    return MISSED if found.count(SLOWER) or (strict and unclear) else 0


def _write(found: Comparison, options: argparse.Namespace, code: int) -> None:
    texts = {"json": lambda: as_json(found, code), "csv": lambda: as_csv(found)}
    wanted = {kind: getattr(options, kind) for kind in texts if getattr(options, kind)}
    if "-" not in wanted.values():
        print_comparison(Console(width=options.width), found)
    for kind, path in wanted.items():
        if path == "-":
            sys.stdout.write(texts[kind]())
        else:
            Path(path).write_text(texts[kind](), encoding="utf-8")


def _ignored(runs: List[Run], names: List[str]) -> Set[str]:
    ignored = {name for text in names for name in text.split(",") if name}
    known = set(IDENTITY) - {"workload"} | {
        key for run in runs for params in run.cases["params"] for key in params
    }
    for name in sorted(ignored - known):
        raise RunFileError(
            f"--ignore {name}: no case has such a key; known are {', '.join(sorted(known))}"
        )
    return ignored


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dlscale-compare",
        usage="dlscale-compare A.h5 B.h5 [options]\n"
        "       dlscale-compare A1.h5 A2.h5 … --to B1.h5 B2.h5 … [options]",
        description="Says case by case whether B is FASTER or SLOWER than A, the SAME within ±δ, or "
        "whether that is UNSURE. A is what was before, B what is now. Several launches of each side, as "
        "files or in one resumed file, are what tells a difference from chance.",
        epilog="Exit codes, the first that applies: 2 bad input, 1 a case of A failed in B, 3 a case is "
        "SLOWER (--strict: or is not shown to be as fast), 0.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="A.h5",
        help="run files of side A; of two without --to the second is B",
    )
    parser.add_argument("--to", nargs="+", default=[], metavar="B.h5", help="run files of side B")
    parser.add_argument(
        "--delta",
        type=_share,
        default=0.03,
        metavar="D",
        help="a difference that does not matter (default 0.03 = 3 %%)",
    )
    parser.add_argument(
        "--confidence",
        type=_confidence,
        default=0.95,
        metavar="C",
        help="of each interval, and of all FASTER and SLOWER together (default 0.95)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit code 3 also for UNSURE, and for cases of A that can't be compared",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="cases whose name or workload matches; repeatable",
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="KEY,…",
        help="keys of a case that may differ, such as threads",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="also write everything as JSON; - for stdout and no table"
    )
    parser.add_argument(
        "--csv", metavar="FILE", help="also write a row per comparison; - for stdout and no table"
    )
    parser.add_argument(
        "--anonymise",
        action="store_true",
        help="replace names of hosts, users and files, paths and other identifiers",
    )
    parser.add_argument(
        "--width",
        type=width,
        metavar="N",
        help="columns to print in (default: the terminal's, or 80)",
    )
    return parser


def _share(text: str) -> float:
    return _between(text, 0.0, 1.0, "a share above 0 and below 1, as 0.03")


def _confidence(text: str) -> float:
    return _between(text, 0.5, 1.0, "a probability above 0.5 and below 1, as 0.95")


def _between(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = low
    if not low < value < high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


if __name__ == "__main__":
    sys.exit(main())
