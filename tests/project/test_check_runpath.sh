#!/bin/sh
# test_check_runpath.sh CC: shows that check_runpath.sh judges small libraries rightly.
set -eu
cc=${1:?usage: test_check_runpath.sh CC}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir lib
echo 'int one(void) { return 1; }' >library.c
failures=0

# judged STATUS TEXT RUNPATH [TAGS]: a library with this RUNPATH gets this verdict.
judged() {
    "$cc" -shared -fPIC -Wl,"${4---enable-new-dtags}" ${3:+"-Wl,-rpath,$3"} -o lib/library.so library.c
    status=0
    sh "$here/check_runpath.sh" /somewhere/build lib >said || status=$?
    if [ "$status" -ne "$1" ] || ! grep -qF "$2" said; then
        echo "FAILED: '$3': status $status, wanted $1 and '$2', got:"
        cat said
        failures=$((failures + 1))
    fi
}
judged 0 "1 programs and libraries, no" ""
# shellcheck disable=SC2016
{
    judged 0 "no unwanted entry" '$ORIGIN'
    judged 0 "no unwanted entry" '$ORIGIN/../lib:/opt/cuda/lib:/somewhere/builder'
    judged 1 "library.so: an empty entry" '$ORIGIN:::::'
    judged 1 "library.so: an empty entry" '/opt/cuda/lib:'
    judged 1 "library.so: an empty entry" ':$ORIGIN'
    judged 1 "library.so: an empty entry" '$ORIGIN::/opt/cuda/lib'
    judged 1 "library.so: an empty entry" '$ORIGIN:' --disable-new-dtags
    judged 1 "library.so: a relative entry, ../lib" '$ORIGIN:../lib'
    judged 1 "library.so: a relative entry, ." '.'
    judged 1 "library.so: a relative entry, \$ORIGINAL" '$ORIGINAL'
    judged 1 "library.so: an entry of the build, /somewhere/build/lib" '/somewhere/build/lib'
    judged 1 "library.so: an entry of the build, /somewhere/build" '$ORIGIN:/somewhere/build'
}
rm lib/library.so
status=0
sh "$here/check_runpath.sh" "" lib >said || status=$?
[ "$status" -eq 2 ] || { echo "FAILED: a folder without libraries: status $status"; failures=$((failures + 1)); }

[ "$failures" -eq 0 ] && echo "all libraries judged rightly"
exit "$failures"
