#!/bin/sh
# test_demo_build.sh CMAKE ROOT CC CXX: builds as demo.sh does, but without optimisation, and installs that, which asks for all that is to be
# installed to be built.
set -eu
cmake=${1:?usage: test_demo_build.sh CMAKE ROOT CC CXX}
root=${2:?}
CC=${3:?} CXX=${4:?}
export CC CXX
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What follows `cmake --preset release` and `cmake --build build/release` there, quotes and all.
# shellcheck disable=SC2016
configure=$(sed -n 's/.*cmake --preset release \(.*\) >"\$log".*/\1/p' "$root/demo.sh")
options=$(sed -n 's/.*cmake --build build\/release \(.*\) >>"\$log".*/\1/p' "$root/demo.sh")
[ -n "$configure" ] && [ -n "$options" ] || { echo "FAILED: demo.sh builds in another way than this test knows"; exit 1; }

# A module that takes long to compile is installed like the others.
# Ninja, as the presets have it: a bare machine has no make.
if ! { eval "\"\$cmake\" -G Ninja -S \"\$root\" -B \"\$scratch/build\" -DCMAKE_BUILD_TYPE=Debug -DKAPPATUNE_CUDA=OFF $configure" &&
    eval "\"\$cmake\" --build \"\$scratch/build\" $options" &&
    sh "$here/test_install.sh" "$cmake" "$scratch/build"; } >"$scratch/log" 2>&1; then
    tail -n 40 "$scratch/log"
    exit 1
fi
echo "what demo.sh builds can be installed"
