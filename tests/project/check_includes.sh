#!/bin/sh
# check_includes.sh ROOT: holds the #include lines of ROOT's sources to the project's order of rooms.
#
#   1. A room under src/host includes itself and lower rooms only.
#   2. Kernels (src/kernels) include kernels and system headers. Their headers say what packed buffers look like, so data, which
#      packs, and the rooms above it may include them.
#   3. Public headers include public and system headers only.
#   4. The CUDA, cuBLAS, cuDNN and NCCL headers are named in src/host/device alone.
#   5. An included file of ours exists, and is named without "..".
#
# Prints one line a violation, "file:line: reason"; exit status 1 when there is any, 2 for wrong usage.
set -eu
LC_ALL=C
export LC_ALL

root=${1:?usage: check_includes.sh ROOT}
[ -d "$root/src/host" ] || { echo "check_includes.sh: no src/host in $root" >&2; exit 2; }
cd "$root"

find src include -type f \( -name '*.h' -o -name '*.c' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.cc' -o -name '*.cu' \
    -o -name '*.cuh' -o -name '*.inc' \) | sort | xargs awk '
BEGIN {
    count = split("base ranks crystal data download model device train statistics predictor experiment report paper scan cli", order, " ")
    for (i = 1; i <= count; i++)
        rank[order[i]] = i
}
function violation(reason) {
    printf "%s:%d: %s\n", FILENAME, FNR, reason
    bad = 1
}
function exists(path,    line, got) {
    got = (getline line < path)
    close(path)
    return got >= 0
}
# Where a quoted include leads, as the compiler looks for it: beside the file, then the include directories.
function resolve(name,    folder) {
    folder = FILENAME
    sub(/[^\/]*$/, "", folder)
    if (exists(folder name)) return folder name
    if (exists("src/host/" name)) return "src/host/" name
    if (exists("src/" name)) return "src/" name
    if (exists("include/" name)) return "include/" name
    return ""
}
# The room of a path: one of the rooms, "kernels", "public", or "" for a file that stands in none.
function room_of(path,    part) {
    if (path ~ /^include\/kappatune\//) return "public"
    if (path ~ /^src\/kernels\//) return "kernels"
    split(path, part, "/")
    return path ~ /^src\/host\/[^\/]+\// ? part[3] : ""
}
FNR == 1 {
    here = room_of(FILENAME)
    if (here != "public" && here != "kernels" && !(here in rank))
        violation("stands in no room")
}
/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    line = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line)
    quoted = substr(line, 1, 1) == "\""
    name = substr(line, 2)
    sub(/[>"].*$/, "", name)

    if (name ~ /(^|\/)(cuda|cublas|cublasLt|cudnn|nccl|nvrtc|nvtx|curand|cusparse|cooperative_groups)[A-Za-z0-9_]*(\.h|\.hpp|\/.*)$/ && here != "device")
        violation("only src/host/device may include " name)
    if (name ~ /(^|\/)\.\.(\/|$)/) {
        violation("name " name " from the include directories, without ..")
        next
    }
    if (!quoted && name !~ /^(kappatune|kernels)\// && !(substr(name, 1, index(name, "/") - 1) in rank))
        next # a system header
    path = resolve(name)
    if (path == "") {
        violation(name " is not there")
        next
    }
    there = room_of(path)
    if (here == "public") {
        if (there != "public") violation("a public header includes " path)
    } else if (here == "kernels") {
        if (there != "kernels") violation("a kernel includes " path)
    } else if (here in rank) {
        if (there == "kernels") {
            if (rank[here] < rank["data"]) violation("room " here " includes a kernel header, " path)
        } else if (there in rank && rank[there] > rank[here])
            violation("room " here " includes the higher room " there ", " path)
    }
}
END { exit bad }
' || exit 1
