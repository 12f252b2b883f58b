#!/bin/sh
# test_package.sh CMAKE BUILD_DIR CC GENERATOR: installs the build to a prefix, moves the prefix elsewhere, and builds and runs a small
# outside program against it four ways: find_package and pkg-config, shared and static.
set -eu
cmake=${1:?usage: test_package.sh CMAKE BUILD_DIR CC GENERATOR}
build=${2:?}
cc=${3:?}
generator=${4:?}
here=$(cd "$(dirname "$0")" && pwd)
crystal=$here/../../datasets/examples/silicon.cif
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$cmake" --install "$build" --prefix "$scratch/first" >/dev/null
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix
if grep -rlF -e "$scratch/first" -e "$build" --include='*.cmake' --include='*.pc' --include='*.h' "$prefix"; then
    echo "FAILED: the files above name a folder of the build or of the installation"
    exit 1
fi
lib=$(dirname "$(find "$prefix" -name libkappatune.so)")

# says_8 WAY PROGRAM: the program finds silicon's eight sites, and fails with a message on a file that is not there.
says_8() {
    said=$("$2" "$crystal")
    [ "$said" = 8 ] || { echo "FAILED: $1: printed '$said' instead of 8"; exit 1; }
    if "$2" "$scratch/none.cif" 2>"$scratch/message"; then
        echo "FAILED: $1: read a file that does not exist"
        exit 1
    fi
    grep -q 'none\.cif' "$scratch/message" || { echo "FAILED: $1: the error does not name the file"; exit 1; }
    echo "$1: ok"
}

"$cmake" -G "$generator" -S "$here/consumer" -B "$scratch/consumer" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/log" 2>&1 &&
    "$cmake" --build "$scratch/consumer" >>"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
says_8 "find_package, shared" "$scratch/consumer/consumer_kappatune"
says_8 "find_package, static" "$scratch/consumer/consumer_static"

PKG_CONFIG_PATH=$lib/pkgconfig
export PKG_CONFIG_PATH
# The flags are lists of words.
# shellcheck disable=SC2046
"$cc" -std=c11 "$here/consumer/main.c" -o "$scratch/shared" $(pkg-config --cflags --libs kappatune)
LD_LIBRARY_PATH=$lib says_8 "pkg-config, shared" "$scratch/shared"
rm "$lib"/libkappatune.so*
# shellcheck disable=SC2046
"$cc" -std=c11 "$here/consumer/main.c" -o "$scratch/static" $(pkg-config --static --cflags --libs kappatune)
says_8 "pkg-config, static" "$scratch/static"
