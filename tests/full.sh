#!/bin/sh
# full.sh PROGRAM: runs a test program on all of the reference data instead of the fixtures: the folder KAPPATUNE_TEST_DATA, or
# ../shared from the project's root. Exit status 77, a skipped test, where there is none; an empty KAPPATUNE_TEST_DATA says so.
set -eu
program=${1:?usage: full.sh PROGRAM}
data=${KAPPATUNE_TEST_DATA-../shared}
if [ -z "$data" ] || [ ! -d "$data/reference/golden" ]; then
    echo "needs the reference data: KAPPATUNE_TEST_DATA is '$data'"
    exit 77
fi
KTI_TEST_DATA=$(cd "$data" && pwd)
export KTI_TEST_DATA
exec "$program"
