# SPDX-License-Identifier: BSD-3-Clause
"""Runs the functions test_NAME of a test script and prints one line each, as tests/all.sh counts them."""
import time
import traceback


class Wrong(Exception):
    """A test found a fault."""


class Skipped(Exception):
    """A test can't be run here; says why."""


def expect(condition, text):
    if not condition:
        raise Wrong(text)


def run_named(functions, prefix, chosen=()):
    """`ok PREFIX/NAME`, `FAILED …`, `SKIPPED …` for each test_NAME in `functions`, or those chosen; 1 if one failed. What a
    test returns is shown beside its time."""
    tests = {name[5:]: test for name, test in functions.items() if name.startswith("test_")}
    failed = 0
    for name in chosen or tests:
        begin = time.monotonic()
        try:
            said = tests[name]()
            print(f"ok {prefix}/{name} ({time.monotonic() - begin:.0f} s{f': {said}' if said else ''})", flush=True)
        except Skipped as reason:
            print(f"SKIPPED {prefix}/{name}: {reason}", flush=True)
        except Wrong as wrong:
            failed += 1
            print(f"FAILED {prefix}/{name}: {wrong}", flush=True)
        except Exception:  # noqa: BLE001 - a broken test is a failed test
            failed += 1
            print(f"FAILED {prefix}/{name}: {traceback.format_exc().splitlines()[-1]}", flush=True)
            traceback.print_exc()
    return 1 if failed else 0
