# SPDX-License-Identifier: BSD-3-Clause
# The GPU module. The program does not link it: it is loaded with dlopen (device/gpu_module.hpp), and takes what both
# share from the program. The CUDA runtime is linked statically, so that the module itself loads on a node without CUDA
# and can say what is missing there.

# Program and module must be of one build: both are told what the shared headers were.
file(GLOB dlscale_shared CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/base/*.hpp ${PROJECT_SOURCE_DIR}/src/device/*.hpp
     ${PROJECT_SOURCE_DIR}/src/nn/*.hpp ${PROJECT_SOURCE_DIR}/src/workloads/*.hpp
     ${PROJECT_SOURCE_DIR}/src/workloads/*/*.hpp ${PROJECT_SOURCE_DIR}/src/comm/*.hpp)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${dlscale_shared})
set(dlscale_module_id "${PROJECT_VERSION}")
foreach(header ${dlscale_shared})
  file(MD5 ${header} dlscale_md5)
  string(APPEND dlscale_module_id ${dlscale_md5})
endforeach()
string(MD5 dlscale_module_id "${dlscale_module_id} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_BUILD_TYPE}")
set_property(SOURCE device/gpu_module.cpp APPEND PROPERTY COMPILE_DEFINITIONS DLSCALE_MODULE_ID="${dlscale_module_id}")

if(DLSCALE_CUDA STREQUAL "OFF")
  return()
endif()
include(CheckLanguage)
check_language(CUDA)
if(DLSCALE_CUDA STREQUAL "ON")
  find_package(CUDAToolkit REQUIRED)
else()
  find_package(CUDAToolkit QUIET)
endif()
if(NOT CUDAToolkit_FOUND OR NOT CMAKE_CUDA_COMPILER)
  if(DLSCALE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "dlscale: DLSCALE_CUDA=ON, but no nvcc was found; put it on the PATH or set CUDACXX")
  endif()
  message(STATUS "dlscale: no CUDA Toolkit with nvcc found, the GPU module is left out")
  return()
endif()
# Code for the chips clusters have (A100, H100/H200, B200), and PTX for all others from 8.0 on.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 90-real)
  if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8)  # older ones don't know it, and nvcc would fail
    list(APPEND CMAKE_CUDA_ARCHITECTURES 100-real)
  endif()
endif()
enable_language(CUDA)
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake before 3.26 does not know that nvcc has C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()

get_property(cuda_sources GLOBAL PROPERTY DLSCALE_CUDA_SOURCES)
file(GLOB cuda_room CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cpp ${CMAKE_CURRENT_LIST_DIR}/*.cu)
if(NOT TARGET dlscale_nccl)
  list(FILTER cuda_room EXCLUDE REGEX "/nccl[^/]*$")
  list(APPEND cuda_room ${CMAKE_CURRENT_LIST_DIR}/without_nccl/reducer.cpp)
endif()

# Networks need cuDNN 9; without it the module has the other workloads.
find_path(DLSCALE_CUDNN_INCLUDE cudnn.h HINTS ${cudnn_ROOT} $ENV{cudnn_ROOT} ${CUDAToolkit_INCLUDE_DIRS}
          PATH_SUFFIXES include)
find_library(DLSCALE_CUDNN_LIBRARY cudnn HINTS ${cudnn_ROOT} $ENV{cudnn_ROOT} ${CUDAToolkit_LIBRARY_DIR}
             PATH_SUFFIXES lib lib64)
if(DLSCALE_CUDNN_INCLUDE AND DLSCALE_CUDNN_LIBRARY)
  file(GLOB cuda_networks CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/nn/*.cpp ${CMAKE_CURRENT_LIST_DIR}/nn/*.cu)
  message(STATUS "Found cuDNN: ${DLSCALE_CUDNN_LIBRARY}")
else()
  set(cuda_networks "")
  list(FILTER cuda_sources EXCLUDE REGEX "/workloads/(conv2d|train|infer)/")
  get_property(cuda_names GLOBAL PROPERTY DLSCALE_CUDA_WORKLOADS)
  list(REMOVE_ITEM cuda_names conv2d train infer)
  set_property(GLOBAL PROPERTY DLSCALE_CUDA_WORKLOADS ${cuda_names})
  message(STATUS "dlscale: cuDNN not found, the GPU module is built without conv2d, train and infer (cudnn_ROOT)")
endif()
add_library(dlscale_cuda MODULE ${cuda_room} ${cuda_networks} ${cuda_sources})
dlscale_write_factories(dlscale_cuda)
set_property(SOURCE ${CMAKE_CURRENT_LIST_DIR}/module_cuda.cpp APPEND PROPERTY
             COMPILE_DEFINITIONS DLSCALE_MODULE_ID="${dlscale_module_id}")
target_include_directories(dlscale_cuda PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/generated)
target_link_libraries(dlscale_cuda PRIVATE dlscale_options nlohmann_json::nlohmann_json fmt::fmt CUDA::cudart_static
                      CUDA::cublasLt MPI::MPI_CXX $<TARGET_NAME_IF_EXISTS:dlscale_nccl>)
if(cuda_networks)
  target_include_directories(dlscale_cuda SYSTEM PRIVATE ${DLSCALE_CUDNN_INCLUDE})
  target_link_libraries(dlscale_cuda PRIVATE ${DLSCALE_CUDNN_LIBRARY})
endif()
install(TARGETS dlscale_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/dlscale)
message(STATUS "dlscale: GPU module with CUDA ${CUDAToolkit_VERSION}")
