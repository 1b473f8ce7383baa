# SPDX-License-Identifier: BSD-3-Clause
# Everything comes from the distribution's packages, from modules or from Spack (INSTALL.md).
include_guard()

find_package(Threads REQUIRED)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(hwloc REQUIRED IMPORTED_TARGET hwloc)

# Header only; Debian ships a pkg-config file, others a CMake package.
find_package(tomlplusplus QUIET)
if(NOT TARGET tomlplusplus::tomlplusplus)
  find_path(DLSCALE_TOMLPLUSPLUS_DIR toml++/toml.h REQUIRED)
  add_library(tomlplusplus::tomlplusplus INTERFACE IMPORTED)
  target_include_directories(tomlplusplus::tomlplusplus INTERFACE ${DLSCALE_TOMLPLUSPLUS_DIR})
endif()

# BLAS through its Fortran interface with 32-bit integers; any vendor (BLA_VENDOR).
find_package(BLAS REQUIRED)

# ScaLAPACK is optional: without it there is no pdgemm. It is found by its file, since CMake packages of it name the BLAS
# that they were built with. MKL's wants its BLACS beside it:
# -DSCALAPACK_LIBRARIES="mkl_scalapack_lp64;mkl_blacs_openmpi_lp64"
if(NOT SCALAPACK_LIBRARIES)
  set(dlscale_scalapack_names scalapack-openmpi scalapack)
  if("${MPI_CXX_LIBRARIES}" MATCHES "mpich")
    set(dlscale_scalapack_names scalapack-mpich scalapack)
  endif()
  find_library(DLSCALE_SCALAPACK_LIBRARY NAMES ${dlscale_scalapack_names}
               HINTS ${SCALAPACK_ROOT} $ENV{SCALAPACK_ROOT} PATH_SUFFIXES lib lib64)
  set(SCALAPACK_LIBRARIES ${DLSCALE_SCALAPACK_LIBRARY})
endif()
if(NOT SCALAPACK_LIBRARIES)
  message(STATUS "dlscale: ScaLAPACK not found, the workload pdgemm is left out "
                 "(Debian: libscalapack-openmpi-dev; else SCALAPACK_ROOT or SCALAPACK_LIBRARIES)")
elseif("${BLAS_LIBRARIES}" MATCHES "\\.a(;|$)")
  message(STATUS "dlscale: the BLAS is static, the workload pdgemm is left out (its products can't be timed); "
                 "link a shared one")
else()
  message(STATUS "Found ScaLAPACK: ${SCALAPACK_LIBRARIES}")
  add_library(dlscale_scalapack INTERFACE)
  # In front of BLAS and MPI, whose symbols it needs.
  target_link_libraries(dlscale_scalapack INTERFACE ${SCALAPACK_LIBRARIES} BLAS::BLAS MPI::MPI_CXX)
endif()

# *Serial* HDF5: the MPI flavour's headers may come first on the path and would then be taken by mistake.
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C)
if(HDF5_IS_PARALLEL)
  message(FATAL_ERROR "dlscale: HDF5 found in ${HDF5_INCLUDE_DIRS} is the MPI flavour (the record is written by one rank); "
                      "install serial HDF5 (Debian: libhdf5-dev) and point HDF5_ROOT at it")
endif()
add_library(dlscale_hdf5 INTERFACE)
target_include_directories(dlscale_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
# The wrapper's list also names what only a static libhdf5 needs (libcurl, libcrypto, …).
set(dlscale_hdf5_libraries ${HDF5_C_LIBRARIES})
list(FILTER dlscale_hdf5_libraries INCLUDE REGEX "hdf5[^/]*\\.so")
if(NOT dlscale_hdf5_libraries)
  set(dlscale_hdf5_libraries ${HDF5_C_LIBRARIES})
endif()
target_link_libraries(dlscale_hdf5 INTERFACE ${dlscale_hdf5_libraries})
target_compile_definitions(dlscale_hdf5 INTERFACE ${HDF5_C_DEFINITIONS})

# oneDNN 2.6 (Debian 12) or 3.x, with its OpenMP runtime; the optimiser's threads are the same OpenMP pool's.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(ZLIB REQUIRED)
# Found by its files: the CMake package of a build with a GPU runtime (Debian's) wants OpenCL's headers, and stops without.
find_path(DLSCALE_DNNL_INCLUDE oneapi/dnnl/dnnl.hpp HINTS ${dnnl_ROOT} $ENV{dnnl_ROOT} $ENV{DNNLROOT}
          PATH_SUFFIXES include REQUIRED)
find_library(DLSCALE_DNNL_LIBRARY dnnl HINTS ${dnnl_ROOT} $ENV{dnnl_ROOT} $ENV{DNNLROOT} PATH_SUFFIXES lib lib64 REQUIRED)
message(STATUS "Found oneDNN: ${DLSCALE_DNNL_LIBRARY}")
add_library(DNNL::dnnl UNKNOWN IMPORTED)
set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${DLSCALE_DNNL_LIBRARY}
                                            INTERFACE_INCLUDE_DIRECTORIES ${DLSCALE_DNNL_INCLUDE})
add_library(dlscale_onednn INTERFACE)
target_link_libraries(dlscale_onednn INTERFACE DNNL::dnnl)

include(DlscaleNccl)
