# SPDX-License-Identifier: BSD-3-Clause
# Compiles the default job into dlscale_config. Include after dlscale_room(config …).
include_guard(GLOBAL)
set(DLSCALE_QUICK_JOB ${PROJECT_SOURCE_DIR}/jobs/quick.toml CACHE FILEPATH "Job that runs when none is named")
if(NOT EXISTS ${DLSCALE_QUICK_JOB})
  message(FATAL_ERROR "dlscale: the default job ${DLSCALE_QUICK_JOB} is missing; "
                      "restore it or point DLSCALE_QUICK_JOB at a job file")
endif()
file(READ ${DLSCALE_QUICK_JOB} dlscale_quick_job)
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${DLSCALE_QUICK_JOB})
configure_file(${CMAKE_CURRENT_LIST_DIR}/quick_job.cpp.in ${PROJECT_BINARY_DIR}/generated/quick_job.cpp @ONLY)
target_sources(dlscale_config PRIVATE ${PROJECT_BINARY_DIR}/generated/quick_job.cpp)
# The manual page names the version.
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/manual.cpp PROPERTIES COMPILE_DEFINITIONS
                            DLSCALE_VERSION="${PROJECT_VERSION}")
