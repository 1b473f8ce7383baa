# SPDX-License-Identifier: BSD-3-Clause
"""What ReFrame made of six runs: each ends in the phase and with the reason that it must.

usage: reframe_report.py FIRST SECOND   (folders of two sessions: report.json, stage/, output/)
"""

import json
import pathlib
import sys

from results import FOM, check, finish


def cases_of(folder):
    """{job name: test case} of a session's report; no report is no case."""
    report = pathlib.Path(folder, "report.json")
    if not report.is_file():
        return {}
    runs = json.loads(report.read_text(encoding="utf-8"))["runs"]
    return {pathlib.Path(case["jobfile"]).stem: case for run in runs for case in run["testcases"]}


def ended(name, case, result, phase, reason):
    if case is None:
        return check(f"reframe/{name}", False, "it is not in ReFrame's report")
    found = (case["result"], case.get("fail_phase") or "", case.get("fail_reason") or "")
    right = found[0] == result and found[1] == phase and all(part in found[2] for part in reason)
    return check(f"reframe/{name}", right, found)


first, second = cases_of(sys.argv[1]), cases_of(sys.argv[2])
ended("a good job passes", first.get("good"), "pass", "", [])
ended(
    "a missed requirement fails",
    first.get("missed"),
    "fail",
    "sanity",
    ["exit code 3", "performance was missed"],
)
ended(
    "a bad job fails with its message",
    first.get("bad"),
    "fail",
    "sanity",
    ["exit code 2", "unknown key 'mm'"],
)
ended("a wrong result fails", first.get("wrong"), "fail", "sanity", ["exit code 1", "FAIL"])
ended(
    "a missed reference fails",
    second.get("good"),
    "fail",
    "performance",
    ["gemm_m64_n64_k64_dtypef32_median"],
)
ended(
    "a reference without FOM fails",
    second.get("fast"),
    "fail",
    "sanity",
    ["no FOM", "gemm_m128_n128_k128"],
)

if "good" in first:
    outputs = list(pathlib.Path(sys.argv[1]).rglob("rfm_job.out"))
    text = [
        p.read_text(encoding="utf-8") for p in outputs if " PASS " in p.read_text(encoding="utf-8")
    ]
    expected = {
        n: (float(v), u) for n, v, u in FOM.findall(text[0] if text else "") if n != "exit_code"
    }
    values = first["good"].get("perfvalues") or {}
    found = {key.split(":")[-1]: (entry[0], entry[4]) for key, entry in values.items()}
    check(
        "reframe/every FOM is a performance variable",
        expected and found == expected,
        (found, expected),
    )
    kept = list(pathlib.Path(sys.argv[1], "output").rglob("run.h5"))
    check("reframe/the run file is kept", len(kept) == 1, kept)
finish()
