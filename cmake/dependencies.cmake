# The libraries that libkappatune links. The installed package includes this file too, so that a program that links the
# static library finds the same ones; headers that only the build needs are looked for in CMakeLists.txt.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(SPGLIB REQUIRED IMPORTED_TARGET spglib)
pkg_check_modules(MD4C REQUIRED IMPORTED_TARGET md4c-html)
pkg_check_modules(GSL REQUIRED IMPORTED_TARGET gsl)
pkg_check_modules(LAPACKE REQUIRED IMPORTED_TARGET lapacke)
pkg_check_modules(NLOPT REQUIRED IMPORTED_TARGET nlopt)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
set(KAPPATUNE_DEPENDENCIES PkgConfig::JANSSON PkgConfig::LIBZIP PkgConfig::LIBARCHIVE PkgConfig::SPGLIB PkgConfig::MD4C PkgConfig::GSL PkgConfig::LAPACKE
    PkgConfig::NLOPT PkgConfig::CURL PkgConfig::CRYPTO Threads::Threads m)
