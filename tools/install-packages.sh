#!/bin/sh
# install-packages.sh [build] [test]: installs by apt which of Debian's packages (12 or 13) are missing.
#
#   build   what compiling and running kappatune takes (the default)
#   test    what the test suite takes besides, MPI included (several processes a run, docs/ranks.md)
#
# Says what it installs. When nothing is missing it touches neither the network nor the system.
set -eu

# gemmi's reader includes PEGTL, which its package forgets to depend on.
build="gcc g++ libc6-dev cmake ninja-build pkgconf libjansson-dev libzip-dev libarchive-dev libsymspg-dev libmd4c-dev libmd4c-html0-dev libgsl-dev liblapacke-dev libnlopt-dev libcurl4-openssl-dev libssl-dev gemmi-dev tao-pegtl-dev gnuplot-nox"
test="libcmocka-dev clang libclang-rt-dev clang-format clang-tidy python3 chromium-headless-shell slurm-wlm munge libopenmpi-dev openmpi-bin"

wanted=
for group in "${@:-build}"; do
    case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    *)
        echo "usage: install-packages.sh [build] [test]" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian system: please see to it that your system has what these packages of Debian hold:$wanted"
    exit 0
fi

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "Packages: nothing is missing."
    exit 0
fi

echo "Packages: installing by apt:$missing"
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
    echo "sudo may ask for your password."
else
    echo "This needs an administrator. Please have this run, then start again:" >&2
    echo "    apt-get update && apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

# $as_root is one word or none, $missing a list of words.
# shellcheck disable=SC2086
if ! $as_root apt-get -q update || ! $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y install --no-install-recommends $missing; then
    echo "apt could not install:$missing (its own messages stand above)" >&2
    exit 1
fi
