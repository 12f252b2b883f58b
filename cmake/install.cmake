# Installs the program, both libraries, the headers, a CMake package, a pkg-config file, what is found by name, and the documents.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kappatune)
install(TARGETS kappatune_shared kappatune_static EXPORT kappatune-targets)
install(TARGETS kappatune)
install(FILES ${PROJECT_BINARY_DIR}/share/bash-completion/completions/kappatune
        DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions)
if(KAPPATUNE_CUDA_FOUND)
  install(TARGETS kappatune_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(MPI_C_FOUND)
  install(TARGETS kappatune_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/kappatune DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(EXPORT kappatune-targets NAMESPACE kappatune:: DESTINATION ${package_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/kappatune-config.cmake.in
  ${PROJECT_BINARY_DIR}/kappatune-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kappatune-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kappatune-config.cmake ${PROJECT_BINARY_DIR}/kappatune-config-version.cmake
              ${PROJECT_SOURCE_DIR}/cmake/dependencies.cmake
        DESTINATION ${package_dir})

# The prefix is found from the place of the .pc file, so that an installed tree can be moved.
set(pc_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH PC_PREFIX ${pc_dir} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
# Named here rather than by Requires.private, which would ask for the development packages of all that libzip itself may use.
set(private_libraries ${JANSSON_LDFLAGS} ${LIBZIP_LDFLAGS} ${LIBARCHIVE_LDFLAGS} ${SPGLIB_LDFLAGS} ${MD4C_LDFLAGS} ${GSL_LDFLAGS} ${LAPACKE_LDFLAGS} ${NLOPT_LDFLAGS}
    ${CURL_LDFLAGS} ${CRYPTO_LDFLAGS})
list(REMOVE_DUPLICATES private_libraries)
string(JOIN " " PC_LIBS_PRIVATE ${private_libraries})
configure_file(${PROJECT_SOURCE_DIR}/cmake/kappatune.pc.in ${PROJECT_BINARY_DIR}/kappatune.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/kappatune.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Models, recipes and data sets, which the program finds beside itself (src/host/cli/names.h), in the build tree too.
foreach(folder IN ITEMS models recipes datasets)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/share/kappatune)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/share/kappatune/${folder} SYMBOLIC)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION share/kappatune PATTERN "build.sh" EXCLUDE)
endforeach()

install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md
              ${PROJECT_SOURCE_DIR}/CITATION.cff
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
