# SPDX-License-Identifier: BSD-3-Clause
"""What JUBE made of two runs: verdicts, and one row per FOM line with its value and unit.

usage: jube_tables.py FOLDER   (of one benchmark run: 000000_run/, result/)
"""

import csv
import pathlib
import sys

from results import FOM, check, finish

folder = pathlib.Path(sys.argv[1])
try:
    with open(folder / "result" / "foms.dat", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    verdicts = (folder / "result" / "verdicts.dat").read_text(encoding="utf-8")
except OSError as error:
    check("jube/tables", False, error)
    finish()

found = {
    (row["fom"], float(row["value"]), row["unit"])
    for row in rows
    if row["job"].endswith("/good.toml")
}
text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*_good.toml.2.out"))
expected = {(name, float(value), unit) for name, value, unit in FOM.findall(text)}
check("jube/one row per FOM line", expected and found == expected, (found, expected))
cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in verdicts.splitlines()]
good = [cell for cell in cells if cell[0].endswith("/good.toml")]
check("jube/verdict of a good job", [c[1:] for c in good] == [["2", "PASS", "0"]], verdicts)
missed = [cell for cell in cells if cell[0].endswith("/missed.toml")]
check(
    "jube/verdict of a missed requirement",
    [c[1:] for c in missed] == [["2", "FAIL", "3"]],
    verdicts,
)
errors = [path.parent.name for path in folder.glob("*_run/error")]
check("jube/a run that fails is marked", len(errors) == 1, errors)
finish()
