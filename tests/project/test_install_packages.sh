#!/bin/sh
# tools/install-packages.sh against stand-ins for dpkg-query, apt-get, sudo and id: it must leave apt alone when nothing is
# missing, install exactly what is, and never try what only an administrator may do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
script=$here/../../tools/install-packages.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# system ABSENT UID SUDO: a machine that lacks the packages ABSENT, whose user has this UID; SUDO is yes or no.
system() {
    rm -rf "$scratch/bin" "$scratch/calls"
    mkdir "$scratch/bin"
    : >"$scratch/calls"
    for tool in sh env; do ln -s "$(command -v $tool)" "$scratch/bin/$tool"; done
    printf '#!/bin/sh\nfor p; do :; done\ncase " %s " in *" $p "*) exit 1 ;; esac\nprintf installed\n' "$1" >"$scratch/bin/dpkg-query"
    printf '#!/bin/sh\necho %s\n' "$2" >"$scratch/bin/id"
    printf '#!/bin/sh\necho "apt-get $*" >>"%s/calls"\n' "$scratch" >"$scratch/bin/apt-get"
    [ "$3" = no ] || printf '#!/bin/sh\necho sudo >>"%s/calls"\nexec "$@"\n' "$scratch" >"$scratch/bin/sudo"
    chmod +x "$scratch"/bin/*
}

# runs STATUS SAID CALLS [GROUP...]: the script's exit status, a text it says, and the apt and sudo calls it makes, one a line.
runs() {
    status_wanted=$1 said=$2 calls=$3
    shift 3
    status=0
    PATH=$scratch/bin sh "$script" "$@" >"$scratch/said" 2>&1 || status=$?
    if [ "$status" -ne "$status_wanted" ] || ! grep -qF -- "$said" "$scratch/said" ||
        [ "$(cat "$scratch/calls")" != "$calls" ]; then
        echo "FAILED: '$*': status $status, wanted $status_wanted, '$said' and calls '$calls'; got:"
        cat "$scratch/said" "$scratch/calls"
        failures=$((failures + 1))
    fi
}
install='apt-get -q -y install --no-install-recommends'

system "" 1000 no; runs 0 "nothing is missing" "" build test
system "libcmocka-dev" 0 no; runs 0 "nothing is missing" "" build
system "gemmi-dev cmake" 0 no
runs 0 "installing by apt: cmake gemmi-dev" "apt-get -q update
$install cmake gemmi-dev"
system "libcmocka-dev gemmi-dev" 0 no
runs 0 "installing by apt: gemmi-dev libcmocka-dev" "apt-get -q update
$install gemmi-dev libcmocka-dev" build test
system "gemmi-dev" 1000 yes
runs 0 "sudo may ask" "sudo
apt-get -q update
sudo
$install gemmi-dev"
system "gemmi-dev" 1000 no
runs 1 "apt-get update && apt-get install --no-install-recommends gemmi-dev" ""
system "gemmi-dev" 0 no; runs 2 "usage" "" everything
system "gemmi-dev" 0 no; printf '#!/bin/sh\nexit 100\n' >"$scratch/bin/apt-get"
runs 1 "apt could not install: gemmi-dev" ""
system "gemmi-dev" 0 no; rm "$scratch/bin/dpkg-query"
runs 0 "no Debian system" ""

[ "$failures" -eq 0 ] && echo "all systems treated rightly"
exit "$failures"
