# SPDX-License-Identifier: BSD-3-Clause
# Not tested: Spack never built it. tests/ecosystem holds it against CMakeLists.txt and INSTALL.md.
from spack.package import *

try:  # since Spack 1.0
    from spack_repo.builtin.build_systems.cmake import CMakePackage, generator
except ImportError:  # before, spack.package has both
    pass


class Dlscale(CMakePackage):
    """Deep-learning building blocks and their scaling, measured on every rank of an MPI job: one
    HDF5 file with every sample, efficiency with intervals, and the names of slow ranks and nodes."""

    # No address to fetch from: build the tree at hand with `spack develop` (docs/ecosystem.md).
    license("BSD-3-Clause")
    version("0.1.0")

    variant("cuda", default=False, description="GPU module")
    variant("scalapack", default=True, description="Distributed GEMM (pdgemm)")
    variant("analysis", default=True, description="Python packages of the reports")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.24:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")

    depends_on("mpi")
    depends_on("hdf5@1.10:~mpi")  # serial: one rank writes
    depends_on("blas")
    depends_on("scalapack", when="+scalapack")
    depends_on("onednn@2.6: cpu_runtime=omp")
    depends_on("zlib-api")
    depends_on("hwloc@2:")
    depends_on("tomlplusplus@3.3:")
    depends_on("cli11")
    depends_on("fmt@9:")
    depends_on("nlohmann-json")
    depends_on("catch2@2.13:", type="test")
    depends_on("cuda", when="+cuda")

    with when("+analysis"):
        depends_on("python@3.9:", type="run")
        depends_on("py-h5py", type="run")
        depends_on("py-numpy", type="run")
        depends_on("py-pandas", type="run")
        depends_on("py-rich", type="run")
        depends_on("py-jinja2", type="run")

    conflicts("%gcc@:11", msg="C++20: GCC 12 is the oldest that is known to do")

    generator("ninja")

    def cmake_args(self):
        args = [
            self.define_from_variant("DLSCALE_CUDA", "cuda"),
            self.define("DLSCALE_TESTS", self.run_tests),
            self.define("HDF5_ROOT", self.spec["hdf5"].prefix),
            self.define("dnnl_ROOT", self.spec["onednn"].prefix),
        ]
        if self.spec.satisfies("+scalapack"):
            args.append(self.define("SCALAPACK_LIBRARIES", self.spec["scalapack"].libs.joined(";")))
        return args

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def plan_of_the_default_job(self):
        Executable(self.prefix.bin.dlscale)("--plan", "--ranks", "64")
