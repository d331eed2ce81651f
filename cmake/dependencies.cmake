# SPDX-License-Identifier: MIT
# Debian's libraries. What is needed by libstrata itself, by the programs, and by tests only.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash>=0.8)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libssl>=3.0 libcrypto>=3.0) # libstrata_tls
pkg_check_modules(SQLITE IMPORTED_TARGET sqlite3>=3.35) # libstrata_repository; not there: it is left out
pkg_check_modules(POSTGRESQL IMPORTED_TARGET libpq>=15) # libstrata_postgresql; the same
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.75) # stratad
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd) # cli and bench: traces

if(BUILD_TESTING)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
endif()
