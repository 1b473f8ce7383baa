# SPDX-License-Identifier: BSD-3-Clause
# One interface target with what every target of ours is compiled with.
include_guard()

add_library(dlscale_options INTERFACE)
target_compile_features(dlscale_options INTERFACE cxx_std_20)
target_include_directories(dlscale_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/generated)
target_compile_options(dlscale_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion>)
if(DLSCALE_WERROR)
  target_compile_options(dlscale_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
# The login node is not the compute node: baseline code, hot loops of ours dispatch at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(dlscale_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=x86-64-v2>)
endif()
target_link_options(dlscale_options INTERFACE -Wl,--build-id)
if(DLSCALE_SANITIZE)
  # Building takes longer than running: -O0 halves it, and only rooms whose loops are the tests' time are optimised.
  # GCC 12 with sanitizers warns of uninitialised parts inside its own <regex>.
  target_compile_options(dlscale_options INTERFACE
    -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined -g1 -Wno-maybe-uninitialized
    $<IF:$<BOOL:$<TARGET_PROPERTY:DLSCALE_HOT_LOOPS>>,-O1,-O0>)
  target_link_options(dlscale_options INTERFACE -fsanitize=address,undefined)
endif()
