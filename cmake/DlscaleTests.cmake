# SPDX-License-Identifier: BSD-3-Clause
# Catch2 2.13 and 3: the same tests, our own main, declaration order, so that under MPI all ranks run
# the same test at the same time. Automatic discovery stays off for that reason.
include_guard()
find_package(Catch2 REQUIRED)
if(Catch2_VERSION VERSION_GREATER_EQUAL 3)
  set(dlscale_catch_header "catch2/catch_all.hpp")
  set(dlscale_catch_names "using Catch::Approx;")
  set(dlscale_catch_target Catch2::Catch2)
else()
  set(dlscale_catch_header "catch2/catch.hpp")
  set(dlscale_catch_target Catch2::Catch2)
endif()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/dlscale_catch.hpp @ONLY
     CONTENT "#pragma once\n#include <@dlscale_catch_header@>\n@dlscale_catch_names@\n")
add_library(dlscale_catch STATIC ${PROJECT_SOURCE_DIR}/tests/run_catch.cpp)
target_link_libraries(dlscale_catch PUBLIC dlscale_options ${dlscale_catch_target} dlscale_base)
target_include_directories(dlscale_catch PUBLIC ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(dlscale_catch PUBLIC DLSCALE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                           DLSCALE_CATCH_MAJOR=${Catch2_VERSION_MAJOR})
# Of a test file compiling takes longer than running.
if(NOT DLSCALE_SANITIZE)
  target_compile_options(dlscale_catch PUBLIC $<$<NOT:$<CONFIG:Debug>>:-O1>)
endif()

# From nothing, most of the time of a test file goes into the headers that all of them have.
option(DLSCALE_TESTS_IN_BATCHES "Compile the files of a test program in batches: quicker from nothing, slower after a change" OFF)
function(dlscale_in_batches target)
  if(DLSCALE_TESTS_IN_BATCHES)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 7)
  endif()
endfunction()

function(dlscale_unit_tests room)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${room}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${room} ${PROJECT_SOURCE_DIR}/tests/main.cpp ${sources})
  target_link_libraries(unit_${room} PRIVATE dlscale_catch dlscale_${room} ${ARGN})
  dlscale_in_batches(unit_${room})
  add_test(NAME unit_${room} COMMAND unit_${room})
  set(limit 300)
  if(DLSCALE_SANITIZE)  # several times slower
    set(limit 800)
  endif()
  set_tests_properties(unit_${room} PROPERTIES LABELS unit TIMEOUT ${limit})
endfunction()

function(dlscale_mpi_tests)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/mpi/*.cpp)
  if(NOT TARGET dlscale_scalapack)
    list(FILTER sources EXCLUDE REGEX "/pdgemm[^/]*\\.cpp$")
  endif()
  if(NOT sources)
    return()
  endif()
  add_executable(mpi_tests ${sources})
  target_link_libraries(mpi_tests PRIVATE dlscale_catch dlscale_comm dlscale_workloads dlscale_plan dlscale_measure)
  dlscale_in_batches(mpi_tests)
  # It wants Catch2 with its runner.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/mpi/main_mpi.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  foreach(ranks 1 2 3 4)
    add_test(NAME mpi_tests_${ranks} COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe ${MPIEXEC_NUMPROC_FLAG} ${ranks}
                                             $<TARGET_FILE:mpi_tests>)
    set_tests_properties(mpi_tests_${ranks} PROPERTIES LABELS mpi PROCESSORS ${ranks} TIMEOUT 120
      ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
  endforeach()
  # Several "nodes" on one host: ranks per node; round-robin; ranks.
  foreach(split "2;0;4" "3;0;4" "2;1;4" "3;1;4" "1;0;3")
    list(GET split 0 per)
    list(GET split 1 robin)
    list(GET split 2 ranks)
    set(name mpi_nodes_${per}_${robin}_${ranks})
    add_test(NAME ${name} COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe ${MPIEXEC_NUMPROC_FLAG} ${ranks}
                                  $<TARGET_FILE:mpi_tests> "[comm]")
    set_tests_properties(${name} PROPERTIES LABELS mpi PROCESSORS ${ranks} TIMEOUT 120 ENVIRONMENT
      "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;DLSCALE_TEST_RANKS_PER_NODE=${per};DLSCALE_TEST_NODE_ROUND_ROBIN=${robin}")
  endforeach()
endfunction()
