# The libraries that libkappatune links. The installed package includes this file too, so that a program that links the
# static library finds the same ones; headers that only the build needs are looked for in CMakeLists.txt.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(GSL REQUIRED IMPORTED_TARGET gsl)
set(KAPPATUNE_DEPENDENCIES PkgConfig::JANSSON PkgConfig::LIBZIP PkgConfig::GSL Threads::Threads m)
