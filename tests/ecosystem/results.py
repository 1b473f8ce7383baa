# SPDX-License-Identifier: BSD-3-Clause
"""Result lines as tests/lib.sh prints them."""

import re
import sys

FOM = re.compile(r"^FOM: (\S+) = (\S+) (\S+)$", re.MULTILINE)
failures = 0


def check(name, passed, why):
    """One line; `why` is what is to be seen when it failed."""
    global failures
    if passed:
        print(f"ok {name}")
    else:
        failures += 1
        print(f"FAILED {name}: {' '.join(str(why).split())[:300]}")


def finish():
    sys.exit(1 if failures else 0)
