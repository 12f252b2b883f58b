#!/bin/sh
# test_present_folder.sh CC PROGRAM CRYSTAL: in a folder that holds a library of the name of each that the program needs, and of each of
# its modules, the program loads none of them. Each would say so and end the program.
set -eu
cc=${1:?usage: test_present_folder.sh CC PROGRAM CRYSTAL}
program=${2:?}
crystal=${3:?}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset LD_LIBRARY_PATH LD_PRELOAD
failures=0

cat >"$scratch/evil.c" <<'EOF'
#include <unistd.h>
__attribute__((constructor)) static void say(void) { if (write(2, "LOADED\n", 7) == 7) _exit(99); }
void harmless(void) { }
EOF
"$cc" -shared -fPIC -o "$scratch/evil.so" "$scratch/evil.c"
mkdir "$scratch/modules" "$scratch/all"
for name in libkappatune_cuda.so libkappatune_mpi.so; do
    cp "$scratch/evil.so" "$scratch/modules/$name"
    cp "$scratch/evil.so" "$scratch/all/$name"
done
# The libraries that it names; a library of C itself is loaded long before.
for name in $(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
    case $name in libc.so.* | ld-linux*) ;; *) cp "$scratch/evil.so" "$scratch/all/$name" ;; esac
done
[ -e "$scratch/all/libjansson.so.4" ] || { echo "FAILED: $program does not need libjansson.so.4?"; failures=1; }

# stays_clear FOLDER COMMAND...: nothing of FOLDER is loaded by a command that is called in it.
stays_clear() {
    folder=$1
    shift
    if (cd "$scratch/$folder" && "$@") >"$scratch/said" 2>&1; then :; fi
    if grep -q LOADED "$scratch/said"; then
        echo "FAILED: '$*' loads a library of the present folder"
        failures=$((failures + 1))
    fi
}
stays_clear all "$program" --version
grep -q '^kappatune [0-9]' "$scratch/said" || { echo "FAILED: it does not run:"; cat "$scratch/said"; failures=1; }
stays_clear all "$program" predict togo15-hh143 "$crystal"
stays_clear all "$program" predict togo15-hh143 "$crystal" --device cuda
stays_clear all env PMI_SIZE=2 "$program" train --data togo15 --dry-run
# Many a profile makes an empty entry, LD_LIBRARY_PATH=$LD_LIBRARY_PATH:/opt/lib. The modules are not looked for there.
stays_clear modules env LD_LIBRARY_PATH=:"$scratch/modules" "$program" predict aflow-agl "$crystal" --device cuda
stays_clear modules env LD_LIBRARY_PATH=:"$scratch/modules" PMI_SIZE=2 "$program" train --data togo15 --dry-run

# A program with an empty entry is caught.
echo 'void harmless(void); int main(void) { harmless(); return 0; }' >"$scratch/main.c"
cp "$scratch/evil.so" "$scratch/all/libharmless.so"
# shellcheck disable=SC2016
"$cc" -o "$scratch/careless" "$scratch/main.c" -L"$scratch/all" -lharmless -Wl,-rpath,'$ORIGIN::' -Wl,--enable-new-dtags
before=$failures
stays_clear all "$scratch/careless" >/dev/null
if [ "$failures" -eq "$before" ]; then
    echo "FAILED: this test does not see that a program with an empty entry loads a library of the present folder"
    failures=$((failures + 1))
else
    failures=$before
fi
[ "$failures" -eq 0 ] && echo "nothing of the present folder is loaded"
exit "$failures"
