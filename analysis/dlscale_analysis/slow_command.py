# SPDX-License-Identifier: BSD-3-Clause
"""dlscale-slow: which nodes are slow, why, since when, and what to exclude.

Exit codes: 0 nobody is named; 3 somebody is; 2 for a file or an option that can't be used, with one sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import textwrap
from dataclasses import asdict
from typing import Any, Dict, List, Optional

from .casestats import read_cases
from .commands import for_json, names, width
from .load import Run, RunFileError, load
from .slow import Record, judge_file, put_together
from .slow_remarks import METHOD, lines, nobody
from .slow_verdict import Verdict
from .units import plural

NAMED, BAD_INPUT = 3, 2
JSON_FIELDS = (
    "level name host rank cause pattern excess bound unit cases launches since since_run exclude details by"
).split()


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        verdict = look(options.runs)
        text = json.dumps(as_json(verdict), indent=2, ensure_ascii=False) if options.json else ""
        print(text or "\n".join(as_text(verdict, options.width or _columns())), flush=True)
    except RunFileError as error:
        print(f"dlscale-slow: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, RuntimeError) as error:
        print(f"dlscale-slow: {names(options.runs)}: {str(error).splitlines()[0]}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return 130
    return NAMED if verdict.named else 0


def look(paths: List[str]) -> Verdict:
    """Reads the files, each once, and judges them together."""
    unique = list({os.path.realpath(path): path for path in paths}.values())
    runs: List[Run] = []
    records: List[Record] = []
    for number, path in enumerate(unique):  # one open at a time: there may be more than a process may open
        with load(path) as run:
            records += judge_file(number, run, read_cases(run))
            runs.append(run)
    return put_together(runs, records)


def as_json(verdict: Verdict) -> Dict[str, Any]:
    """The object that `--json` prints."""
    named = [
        {name: for_json(value) for name, value in asdict(entry).items() if name in JSON_FIELDS}
        for entry in verdict.named
    ]
    return {
        "named": named,
        "exclude": verdict.exclude,
        "tested": {
            "launches": verdict.launches,
            "nodes": verdict.nodes,
            "ranks": verdict.ranks,
            "tests": verdict.tested,
        },
        "not_judged": verdict.remarks,
        "method": METHOD,
    }


def as_text(verdict: Verdict, columns: int) -> List[str]:
    """Lines of at most this many columns."""
    sizes = ((verdict.nodes, "node"), (verdict.ranks, "rank"), (verdict.launches, "launch"))
    nodes, ranks, launches = (plural(count, what) for count, what in sizes)
    text = [f"{nodes}, up to {ranks}, {launches}; {plural(verdict.tests, 'comparison')}"]
    text += lines(verdict) or [nobody(verdict)]
    if verdict.exclude:
        text.append(f"proposal: --exclude={verdict.exclude}")
    text += ["note: " + remark for remark in verdict.remarks]
    wrapped: List[str] = []
    for line in text:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        wrapped += textwrap.wrap(line, columns, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return wrapped


def _columns() -> int:
    return min(100, shutil.get_terminal_size((80, 24)).columns)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dlscale-slow",
        description="Names slow switches, nodes, devices and ranks with the cause, and proposes an --exclude= list "
        "for those on which two launches agree. Give several files to see since when.",
        epilog="exit codes: 0 nobody is named, 3 somebody is, 2 bad input",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN.h5", help="files of runs, in any order")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--width", type=width, metavar="N", help="columns to print in (default: the terminal's, or 80)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
