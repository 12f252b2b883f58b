#!/bin/sh
# Compiles the kernels for each architecture and prints a Markdown table of what ptxas gave them: registers a thread,
# shared memory a block, bytes spilled or on the stack. Fails if there are any.
# usage: tools/kernel-table.sh [ARCHITECTURE ...]      (default: 80 90 100; nvcc on PATH or in NVCC)
set -eu
cd "$(dirname "$0")/.."
nvcc=${NVCC:-nvcc}
command -v "$nvcc" >/dev/null || { echo "kernel-table.sh: no $nvcc (put it on PATH or set NVCC)" >&2; exit 1; }
[ $# -gt 0 ] || set -- 80 90 100
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
targets=
for architecture; do
    targets="$targets -gencode arch=compute_$architecture,code=sm_$architecture"
done
targets="$targets -gencode arch=compute_$architecture,code=compute_$architecture"
# All kernels in one file, as they don't depend on each other: the compiler reads CUDA's headers once.
for source in src/kernels/*.cu; do
    echo "#include \"kernels/${source##*/}\""
done >"$folder/all.cu"
# shellcheck disable=SC2086 # one word each
"$nvcc" -std=c++17 -O3 -DNDEBUG -I src $targets -Xptxas -v -c -o "$folder/all.o" "$folder/all.cu" \
    >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
awk -v architectures="$*" '
    /Compiling entry function/ { # ... function '\''NAME'\'' for '\''sm_NN'\''
        gsub(/\047/, "")
        kernel = $(NF - 2)
        sub(/^kt_kernel_/, "", kernel)
        architecture = $NF
        sub(/^sm_/, "", architecture)
        if (!(kernel in known)) {
            known[kernel] = 1
            names[++count] = kernel
        }
    }
    /bytes stack frame/ {
        spilled[kernel, architecture] = $1 + $5 + $9 # a stack frame is memory as slow
    }
    match($0, /Used [0-9]+ registers/) { registers[kernel, architecture] = substr($0, RSTART + 5) + 0 }
    match($0, /[0-9]+ bytes smem/) { shared[kernel, architecture] = substr($0, RSTART) + 0 }
    END {
        n = split(architectures, each, " ")
        line = "| kernel |"
        rule = "| --- |"
        for (i = 1; i <= n; i++) {
            line = line " registers, sm_" each[i] " |"
            rule = rule " --- |"
        }
        print line " shared memory, bytes | spilled or on the stack, bytes |"
        print rule " --- | --- |"
        for (k = 1; k <= count; k++) {
            kernel = names[k]
            line = "| " kernel " |"
            most_shared = most_spilled = 0
            for (i = 1; i <= n; i++) {
                if (!((kernel, each[i]) in registers) || !((kernel, each[i]) in spilled)) {
                    print "kernel-table.sh: ptxas says nothing of " kernel " for sm_" each[i] > "/dev/stderr"
                    bad = 1
                }
                line = line " " registers[kernel, each[i]] " |"
                if (shared[kernel, each[i]] > most_shared)
                    most_shared = shared[kernel, each[i]]
                if (spilled[kernel, each[i]] > most_spilled)
                    most_spilled = spilled[kernel, each[i]]
            }
            print line " " most_shared + 0 " | " most_spilled + 0 " |"
            if (most_spilled > 0) {
                print "kernel-table.sh: " kernel " spills, or has a stack" > "/dev/stderr"
                bad = 1
            }
        }
        if (count == 0) {
            print "kernel-table.sh: no kernel was found" > "/dev/stderr"
            bad = 1
        }
        exit bad
    }' "$folder/log"
