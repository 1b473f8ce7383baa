# SPDX-License-Identifier: BSD-3-Clause
"""Run files without the names of hosts, users, paths, devices and jobs: host-1, user-1, /path-1, device-1, job-1 …

Names get their number in the order in which they are met, so that they stay apart, and the same in all files
of one call. Variables of Slurm are hidden unless they are known to be harmless. Hardware, versions, settings
and numbers stay: they are what the file is for.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from pathlib import PurePosixPath
from typing import Any, Dict, Iterable, List, Pattern, Sequence, Tuple

from .casestats import RATE_KINDS
from .compare_facts import launcher_made
from .load import Run

HIDDEN = "hidden"
# Folders of every system, and HDF5 paths that messages name.
PUBLIC = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/proc",
    "/sys",
    "/dev",
    "/etc",
    "/system",
    "/cases",
    "/samples",
    "/input",
)
SAFE_SLURM = re.compile(
    r"SLURM_(JOB_)?(NTASKS.*|NPROCS|NNODES|NUM_NODES|CPUS_.*|TASKS_PER_NODE|STEP_NUM_\w+|"
    r"STEP_TASKS_PER_NODE|THREADS_PER_CORE|MEM_PER_\w+|GPUS(_PER_\w+|_ON_NODE)?|LOCALID|PROCID|NODEID|"
    r"CPU_BIND(_TYPE|_VERBOSE)?|DISTRIBUTION)"
)
NUMERIC_LEAST = 5  # digits of a number that is taken for a job's id inside a text
WORD_LEAST = 2  # characters of a name that is looked for inside a text
PROGRAM_WORDS = {"dlscale", "root", *RATE_KINDS}  # never taken for a name inside a text
SECRET_LEAST = 6  # bytes of a name for which a written file is searched
NAME = r"(?<![A-Za-z0-9]){}(?![A-Za-z0-9=])"  # as a word, also between _ - . /; not the key in "m=512"
# Not the slash of "images/s", but that of "-I/opt/include".
PATH = re.compile(
    r"(?:(?<![\w.~/])|(?<=\s-[A-Za-z])|(?<=^-[A-Za-z]))"
    r"(?:(?:~[\w.-]*)?/[\w.+@%~,=#-]+(?:/[\w.+@%~,=#-]*)*|~[A-Za-z][\w.-]*)"
)
# Files given without a leading slash, where they are known to be files: as an option, in a job, in a case.
FILE = re.compile(r"(?<![\w.])((?:data|list|output|resume)\s*=\s*\"?)([^\s\"=/~][^\s\"=]*/[^\s\"=]*)")
FORMS: Tuple[Tuple[str, Pattern[str]], ...] = (
    (
        "device",
        re.compile(r"\b(?:GPU-|MIG-)?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    ),
    ("pci", re.compile(r"\b(?:[0-9a-fA-F]{4,8}:)[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]\b")),
    ("mac", re.compile(r"\b(?:[0-9a-fA-F]{2}:){5,19}[0-9a-fA-F]{2}\b")),
    ("mail", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
)
ADDRESS = re.compile(
    r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*[0-9a-fA-F])"
    r"(?![\w.])"
)
HOME = re.compile(r"(?:^|[\s=:'\"])/(?:home|users?|Users|u)/(?:[a-z]/)?([^/\s:'\"]+)")
COMMENT = re.compile(r"""^((?:[^"'#\n]|"(?:\\.|[^"\\])*"|'[^']*')*)#.*$""", re.MULTILINE)


class Pseudonyms:
    """What every name becomes. Built from all runs of a call before the first is rewritten."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._known: Dict[str, Dict[str, str]] = {}  # kind → original → pseudonym
        self._stems: List[str] = []
        for run in runs:
            self._collect(run)
        words = {name: new for names in self._known.values() for name, new in names.items()}
        self._words = {
            name: new
            for name, new in words.items()
            if len(name) >= (NUMERIC_LEAST if name.isdigit() else WORD_LEAST)
            and name not in PROGRAM_WORDS
        }
        longest = sorted(self._words, key=len, reverse=True)
        self._pattern = (
            re.compile(NAME.format(f"(?:{'|'.join(map(re.escape, longest))})")) if longest else None
        )
        # "node[001-004,007]", as Slurm writes lists of hosts
        stems = sorted({stem for stem in self._stems if len(stem) > 1}, key=len, reverse=True)
        self._lists = (
            re.compile(rf"(?:{'|'.join(map(re.escape, stems))})\[[\d,-]+\]\S*") if stems else None
        )

    def name(self, kind: str, original: str) -> str:
        """ "host-3": the pseudonym of `original`, new if it was not met before; empty stays empty."""
        if not original.strip():
            return original
        names = self._known.setdefault(kind, {})
        return names.setdefault(original, f"{kind}-{len(set(names.values())) + 1}")

    def text(self, text: str) -> str:
        """`text` with all that identifies replaced."""
        if self._lists:
            text = self._lists.sub(lambda found: self.name("hosts", found.group()), text)
        text = FILE.sub(lambda found: found.group(1) + self.path(f"/relative/{found.group(2)}"), text)
        text = PATH.sub(lambda found: self.path(found.group()), text)
        for kind, form in FORMS:
            text = form.sub(lambda found, kind=kind: self.name(kind, found.group()), text)
        text = ADDRESS.sub(lambda found: self._address(found.group()), text)
        return (
            self._pattern.sub(lambda found: self._words[found.group()], text) if self._pattern else text
        )

    def path(self, path: str) -> str:
        """Folders of every system and names of libraries stay."""
        if any(path == folder or path.startswith(folder + "/") for folder in PUBLIC):
            return path
        if re.fullmatch(r"/path-\d+(\.h5|\.toml)?", path):  # replaced already
            return path
        pure = PurePosixPath(path.rstrip("/"))
        if ".so" in pure.name:
            return f"/{self.name('path', str(pure.parent))}/{pure.name}"
        return f"/{self.name('path', str(pure))}{pure.suffix if pure.suffix in ('.h5', '.toml') else ''}"

    def value(self, value: Any, key: str = "") -> Any:
        """Texts inside JSON; keys stay. A text that begins as a path is one, blanks included."""
        if isinstance(value, dict):
            return {name: self.value(entry, str(name)) for name, entry in value.items()}
        if isinstance(value, list):
            return [self.value(entry, key) for entry in value]
        if not isinstance(value, str) or key in ("version", "build_id", "git_hash"):
            return value
        if re.match(r"~?/\S", value) and " " in value and ":" not in value:
            return self.path(value)
        if key in ("data", "list") and "/" in value and not value.startswith(("/", "~")):
            return self.path(f"/relative/{value}")
        return self.text(value)

    def arguments(self, arguments: Iterable[str]) -> List[str]:
        """A command line: files and folders are names also where they are relative."""
        result = []
        for argument in arguments:
            plain = not argument.startswith("-") and " " not in argument and "=" not in argument
            if plain and ("/" in argument or argument.endswith((".h5", ".toml"))):
                result.append(
                    self.path(argument if argument.startswith(("/", "~")) else f"/relative/{argument}")
                )
            else:
                result.append(self.text(argument))
        return result

    def command_line(self, text: str) -> str:
        try:
            words = shlex.split(text)
        except ValueError:
            words = text.split()
        return " ".join(self.arguments(words))

    def job(self, text: str) -> str:
        """A job file without its comments."""
        return self.text(COMMENT.sub(r"\1", text))

    def environment(self, facts: Dict[str, Any]) -> Dict[str, Any]:
        """/system/environment of one launch."""
        result = {}
        for key, value in facts.items():
            if key == "slurm" and isinstance(value, dict):
                result[key] = {
                    name: self.text(str(entry)) if SAFE_SLURM.fullmatch(name) else HIDDEN
                    for name, entry in value.items()
                }
            elif key == "variables" and isinstance(value, dict):
                result[key] = {
                    name: HIDDEN if launcher_made(name) else self.value(entry, name)
                    for name, entry in value.items()
                }
            elif key == "command_line":
                result[key] = (
                    self.arguments(map(str, value))
                    if isinstance(value, list)
                    else self.command_line(str(value))
                )
            else:
                result[key] = self.value(value, key)
        return result

    @property
    def originals(self) -> List[str]:
        """The names replaced that are long enough to be looked for in a file."""
        return [
            name
            for names in self._known.values()
            for name in names
            if len(name.encode()) >= SECRET_LEAST
        ]

    def _address(self, text: str) -> str:
        """Of IPv4 or IPv6; anything else with dots or colons stays."""
        try:
            ipaddress.ip_address(text)
        except ValueError:
            return text
        return self.name("address", text)

    def _collect(self, run: Run) -> None:
        """Names from the fields that hold nothing else."""
        for host in [
            *run.ranks["host"],
            *(name for names in run.launches["hosts"] for name in names.split(",")),
        ]:
            self._host(str(host))
        for kind, column in (("device", "device_uuid"), ("switch", "switch")):
            for value in run.ranks[column]:
                self.name(kind, str(value))
        for facts in run.environment:
            self._host(str(facts.get("host", "")))
            slurm = facts.get("slurm", {})
            for name, value in slurm.items() if isinstance(slurm, dict) else ():
                self._slurm(name, str(value))
            for user in HOME.findall(_all_text(facts)):
                self.name("user", user)
        for text in (
            run.command_line,
            run.job_text,
            run.resolved_text,
            *run.cases["message"],
            *run.cases["repro"],
        ):
            for user in HOME.findall(f" {text}"):
                self.name("user", user)

    def _host(self, host: str) -> None:
        """The full name and the short one are the same host; its domain has a name of its own."""
        short, _, domain = host.partition(".")
        new = self.name("host", short)
        if domain:
            self._known["host"][host] = new
            self.name("domain", domain)
        self._stems.append(short.rstrip("0123456789"))

    def _slurm(self, name: str, value: str) -> None:
        kinds = {
            "JOB_ID": "job",
            "JOBID": "job",
            "USER": "user",
            "ACCOUNT": "account",
            "CLUSTER_NAME": "cluster",
        }
        kinds.update(SUBMIT_HOST="host", NODENAME="host")
        for ending in sorted(kinds, key=len, reverse=True):
            if name.endswith(f"_{ending}"):
                if kinds[ending] == "host":
                    self._host(value)
                else:
                    self.name(kinds[ending], value)
                return


def _all_text(value: Any) -> str:
    """All texts inside JSON, blanks between."""
    if isinstance(value, dict):
        return " ".join(map(_all_text, value.values()))
    if isinstance(value, list):
        return " ".join(map(_all_text, value))
    return f" {value}"


def hide_run(run: Run, names: Pseudonyms) -> None:
    """Rewrites all texts of `run` but its path, which the reports still need."""
    for kind, column in (("host", "host"), ("device", "device_uuid"), ("switch", "switch")):
        run.ranks[column] = [names.name(kind, str(value)) for value in run.ranks[column]]
    run.launches["hosts"] = [
        ",".join(names.name("host", host) for host in str(hosts).split(","))
        for hosts in run.launches["hosts"]
    ]
    for column in ("message", "repro", "series", "role"):
        run.cases[column] = [names.text(str(text)) for text in run.cases[column]]
    for column in ("params", "results"):
        run.cases[column] = [names.value(value) for value in run.cases[column]]
    run.environment = [names.environment(facts) for facts in run.environment]
    run.command_line = names.command_line(run.command_line)
    run.job_text, run.resolved_text = names.job(run.job_text), names.text(run.resolved_text)


def hide_path(run: Run, index: int) -> None:
    """After the last use of the path as one."""
    run.path = f"run-{index + 1}.h5"
