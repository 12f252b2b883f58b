#!/usr/bin/env bash
# bare-debian.sh [--suite NAME] [--folder DIR]: shows that a bare Debian with nothing but git is enough. Makes one by debootstrap,
# clones this repository's HEAD into it, with nothing beside it, and runs there ./demo.sh and ./test.sh --quick, twice: as they
# come, and again with no network at all.
#
#   --suite NAME   bookworm (the default), trixie, ...
#   --folder DIR   keeps the tree in DIR, which must not exist yet; without it the tree is removed at the end
#
# Needs root and debootstrap. Mirror and network settings are those of this machine's apt.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)

suite=bookworm
folder=
while [ $# -gt 0 ]; do
    case $1 in
    --suite) suite=${2:?--suite needs a name} && shift 2 ;;
    --folder) folder=${2:?--folder needs a path} && shift 2 ;;
    *)
        echo "usage: tools/bare-debian.sh [--suite NAME] [--folder DIR]" >&2
        exit 2
        ;;
    esac
done
[ "$(id -u)" -eq 0 ] || { echo "bare-debian.sh: only root can make a system in a folder" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "bare-debian.sh: needs debootstrap (apt-get install debootstrap)" >&2; exit 1; }

# Everything mounted below goes with this mount namespace, however the script ends.
if [ -z "${KAPPATUNE_OWN_MOUNTS-}" ]; then
    arguments=(--suite "$suite")
    [ -z "$folder" ] || arguments+=(--folder "$folder")
    KAPPATUNE_OWN_MOUNTS=yes exec unshare --mount --propagation private "$0" "${arguments[@]}"
fi

if [ -n "$folder" ]; then
    mkdir "$folder"
    tree=$(cd "$folder" && pwd)
else
    tree=$(mktemp -d)
    trap 'umount -R "$tree"/proc "$tree"/dev "$tree"/sys 2>/dev/null; rm -rf --one-file-system "$tree"' EXIT
fi
chmod 755 "$tree"

# The mirror is where this machine's apt has its Debian packages from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' "Codename: $suite" | head -n 1)
if [ -z "$mirror" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -n 1)
fi
[ -n "$mirror" ] || { echo "bare-debian.sh: apt knows no mirror here" >&2; exit 1; }
eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
[ -z "${http_proxy-}" ] || export http_proxy
[ -z "${https_proxy-}" ] || export https_proxy

declare -a report
# timed WHAT COMMAND...: runs it and notes how long it took.
timed() {
    local what=$1 started=$SECONDS status=0
    shift
    printf '\n==== %s\n' "$what"
    "$@" || status=$?
    report+=("$(printf '%-44s %5d s   %s' "$what" $((SECONDS - started)) "$([ $status -eq 0 ] && echo ok || echo "FAILED ($status)")")")
    [ $status -eq 0 ] || failed=yes
}
failed=no

echo "==== making a bare $suite in $tree"
debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$tree" "$mirror" >"$tree.log" 2>&1 ||
    { tail -n 20 "$tree.log"; exit 1; }
rm "$tree.log"
apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)' >"$tree/etc/apt/apt.conf.d/50host" || true
cp -L /etc/resolv.conf /etc/hosts "$tree/etc/"
mkdir -p "$tree/usr/local/share/ca-certificates"
cp -L /usr/local/share/ca-certificates/*.crt "$tree/usr/local/share/ca-certificates/" 2>/dev/null || true
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount --make-rslave "$tree/dev"
# Open MPI and Slurm look there for processors and control groups, as on any machine.
mount --rbind /sys "$tree/sys"
mount --make-rslave "$tree/sys"
chroot "$tree" update-ca-certificates >/dev/null

git clone --quiet --no-hardlinks "$repository" "$tree/srv/kappatune"

# inside COMMAND...: in the bare tree's clone, with nothing of this shell's environment.
inside() {
    chroot "$tree" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        sh -c 'cd /srv/kappatune && exec "$@"' sh "$@"
}
# The same without a network: no interface but the loop-back is left.
offline() {
    unshare --net sh -c 'ip link set lo up 2>/dev/null; exec "$@"' sh "${BASH:-bash}" -c "$(declare -f inside); tree=$tree inside \"\$@\"" bash "$@"
}

timed "./demo.sh" inside ./demo.sh
timed "./demo.sh again, no network" offline ./demo.sh
timed "./test.sh --quick" inside ./test.sh --quick
timed "./test.sh --quick again, no network" offline ./test.sh --quick

printf '\n==== a bare %s\n' "$suite"
printf '%s\n' "${report[@]}"
[ "$failed" = no ]
