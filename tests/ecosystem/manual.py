# SPDX-License-Identifier: BSD-3-Clause
"""The manual page says what --help says: every option, its text, every exit code and every example.
The meanings of exit codes in ReFrame's tests are the same.

usage: manual.py HELP PAGE CHECKS   (plain text; packaging/reframe/dlscale_checks.py)
"""

import ast
import re
import sys

from results import check, finish


def squeezed(text):
    return " ".join(text.split())


help_text, page = (open(path, encoding="utf-8").read() for path in sys.argv[1:3])
page = squeezed(page)

# "  -o,--output FILE            The HDF5 file …", continued in column 30
entries = re.findall(
    r"^  ((?:-\w,)?--[a-z-]+|JOB)(?: (\S+))? {2,}(\S.*\n(?: {30}.*\n)*)", help_text, re.MULTILINE
)
check(
    "manual/options are found in --help", len(entries) >= 18, f"{len(entries)} in {help_text[:200]}"
)
for names, value, text in entries:
    wanted = (
        names.replace(",", ", ")
        + (f" {value}" if value and names != "JOB" else "")
        + " "
        + squeezed(text)
    )
    check(f"manual/{names}", wanted in page, f"'{wanted}' is not in the page")
listed = re.findall(r"--[a-z][a-z-]+", help_text.split("Exit codes")[0])
known = {name for names, _, _ in entries for name in names.split(",")}
check("manual/no option is overlooked", set(listed) <= known, set(listed) - known)

codes = squeezed(
    help_text[help_text.index("Exit codes:") + 11 : help_text.index("Examples:")]
).rstrip(".")
in_page = page[page.index("EXIT STATUS") : page.index("ENVIRONMENT")]
listed = re.findall(r"(128\+n|\d) ([^,]+)", codes)
check("manual/eight exit codes", len(listed) == 8, codes)
for code, meaning in listed:
    check(f"manual/exit code {code}", f"{code} {meaning}" in in_page, in_page)
examples = re.findall(r"^  (\S.*?) {2,}", help_text[help_text.index("Examples:") :], re.MULTILINE)
check("manual/examples are found in --help", len(examples) >= 3, help_text[-300:])
for example in examples:
    check(f"manual/example {example}", example in page, "it is not in the page")
tree = ast.parse(open(sys.argv[3], encoding="utf-8").read())
tables = [
    ast.literal_eval(node.value)
    for node in tree.body
    if isinstance(node, ast.Assign) and node.targets[0].id == "MEANING"
]
expected = {int(code): meaning for code, meaning in listed if code not in ("0", "128+n")}
check("manual/exit codes in ReFrame's tests", tables == [expected], tables)
finish()
