#!/bin/sh
# run.sh: builds and runs the comparison of matrix products. Needs libopenblas-dev and libxsmm-dev besides what the
# project needs; both of OpenBLAS's kernel sets are shown where the processor has AVX-512.
set -eu
cd "$(dirname "$0")/../.."
for package in libopenblas-dev libxsmm-dev; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || {
        echo "run.sh needs the package $package: apt-get install $package" >&2
        exit 1
    }
done
cmake --preset release -DKAPPATUNE_TESTS=OFF >/dev/null
cmake --build build/release --target kappatune_static >/dev/null
cc -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra -Iinclude -Isrc -Isrc/host bench/gemm/gemm.c \
    build/release/src/libkappatune.a -o build/release/bench_gemm \
    -lxsmm -lopenblas -ldl -ljansson -lzip -lgsl -lstdc++ -lpthread -lm
build/release/bench_gemm "$@"
if grep -q avx512f /proc/cpuinfo; then
    echo
    OPENBLAS_CORETYPE=SkylakeX build/release/bench_gemm "$@"
fi
