# SPDX-License-Identifier: MIT
# cmake --install: headers, libstrata, libstrata_tls, libstrata_repository and
# libstrata_postgresql where their databases are there, pkg-config and CMake packages, stratad, strata.
include(CMakePackageConfigHelpers)

set(STRATA_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/strata)

install(TARGETS strata_shared EXPORT strataTargets)
install(TARGETS strata_tls_shared EXPORT strataTlsTargets)
set(STRATA_ARCHIVES libstrata.a libstrata_tls.a)
if(TARGET strata_repository_shared)
  install(TARGETS strata_repository_shared EXPORT strataRepositoryTargets)
  install(TARGETS strata_repository_static)
  list(APPEND STRATA_ARCHIVES libstrata_repository.a)
endif()
if(TARGET strata_postgresql_shared)
  install(TARGETS strata_postgresql_shared EXPORT strataPostgresqlTargets)
  install(TARGETS strata_postgresql_static)
  list(APPEND STRATA_ARCHIVES libstrata_postgresql.a)
endif()
install(TARGETS strata_static strata_tls_static) # through pkg-config --static, which names what they need
if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_C_COMPILER_ID STREQUAL GNU)
  # The installed archive is machine code only: with the optimiser's own form in it, a user's gcc
  # would optimise our files again, and warn about them in the user's build.
  foreach(archive IN LISTS STRATA_ARCHIVES)
    install(CODE "execute_process(COMMAND ${CMAKE_OBJCOPY} -R .gnu.lto_* -R .gnu.debuglto_*
      \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/${archive}
      COMMAND_ERROR_IS_FATAL ANY)")
  endforeach()
endif()
install(DIRECTORY include/strata DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
foreach(program stratad strata)
  if(TARGET ${program})
    install(TARGETS ${program})
  endif()
endforeach()

# In strata.pc the prefix is said relative to the file, so the tree may be moved.
file(RELATIVE_PATH STRATA_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/strata.pc.in strata.pc @ONLY)
configure_file(cmake/strata-tls.pc.in strata-tls.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/strata.pc ${CMAKE_BINARY_DIR}/strata-tls.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET strata_repository_shared)
  configure_file(cmake/strata-repository.pc.in strata-repository.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/strata-repository.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  set_target_properties(strata_repository_shared PROPERTIES EXPORT_NAME repository)
  install(EXPORT strataRepositoryTargets NAMESPACE strata:: DESTINATION ${STRATA_CMAKE_DIR})
endif()
if(TARGET strata_postgresql_shared)
  configure_file(cmake/strata-postgresql.pc.in strata-postgresql.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/strata-postgresql.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  set_target_properties(strata_postgresql_shared PROPERTIES EXPORT_NAME postgresql)
  install(EXPORT strataPostgresqlTargets NAMESPACE strata:: DESTINATION ${STRATA_CMAKE_DIR})
endif()

set_target_properties(strata_shared PROPERTIES EXPORT_NAME strata)
set_target_properties(strata_tls_shared PROPERTIES EXPORT_NAME tls)
install(EXPORT strataTargets NAMESPACE strata:: DESTINATION ${STRATA_CMAKE_DIR})
install(EXPORT strataTlsTargets NAMESPACE strata:: DESTINATION ${STRATA_CMAKE_DIR})
configure_package_config_file(cmake/strataConfig.cmake.in strataConfig.cmake
  INSTALL_DESTINATION ${STRATA_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/strataConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/strataConfig.cmake ${CMAKE_BINARY_DIR}/strataConfigVersion.cmake
  DESTINATION ${STRATA_CMAKE_DIR})
