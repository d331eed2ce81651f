# SPDX-License-Identifier: MIT
# How everything of ours is compiled. Targets link strata_flags.
option(STRATA_FUZZ "Build the fuzzers (clang)" OFF)
option(STRATA_WERROR "Warnings are errors" ON)
option(STRATA_PEERS "Look for the caches that bench_l1 is run beside" OFF)
set(STRATA_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# Machine code beside the optimiser's own form, which installation takes out (cmake/install.cmake).
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  set(CMAKE_C_COMPILE_OPTIONS_IPO -flto=auto -ffat-lto-objects)
endif()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_program(STRATA_CCACHE ccache)
if(STRATA_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${STRATA_CCACHE})
endif()

add_library(strata_flags INTERFACE)
target_compile_definitions(strata_flags INTERFACE _GNU_SOURCE)
target_include_directories(strata_flags INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_compile_options(strata_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wno-sign-conversion -fno-omit-frame-pointer)
if(STRATA_WERROR)
  target_compile_options(strata_flags INTERFACE -Werror)
endif()
if(STRATA_FUZZ)
  target_compile_options(strata_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(STRATA_SANITIZE)
  target_compile_options(strata_flags INTERFACE -fsanitize=${STRATA_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(strata_flags INTERFACE -fsanitize=${STRATA_SANITIZE})
  set(STRATA_SANITIZER_ENVIRONMENT # for tests
    "ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1:check_initialization_order=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${PROJECT_SOURCE_DIR}/tools/tsan_suppressions.txt")
endif()
