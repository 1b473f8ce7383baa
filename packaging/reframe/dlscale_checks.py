# SPDX-License-Identifier: BSD-3-Clause
"""ReFrame tests of dlscale: exit code and verdict decide, every FOM line is a performance variable.

    reframe -C settings.py -c dlscale_checks.py --system example:cpu -r -n dlscale_job

Variables, set with -S: jobfile, program, options (commas between), references (a YAML file), and
ReFrame's own such as num_tasks.
docs/ecosystem.md has the rest.
"""

import math
import os
import re
import shlex

import reframe as rfm
import reframe.utility.sanity as sn
import reframe.utility.typecheck as typ
import yaml
from reframe.core.builtins import parameter, run_after, run_before, sanity_function, variable
from reframe.core.exceptions import ReframeError, SanityError

FOM = re.compile(r"^FOM: (\S+) = (\S+) (\S+)$", re.MULTILINE)
# docs/metrics.md, "Exit codes"
MEANING = {
    1: "a case or its check failed",
    2: "bad command line or job",
    3: "a required performance was missed",
    4: "mis-launch or device refused",
    5: "output can't be written",
    6: "a rank did not arrive",
}


def read_foms(text):
    """{name: (value, unit)} of the FOM lines in `text`; a name that comes twice is an error."""
    foms = {}
    for name, value, unit in FOM.findall(text):
        if name in foms:
            raise SanityError(f"the FOM {name} appears twice")
        foms[name] = (float(value), unit)
    return foms


def why_no_verdict(errors, code):
    """The program's own sentence, else the end of stderr: then the code is the launcher's."""
    lines = [line for line in errors.splitlines() if re.search(r"\w", line)]
    own = [
        line
        for line in lines
        if line.startswith("dlscale: ") and not line.startswith("dlscale: warning: ")
    ]
    if own:
        return f"exit code {code} ({MEANING.get(code, 'unknown')}): {own[-1]}"
    return f"exit code {code}, {'stderr ends with: ' + lines[-1] if lines else 'nothing on stderr'}"


class DlscaleCheck(rfm.RunOnlyRegressionTest):
    """One job of dlscale. Derive from it for tests of a site's own."""

    #: a job file, or the name of one of dlscale's own
    jobfile = variable(str, value="scaling-quick")
    program = variable(str, value=os.environ.get("DLSCALE", "dlscale"))
    options = variable(typ.List[str], value=[])
    #: YAML: {system[:partition]: {job: {FOM: [value, lower, upper, unit]}}}; bounds are fractions
    references = variable(str, value=os.path.join(os.path.dirname(__file__), "references.yaml"))

    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    num_tasks = 2
    sourcesdir = None
    keep_files = ["run.h5"]

    @property
    def job_name(self):
        return os.path.splitext(os.path.basename(self.jobfile))[0]

    @run_before("run")
    def command(self):
        # The test runs in its stage folder; files are named from here.
        job = os.path.abspath(self.jobfile) if os.path.exists(self.jobfile) else self.jobfile
        self.executable = os.path.abspath(self.program) if os.sep in self.program else self.program
        self.executable_opts = [
            shlex.quote(o) for o in (job, "-o", "run.h5", "--quiet", *self.options)
        ]
        self.prerun_cmds = ["export DLSCALE_LAUNCH_NS=$(date +%s%N)"]

    @run_before("run")
    def read_references(self):
        """Those of this job on this system; an entry of system:partition wins over the system's."""
        self.expected = {}
        if not self.references:
            return
        try:
            with open(self.references, encoding="utf-8") as file:
                known = yaml.safe_load(file) or {}
        except (OSError, yaml.YAMLError) as error:
            raise ReframeError(f"references {self.references} can't be read ({error})") from error
        system, partition = self.current_system.name, self.current_partition.fullname
        self.expected = {
            **((known.get(system) or {}).get(self.job_name) or {}),
            **((known.get(partition) or {}).get(self.job_name) or {}),
        }
        for name, entry in self.expected.items():
            try:
                value, lower, upper, unit = entry
                # YAML reads 1e9 as a text
                bounds = (None if bound is None else float(bound) for bound in (lower, upper))
                self.expected[name] = (float(value), *bounds, str(unit))
            except (TypeError, ValueError) as error:
                raise ReframeError(
                    f"{name} in {self.references} is no [value, lower, upper, unit]"
                ) from error
        self.reference = {partition: dict(self.expected)}

    @sanity_function
    def passed(self):
        """Exit code 0 by program and launcher, verdict PASS, a number for all that is referenced."""
        out, errors = sn.evaluate(self.stdout), sn.evaluate(self.stderr)
        with open(out, encoding="utf-8") as file:
            text = file.read()
        foms = read_foms(text)
        code = self.job.exitcode  # None where the scheduler doesn't tell
        if "exit_code" not in foms:
            with open(errors, encoding="utf-8") as file:
                raise SanityError(f"no verdict, {why_no_verdict(file.read(), code)}")
        own = int(foms["exit_code"][0])
        verdict = re.search(r"^verdict .*$", text, re.MULTILINE)
        if own != 0 or not verdict or " PASS " not in verdict.group():
            raise SanityError(
                f"exit code {own} ({MEANING.get(own, 'unknown')}): {verdict and verdict.group()}"
            )
        if code not in (0, None):
            raise SanityError(
                f"dlscale ended with 0, the job with {code}: see the launcher's messages"
            )
        for name, (value, unit) in foms.items():
            if not math.isfinite(value):
                raise SanityError(f"the FOM {name} is {value}")
            if name in self.expected and self.expected[name][3] != unit:
                raise SanityError(
                    f"the FOM {name} is in {unit}, its reference in {self.expected[name][3]}"
                )
        missing = sorted(set(self.expected) - set(foms))
        if missing:
            raise SanityError(
                f"no FOM for the reference {', '.join(missing)}: other options or ranks than then?"
            )
        return True

    @run_before("performance")
    def performance_from_foms(self):
        with open(os.path.join(self.stagedir, sn.evaluate(self.stdout)), encoding="utf-8") as file:
            foms = read_foms(file.read())
        self.perf_variables = {
            name: sn.make_performance_function(sn.defer(value), unit)
            for name, (value, unit) in foms.items()
            if name != "exit_code"
        }


@rfm.simple_test
class dlscale_suite(DlscaleCheck):
    """Jobs of dlscale's own that make sense on any machine."""

    descr = "dlscale: how ranks work together, all-reduce, sustained GEMM"
    tags = {"dlscale"}
    preset = parameter(["scaling-quick", "allreduce-sizes", "acceptance-gemm"])

    @run_after("init")
    def choose(self):
        self.jobfile = self.preset


@rfm.simple_test
class dlscale_job(DlscaleCheck):
    """The job that is asked for: -S jobfile=my.toml, or several: -P jobfile=a.toml,b.toml"""

    descr = "dlscale: one job"
