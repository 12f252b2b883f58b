#!/bin/sh
# test_check_chain_loads.sh NVCC [CUOBJDUMP]: shows that check_chain_loads.sh judges small chains rightly.
set -eu
nvcc=${1:?usage: test_check_chain_loads.sh NVCC [CUOBJDUMP]}
cuobjdump=${2-}
command -v "$nvcc" >/dev/null || { echo "no nvcc: skipped"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir -p src/kernels
failures=0

# judged STATUS TEXT [NVCC]: what stands in chain.cu gets this verdict.
judged() {
    status=0
    sh "$here/check_chain_loads.sh" . "${3-$nvcc}" "$cuobjdump" >said || status=$?
    if [ "$status" -ne "$1" ] || ! grep -qF "$2" said; then
        echo "FAILED: status $status, wanted $1 and '$2', got:"
        cat said
        cat src/kernels/chain.cu
        failures=$((failures + 1))
    fi
}

# chain KERNEL BODY: a kernel of a chain of three links, each of which doubles what the pointer `in` leads to.
chain() {
    cat >src/kernels/chain.cu <<SOURCE
struct link { int kind; float *in, *out; };
struct chain { link own[3]; };
static __device__ __forceinline__ void twice(const float *$2in, float *out)
{
    out[threadIdx.x] = 2 * in[threadIdx.x];
}
extern "C" __global__ void $1(const __grid_constant__ chain a)
{
    for (int i = 0; i < 3; i++) {
        const link *now = $3;
        if (now)
            twice(now->in, now->out);
        __syncthreads();
    }
}
SOURCE
}
chain kt_kernel_any_chain "" "&a.own[i]"
judged 0 "the chains load rightly"
chain kt_kernel_any_chain "__restrict__ " "&a.own[i]"
judged 1 "any_chain: non-coherent loads: "
chain kt_kernel_any_chain "" "a.own[i].kind ? &a.own[i] : 0"
judged 1 "any_chain: generic loads: "
chain another "" "&a.own[i]"
judged 2 "no kernel was found"
judged 77 "no nvcc: skipped" ./no-such-nvcc

[ "$failures" -eq 0 ] && echo "all chains judged rightly"
exit "$failures"
