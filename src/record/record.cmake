# SPDX-License-Identifier: BSD-3-Clause
# Facts of the build for the record. Included after dlscale_record exists, it adds a target that writes
# generated/record/build_facts.hpp; run as a script (cmake -P) it writes it. The git hash is read at each build, but the
# header changes, and its one user is compiled again, only when a fact has changed.

if(CMAKE_SCRIPT_MODE_FILE)
  set(DLSCALE_FACT_GIT_HASH "unknown")
  find_program(git git)
  if(git)
    execute_process(COMMAND ${git} -C ${SOURCE_DIR} rev-parse --show-toplevel
                    OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result ERROR_QUIET)
    file(REAL_PATH "${SOURCE_DIR}" source)
    # A source archive unpacked inside another checkout must not take that one's hash.
    if(result EQUAL 0 AND top STREQUAL source)
      execute_process(COMMAND ${git} -C ${SOURCE_DIR} rev-parse HEAD
                      OUTPUT_VARIABLE hash OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result ERROR_QUIET)
      if(result EQUAL 0)
        execute_process(COMMAND ${git} -C ${SOURCE_DIR} status --porcelain
                        OUTPUT_VARIABLE changes OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
        set(DLSCALE_FACT_GIT_HASH "${hash}")
        if(changes)
          string(APPEND DLSCALE_FACT_GIT_HASH "-dirty")
        endif()
      endif()
    endif()
  endif()
  configure_file(${TEMPLATE} ${OUTPUT} @ONLY)  # leaves an equal file alone
  return()
endif()

set(dlscale_facts_flags "${CMAKE_CXX_FLAGS}")
if(CMAKE_BUILD_TYPE)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" dlscale_facts_type)
  string(APPEND dlscale_facts_flags " ${CMAKE_CXX_FLAGS_${dlscale_facts_type}}")
endif()
get_target_property(dlscale_facts_options dlscale_options INTERFACE_COMPILE_OPTIONS)
foreach(option ${dlscale_facts_options})
  if(option MATCHES "(^|:)(-[mfO][^>]*)")  # what changes code; warnings don't
    string(APPEND dlscale_facts_flags " ${CMAKE_MATCH_2}")
  endif()
endforeach()
string(STRIP "${dlscale_facts_flags}" dlscale_facts_flags)
string(REGEX REPLACE "([\\\\\"])" "\\\\\\1" dlscale_facts_flags "${dlscale_facts_flags}")

set(dlscale_facts_header ${PROJECT_BINARY_DIR}/generated/record/build_facts.hpp)
add_custom_target(dlscale_build_facts
  COMMAND ${CMAKE_COMMAND}
          -D SOURCE_DIR=${PROJECT_SOURCE_DIR}
          -D TEMPLATE=${CMAKE_CURRENT_LIST_DIR}/build_facts.hpp.in
          -D OUTPUT=${dlscale_facts_header}
          -D DLSCALE_FACT_VERSION=${PROJECT_VERSION}
          -D DLSCALE_FACT_BUILD_TYPE=${CMAKE_BUILD_TYPE}
          -D "DLSCALE_FACT_COMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
          -D "DLSCALE_FACT_FLAGS=${dlscale_facts_flags}"
          -D DLSCALE_FACT_CMAKE=${CMAKE_VERSION}
          -D "DLSCALE_FACT_SYSTEM=${CMAKE_SYSTEM_NAME} ${CMAKE_SYSTEM_PROCESSOR}"
          -P ${CMAKE_CURRENT_LIST_FILE}
  BYPRODUCTS ${dlscale_facts_header}
  COMMENT "Facts of the build"
  VERBATIM)
add_dependencies(dlscale_record dlscale_build_facts)
