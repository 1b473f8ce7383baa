# SPDX-License-Identifier: BSD-3-Clause
# dlscale_nccl: NCCL for the GPU module. Without it the module has no workload that moves data between GPUs.
include_guard()
if(DLSCALE_CUDA STREQUAL "OFF")
  return()
endif()
find_package(CUDAToolkit QUIET)
find_path(DLSCALE_NCCL_INCLUDE nccl.h HINTS ${NCCL_ROOT} $ENV{NCCL_ROOT} ${CUDAToolkit_INCLUDE_DIRS}
          PATH_SUFFIXES include)
find_library(DLSCALE_NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${NCCL_ROOT} $ENV{NCCL_ROOT} ${CUDAToolkit_LIBRARY_DIR}
             PATH_SUFFIXES lib lib64)
if(NOT DLSCALE_NCCL_INCLUDE OR NOT DLSCALE_NCCL_LIBRARY)
  if(CUDAToolkit_FOUND)
    message(STATUS "dlscale: NCCL not found, GPUs work by themselves only (set NCCL_ROOT)")
  endif()
  return()
endif()
message(STATUS "Found NCCL: ${DLSCALE_NCCL_LIBRARY}")
add_library(dlscale_nccl INTERFACE)
target_include_directories(dlscale_nccl SYSTEM INTERFACE ${DLSCALE_NCCL_INCLUDE})
target_link_libraries(dlscale_nccl INTERFACE ${DLSCALE_NCCL_LIBRARY})
