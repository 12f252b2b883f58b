#!/bin/sh
# check_chain_loads.sh ROOT NVCC [CUOBJDUMP]: compiles the chains for a GPU and looks at how they load. A chain's links write what its later
# links read, and its parameters are constants of the launch, so it may have neither
#   - a non-coherent load (ld.global.nc, LDG.CONSTANT), which is undefined for memory that the same launch writes; nvcc makes one of every
#     const operand that is restrict (KT_LINK_RESTRICT, src/kernels/kernel.h);
#   - a generic load (ld.u32 without a space, LD.E), which is what reads a parameter whose address was chosen or kept as a pointer, instead of
#     the constant bank.
# It reads the PTX and, where there is a cuobjdump, the machine code. Prints one line a kernel and kind of load; exit status 1 where there is one
# that must not be, 2 where no chain was found, 77 without nvcc.
set -eu
root=${1:?usage: check_chain_loads.sh ROOT NVCC [CUOBJDUMP]}
nvcc=${2:?usage: check_chain_loads.sh ROOT NVCC [CUOBJDUMP]}
cuobjdump=${3-}
command -v "$nvcc" >/dev/null || { echo "no nvcc: skipped"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# judge KERNEL NON_COHERENT GENERIC: three patterns, of the line that a kernel begins with and of both kinds of load, in the listing on standard
# input.
judge() {
    awk -v begin="$1" -v non_coherent="$2" -v generic="$3" '
        $0 ~ begin {
            kernel = $0
            sub(/.*kt_kernel_/, "", kernel)
            sub(/[^a-z_].*/, "", kernel)
            kernels++
        }
        $0 ~ non_coherent { count[kernel ": non-coherent loads"]++ }
        $0 ~ generic { count[kernel ": generic loads"]++ }
        END {
            for (what in count) {
                print what ": " count[what]
                bad = 1
            }
            if (!kernels)
                print "no kernel was found"
            exit !kernels ? 2 : bad
        }'
}

status=0
"$nvcc" -std=c++17 -O3 -DNDEBUG -I "$root/src" -arch=compute_80 -ptx -o "$folder/chain.ptx" "$root/src/kernels/chain.cu"
judge '[.]entry kt_kernel_[a-z]*_chain' 'ld[.]global[a-zA-Z0-9.:]*[.]nc[.]' '[ \t]ld([.]volatile)?([.]v[0-9])?[.][bfsu][0-9]+[ \t]' \
    <"$folder/chain.ptx" || status=$?
if [ -n "$cuobjdump" ] && command -v "$cuobjdump" >/dev/null; then
    "$nvcc" -std=c++17 -O3 -DNDEBUG -I "$root/src" -arch=sm_80 -cubin -o "$folder/chain.cubin" "$root/src/kernels/chain.cu"
    "$cuobjdump" -sass "$folder/chain.cubin" >"$folder/chain.sass"
    judge 'Function : kt_kernel_[a-z]*_chain' ' LDG[.A-Z0-9]*[.]CONSTANT' ' LD[.]E' <"$folder/chain.sass" || status=$?
fi
[ "$status" -ne 0 ] || echo "the chains load rightly"
exit "$status"
