#!/bin/sh
# test_check_exports.sh CC: shows that check_exports.sh judges small libraries rightly.
set -eu
cc=${1:?usage: test_check_exports.sh CC}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir include
cat >include/api.h <<'END'
#define KT_API
/* Returns one. */
KT_API int kt_one(int x,
                  int y);
KT_API const char *kt_two(void);
KT_API struct thing *
kt_three(void);
END
failures=0

# judged STATUS TEXT 'C source': the library made of the source gets this verdict.
judged() {
    echo "$3" >library.c
    "$cc" -shared -fPIC -o library.so library.c
    status=0
    sh "$here/check_exports.sh" library.so include >said || status=$?
    if [ "$status" -ne "$1" ] || ! grep -qF "$2" said; then
        echo "FAILED: '$3': status $status, wanted $1 and '$2', got:"
        cat said
        failures=$((failures + 1))
    fi
}
three='int kt_one(int x, int y) { return x + y; } const char *kt_two(void) { return ""; } void *kt_three(void) { return 0; }'
judged 0 "3 public names" "$three"
judged 1 "json_helper: exported, but does not begin" "$three int json_helper;"
judged 1 "kt_four: exported, but declared in no public header" "$three int kt_four;"
judged 1 "kt_two: declared in a public header, but not exported" "int kt_one(void) { return 1; } int kt_three(void) { return 3; }"

[ "$failures" -eq 0 ] && echo "all libraries judged rightly"
exit "$failures"
