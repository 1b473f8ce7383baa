# SPDX-License-Identifier: BSD-3-Clause
"""dlscale-report: what a run file says, in the terminal, as one HTML page, as CSV.

Exit codes: 0; 2 for a file or an option that can't be used, with one sentence.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from typing import List, Optional

import numpy as np
from rich.console import Console
from rich.live import Live

from . import terminal
from .anonymise import Pseudonyms, hide_path, hide_run
from .commands import names, width
from .csvout import write_csv
from .load import Run, RunFileError, load
from .overview import Overview, look
from .places import writer_alive

POLL_S = 2.0
BAD_INPUT = 2
START_POLLS = 3  # polls a file may take to become readable


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(width=options.width)
    try:
        for path in options.runs if options.follow else []:
            follow(path, console)
        with ExitStack() as files:
            runs = [files.enter_context(load(path)) for path in options.runs]
            views = _look(runs, options)
            for view in views:
                terminal.print_run(console, view, options.verbose)
            _write(views, options, console)
    except RunFileError as error:
        print(f"dlscale-report: {error}", file=sys.stderr)
        return BAD_INPUT
    except (OSError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(
            f"dlscale-report: {names(options.runs)}: {str(error).splitlines()[0]}", file=sys.stderr
        )
        return BAD_INPUT
    except KeyboardInterrupt:
        return 130
    return 0


def _look(runs: List[Run], options: argparse.Namespace) -> List[Overview]:
    """What the reports show; with --anonymise without the names."""
    if options.anonymise_file and len(runs) != 1:
        raise RunFileError(f"--anonymise-file needs one run file ({len(runs)} are given); copy them one by one")
    names = Pseudonyms(runs) if options.anonymise or options.anonymise_file else None
    if options.anonymise_file:
        from .anonymise_file import write_anonymised

        write_anonymised(runs[0], options.anonymise_file, names)
    if not options.anonymise:
        return [look(run) for run in runs]
    for run in runs:
        hide_run(run, names)
    views = [look(run) for run in runs]
    for index, run in enumerate(runs):
        hide_path(run, index)
    return views


def follow(path: str, console: Console, poll_s: float = POLL_S) -> None:
    """Shows a running file's progress until its status leaves "running" or its writer is gone."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        last, misses = "", 0
        while True:
            try:
                run = load(path)
            except RunFileError:  # between a file's creation and its first flush it can't be read yet
                misses += 1
                if misses > START_POLLS or not os.path.isfile(path):
                    raise
                time.sleep(poll_s)
                continue
            with run:
                samples = sum(run.samples(int(case)).rows for case in run.cases["id"])
                shown = terminal.progress(
                    run.cases, samples, _seconds_since(str(run.attrs.get("started", "")))
                )
                status, alive = run.status, writer_alive(run)
            if status != "running":
                return
            if not alive:
                console.print(f"{path}: its writer is gone; this is what it left")
                return
            if console.is_terminal:
                live.update(shown, refresh=True)
            elif str(samples) != last:
                console.print(shown)
            last = str(samples)
            time.sleep(poll_s)


def _seconds_since(started: str) -> float:
    try:
        return (
            datetime.now(timezone.utc) - datetime.fromisoformat(started.replace("Z", "+00:00"))
        ).total_seconds()
    except (ValueError, TypeError):
        return float(np.nan)


def _write(views: List[Overview], options: argparse.Namespace, console: Console) -> None:
    """The files asked for."""
    if options.anonymise_file:
        console.print(f"\nwrote {options.anonymise_file}", highlight=False)
    if options.html:
        from .html import write_html

        size = write_html(options.html, views)
        console.print(f"\nwrote {options.html} ({size / 1e6:.1f} MB)", highlight=False)
    if options.csv:
        names = write_csv(options.csv, views)
        console.print(f"\nwrote {', '.join(names)} in {options.csv}", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dlscale-report",
        description="Shows what dlscale run files say: rates with their intervals, shares of the "
        "roofs, slow nodes and ranks, warnings.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN.h5", help="file of a finished, running or killed run"
    )
    parser.add_argument("--html", metavar="FILE", help="also write one self-contained HTML page")
    parser.add_argument(
        "--csv",
        metavar="DIR",
        help="also write cases.csv, slow.csv, samples.csv and the tables of networks and of scaling there",
    )
    parser.add_argument(
        "--follow", action="store_true", help="show the progress of a running file first, every 2 s"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show how long each launch took to start, not only a slow one"
    )
    parser.add_argument(
        "--anonymise",
        action="store_true",
        help="show no names of hosts, users, files, devices and jobs, but host-1, user-1 …",
    )
    parser.add_argument(
        "--anonymise-file", metavar="OUT.h5", help="also write a copy of the run file without these names"
    )
    parser.add_argument(
        "--width", type=width, metavar="N", help="columns to print in (default: the terminal's, or 80)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
