# SPDX-License-Identifier: BSD-3-Clause
"""The Spack package and the Apptainer definition, held against the tree; neither tool is run.

usage: recipes.py ROOT
"""

import contextlib
import pathlib
import re
import subprocess
import sys
import types

from results import check, finish

root = pathlib.Path(sys.argv[1])


def text_of(name):
    return (root / name).read_text(encoding="utf-8")


def read_spack_package():
    """Runs package.py against stand-ins for Spack's directives; the class, and what it declared."""
    declared = {"depends_on": [], "variant": [], "version": []}
    module = types.ModuleType("spack.package")

    def recorder(kind):
        return lambda *args, **keywords: declared.setdefault(kind, []).append((args, keywords))

    class CMakePackage:
        def define(self, name, value):
            return f"-D{name}={value}"

        def define_from_variant(self, name, variant):
            return f"-D{name}=<{variant}>"

    names = {"CMakePackage": CMakePackage, "Executable": lambda path: None}
    names |= {
        kind: recorder(kind)
        for kind in ("depends_on", "variant", "version", "license", "conflicts", "generator")
    }
    names["when"] = lambda condition: contextlib.nullcontext()
    names["run_after"] = lambda phase: lambda function: function
    names["on_package_attributes"] = lambda **keywords: lambda function: function
    vars(module).update(names)
    module.__all__ = list(names)
    sys.modules["spack"] = types.ModuleType("spack")
    sys.modules["spack.package"] = module
    scope = {}
    exec(compile(text_of("packaging/spack/package.py"), "package.py", "exec"), scope)
    return scope["Dlscale"], declared


class Spec(dict):
    """Stands for a concrete spec in cmake_args."""

    def __missing__(self, name):
        libs = types.SimpleNamespace(joined=lambda separator: f"lib{name}.so")
        return types.SimpleNamespace(prefix=f"/{name}", libs=libs)

    def satisfies(self, condition):
        return True


package, declared = read_spack_package()
cmake = text_of("CMakeLists.txt") + text_of("cmake/DlscaleDependencies.cmake")
needs = {re.split(r"[@~ +]", args[0])[0]: args[0] for args, _ in declared["depends_on"]}

version = re.search(r"project\(dlscale VERSION (\S+)", cmake).group(1)
check("recipes/spack version", declared["version"][0][0] == (version,), declared["version"])
minimum = re.search(r"cmake_minimum_required\(VERSION (\S+)\)", cmake).group(1)
check("recipes/spack CMake", needs.get("cmake") == f"cmake@{minimum}:", needs.get("cmake"))
check("recipes/spack HDF5 is serial", needs.get("hdf5") == "hdf5@1.10:~mpi", needs.get("hdf5"))

# The table "What it needs" of INSTALL.md, by Spack's names.
wanted = (
    "mpi hdf5 blas scalapack onednn zlib-api hwloc tomlplusplus cli11 fmt nlohmann-json catch2 "
    "cmake ninja pkgconfig "
    "python py-h5py py-numpy py-pandas py-rich py-jinja2"
)
check(
    "recipes/spack names what INSTALL.md names",
    set(wanted.split()) <= set(needs),
    set(wanted.split()) - set(needs),
)
install = text_of("INSTALL.md")
for name, floor in (
    ("hwloc", "≥ 2"),
    ("fmt", "fmt ≥ 9"),
    ("tomlplusplus", "toml++ ≥ 3.3"),
    ("python", "Python ≥ 3.9"),
):
    number = floor.rsplit(" ", 1)[1]
    check(
        f"recipes/spack {name} as in INSTALL.md",
        floor in install and needs.get(name) == f"{name}@{number}:",
        f"{floor} against {needs.get(name)}",
    )

recipe = package()
recipe.spec, recipe.run_tests = Spec(), True
for argument in recipe.cmake_args():
    name = argument[2:].split("=")[0]
    check(
        f"recipes/spack sets {name}",
        name in cmake or name == "HDF5_ROOT",
        "CMakeLists.txt does not know it",
    )


def sections(definition):
    """{name: lines} of an Apptainer definition; "" is its header."""
    found, name = {"": []}, ""
    for line in definition.splitlines():
        if line.startswith("%"):
            name = line[1:].strip()
            check(f"recipes/apptainer %{name} is there once", name not in found, line)
            found[name] = []
        elif line.strip() and not line.lstrip().startswith("#"):
            found[name].append(line.strip())
    return found


parts = sections(text_of("packaging/apptainer/dlscale.def"))
check("recipes/apptainer base", parts[""] == ["Bootstrap: docker", "From: debian:12"], parts[""])
copied = [line.split() for line in parts["files"]]
gone = [pair for pair in copied if len(pair) != 2 or not (root / pair[0]).exists()]
check("recipes/apptainer files exist", copied and not gone, gone)
sources = {pair[0] for pair in copied if len(pair) == 2}
needed = {"CMakeLists.txt", "CMakePresets.json", "src", "cmake"} | set(
    re.findall(
        r"\$\{PROJECT_SOURCE_DIR\}/(jobs|slurm|analysis|packaging)", text_of("src/CMakeLists.txt")
    )
)
check("recipes/apptainer takes what is built and installed", needed <= sources, needed - sources)
# Each step is one of INSTALL.md, more flags aside.
steps = [line for line in parts["post"] if re.match(r"(bash|cmake) ", line)]
documented = {" ".join(line.split("#")[0].split()) for line in install.splitlines()}
strange = [step for step in steps if re.sub(r" -D\S+", "", step) not in documented]
check(
    "recipes/apptainer steps are those of INSTALL.md",
    len(steps) == 4 and not strange,
    strange or steps,
)
for name in ("setup", "post", "environment", "runscript", "test"):
    shell = subprocess.run(
        ["sh", "-n"], input="\n".join(parts[name]), text=True, capture_output=True, check=False
    )
    check(
        f"recipes/apptainer %{name} is shell", parts[name] and shell.returncode == 0, shell.stderr
    )
finish()
