# SPDX-License-Identifier: BSD-3-Clause
"""One self-contained HTML page: style, drawings and text inline, nothing fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from . import figures, timeline, units
from .casestats import CaseStats, usable
from .net_html import nets_section
from .overview import Overview, harness_shares
from .scale_html import scaling_section
from .slow_remarks import METHOD, nobody, sentence, since
from .summary import target_interval

SLOWEST = 20  # ranks listed per run
RANKS = 64  # rows of the ranks table
WORST_HOSTS = 12  # shown when there are more than
HOSTS = 32  # rows of the table of hosts
HOST_CASES = 14  # its columns


def write_html(path: str, views: List[Overview]) -> int:
    """Writes the page and returns its size in bytes."""
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(here)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        quantity=units.quantity,
        percent=units.percent,
        signed=units.signed_percent,
        plural=units.plural,
        gib=units.gibibytes,
    )
    nets, scaling = (any(getattr(view, name) for view in views) for name in ("nets", "scaling"))
    sheets = ["report.css"] + (["nets.css"] if nets or scaling else [])
    sheets += ["scaling.css"] if scaling else []
    text = environment.get_template("report.html.j2").render(
        style=Markup("".join((here / sheet).read_text(encoding="utf-8") for sheet in sheets)),
        span=units.span,
        sections=[section(view, index) for index, view in enumerate(views)],
    )
    data = text.encode("utf-8")
    Path(path).write_bytes(data)
    return len(data)


def section(view: Overview, index: int) -> Dict[str, Any]:
    """What the template shows of one run."""
    run, cases = view.run, view.cases
    network = set(cases.loc[cases["workload"].isin(figures.NETWORK), "case"])
    drawn = list(view.stats.values())
    noop = [stats for stats in view.stats.values() if run.case(stats.id)["workload"] == "noop"]
    return {
        "anchor": f"run{index}",
        "view": view,
        "run": run,
        "name": Path(run.path).name,
        "cases": [row for _, row in cases.iterrows()],
        "problems": [row for _, row in cases.iterrows() if not usable(row)],
        "target": target_interval(run),
        "bars": [
            (title, Markup(text))
            for title, text in (
                ("Arithmetic", figures.rate_bars(view, "FLOP/s")),
                ("Memory", figures.rate_bars(view, "B/s")),
                ("Training and inference", figures.rate_bars(view, units.IMAGES)),
            )
            if text
        ],
        "nets": nets_section(view),
        "scaling": scaling_section(view),
        "strips": Markup(figures.rank_strips(view)),
        "many": len(run.ranks) > figures.MANY_RANKS,
        "slowest": slowest_rows(view),
        "hosts": host_table(view),
        "samples": [_samples(view, stats) for stats in drawn if stats.id not in network],
        "network_samples": [_samples(view, stats) for stats in drawn if stats.id in network],
        "noop": [
            (
                stats,
                cases.loc[cases["case"] == stats.id].iloc[0],
                Markup(figures.noop_ranks(view, stats)),
            )
            for stats in noop
        ],
        "harness": harness_shares(cases)[:3],
        "slow": [
            (sentence(entry), [*entry.details, since(entry, view.slow.launches)])
            for entry in view.slow.named
        ],
        "slow_method": METHOD,
        "nobody": nobody(view.slow),
        "clocks": Markup(figures.clock_drift(run.clocks)),
        "clock_rows": clock_rows(run.clocks),
        "environment": [json.dumps(facts, indent=2, ensure_ascii=False) for facts in run.environment],
        "facts": [facts_of(facts) for facts in run.environment],
        "ranks": [row for _, row in run.ranks.head(RANKS).iterrows()],
        "rank_count": len(run.ranks),
    }


def _samples(view: Overview, stats: CaseStats) -> tuple:
    """Id, label, drawing and row of one case."""
    row = view.cases.loc[view.cases["case"] == stats.id].iloc[0]
    alone = row["occupancy"] == "alone"
    return stats.id, row["label"], Markup(timeline.sample_figure(stats, row["label"], alone)), row


def slowest_rows(view: Overview) -> List[Dict[str, Any]]:
    """The ranks slowest over all per-rank cases, by the median of their deviations; named ones are marked."""
    columns = [
        pd.Series(figures.deviations(stats), index=stats.ranks) for stats in figures.comparable(view)
    ]
    if not columns:
        return []
    table = pd.concat(columns, axis=1)
    order = table.median(axis=1).sort_values(ascending=False).head(SLOWEST)
    named = {rank for entry in view.slow.named for rank in entry.ranks}
    hosts = (
        view.run.hosts(int(view.run.ranks["launch"].max()))
        if len(view.run.ranks)
        else pd.Series(dtype=object)
    )
    return [
        {
            "rank": int(rank),
            "host": str(hosts.get(rank, "?")),
            "median": float(value),
            "largest": float(table.loc[rank].max()),
            "cases": int(table.loc[rank].notna().sum()),
            "named": rank in named,
        }
        for rank, value in order.items()
    ]


def host_table(view: Overview) -> Dict[str, Any]:
    """Hosts against cases: the median deviation of the host's ranks. The most deviating hosts come first when there
    are more than fit."""
    shown = figures.comparable(view)
    if not shown or view.run.ranks["host"].nunique() < 2:
        return {}
    table = pd.DataFrame(
        {stats.id: pd.Series(figures.deviations(stats)).groupby(stats.hosts).median() for stats in shown}
    )
    total = len(table)
    if total > HOSTS:
        table = table.loc[table.median(axis=1).sort_values(ascending=False).index[:WORST_HOSTS]]
    kept = list(table.columns[:HOST_CASES])
    labels = view.cases.set_index("case")["label"]
    rows = [(host, [(value, heat(value)) for value in table.loc[host, kept]]) for host in table.index]
    return {
        "cases": [(case, labels[case]) for case in kept],
        "rows": rows,
        "total": total,
        "more_cases": len(table.columns) - len(kept),
    }


def heat(value: float) -> str:
    """Class of a cell: slower in three steps, faster in three, else none."""
    if not np.isfinite(value):
        return "none"
    step = sum(round(abs(value), 3) >= limit for limit in (0.01, 0.03, 0.10))
    return f"{'slower' if value > 0 else 'faster'}{step}" if step else "quiet"


def clock_rows(clocks: pd.DataFrame) -> List[Dict[str, Any]]:
    """Per node: offset, its drift in parts per million, the error; those that drift most."""
    rows = []
    for (launch, node), lines in clocks.groupby(["launch", "node"]):
        lines = lines.sort_values("at_ns")
        took = float(lines["at_ns"].iloc[-1] - lines["at_ns"].iloc[0])
        moved = float(lines["offset_ns"].iloc[-1] - lines["offset_ns"].iloc[0])
        rows.append(
            {
                "launch": launch,
                "node": node,
                "count": len(lines),
                "offset_s": lines["offset_ns"].iloc[0] / 1e9,
                "moved_s": moved / 1e9,
                "ppm": 1e6 * moved / took if took > 0 else float("nan"),
                "rtt_s": lines["min_rtt_ns"].median() / 1e9,
                "error_s": lines["error_ns"].max() / 1e9,
            }
        )
    return sorted(rows, key=lambda entry: -abs(entry["moved_s"]))[:12]


def facts_of(facts: Dict[str, Any]) -> List[tuple]:
    """The environment's short entries as pairs of a dotted name and a text."""
    pairs: List[tuple] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), entry)
        elif isinstance(value, list):
            pairs.append((prefix, ", ".join(map(str, value))))
        else:
            pairs.append((prefix, str(value)))

    walk("", facts)
    return [(name, text if len(text) <= 160 else text[:160] + " …") for name, text in pairs]
