#!/bin/sh
# test_check_tidy.sh: check_tidy.sh passes a clean file, finds a fault and a function that is too long, and does not take an
# empty list for a clean one. Exit status 77 without the clang-tidy that judges.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/src/host" "$root/build"
cp "$here/../../.clang-tidy" "$root"
commands=$root/build/compile_commands.json

# check WANTED TEXT: what the program says of a tree whose one file is TEXT.
check() {
    printf '%s\n' "$2" >"$root/src/host/file.c"
    status=0
    said=$(sh "$here/check_tidy.sh" "$root" "$root/build" 2>&1) || status=$?
    if [ "$status" = 77 ]; then
        echo "$said"
        exit 77
    fi
    if [ "$status" != "$1" ]; then
        echo "exit status $status where $1 was expected, for"
        echo "$2"
        echo "$said"
        exit 1
    fi
}

cat >"$commands" <<END
[
{
  "directory": "$root",
  "command": "cc -Wvector-operation-performance -c $root/src/host/file.c",
  "file": "$root/src/host/file.c"
}
]
END
check 0 'int half(int x) { return x / 2; }'
check 1 'int same(int x) { return x == x; }'
check 1 'double half(int x) { return x / 2; }'
check 1 'int broken(int x) { return y; }'
long='int f(int x)
{'
for i in $(seq 65); do
    long="$long
    x += $i;"
done
check 1 "$long
    return x;
}"
echo '[]' >"$commands"
check 1 'int half(int x) { return x / 2; }'
