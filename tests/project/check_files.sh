#!/bin/sh
# check_files.sh ROOT: no file of the repository may name a path of the machine it was written on or a host that packages
# come from (the reader's machine has its own), nor weigh more than 4 MiB. Prints one line a violation; exit status 1 when
# there is any, 77 where ROOT is no git checkout.
set -eu
LC_ALL=C
export LC_ALL

root=${1:?usage: check_files.sh ROOT}
cd "$root"
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo "no git checkout: skipped"; exit 77; }

# Each pattern holds a bracket where it would otherwise match its own text.
paths='(^|[^A-Za-z0-9_.~$}-])/(wor[k]|hom[e]|roo[t]|User[s]|scratc[h]|mn[t])/[A-Za-z0-9_.-]+'
hosts='(deb|ftp|security|snapshot|archive)[.][a-z.]*(debian|ubuntu)[.](org|com)|pypi[.]org|pythonhosted[.]org|[.]pkg[.]dev'
hosts="$hosts|conda[.]anaconda[.]org|registry[.]npmjs[.]org|proxy[.]golang[.]org|(artifactory|nexus|mirror)[.][a-z0-9-]+[.]"

bad=0
list=$(mktemp)
trap 'rm -f "$list"' EXIT
git -c core.quotePath=off ls-files -co --exclude-standard >"$list"
while IFS= read -r file; do
    [ -f "$file" ] || continue
    size=$(wc -c <"$file")
    if [ "$size" -gt 4194304 ]; then
        echo "$file: $size bytes, more than 4 MiB"
        bad=1
    fi
    if grep -nIE "$paths" "$file" | sed "s|^|$file:|; s|\$|   <- a path of this machine|" | grep .; then bad=1; fi
    if grep -nIiE "$hosts" "$file" | sed "s|^|$file:|; s|\$|   <- a package host|" | grep .; then bad=1; fi
done <"$list"
exit "$bad"
