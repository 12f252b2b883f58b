#!/bin/sh
# Shows that check_includes.sh accepts a made-up tree in order and refuses each kind of disorder, for the right reason.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# A tree that keeps every rule.
fresh() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/include/kappatune" "$scratch/tree/src/kernels"
    for room in base crystal data model device train statistics cli; do
        mkdir -p "$scratch/tree/src/host/$room"
        printf '#include <kappatune/error.h>\n#include <stdio.h>\n' >"$scratch/tree/src/host/$room/$room.h"
    done
    cd "$scratch/tree"
    echo '#include <stdint.h>' >include/kappatune/error.h
    echo '#include <math.h>' >src/kernels/kernel.h
    echo '#include "kernels/kernel.h"' >src/kernels/adam.cu
    printf '#include "base/base.h"\n#include "crystal.h"\n' >src/host/crystal/crystal.c
    printf '#include <cuda_runtime.h>\n#include "kernels/kernel.h"\n#include "model/model.h"\n' >src/host/device/device.c
    printf '#include "kernels/kernel.h"\n#include "device/device.h"\n' >src/host/train/train.c
    printf '#include "statistics/statistics.h"\n#include "base/base.h"\n' >src/host/cli/main.c
}

# refused NAME 'file:line' TEXT: the tree as it now stands is refused with exactly one line, at that place, saying TEXT.
refused() {
    status=0
    sh "$here/check_includes.sh" "$scratch/tree" >"$scratch/said" || status=$?
    if [ "$status" -ne 1 ] || [ "$(wc -l <"$scratch/said")" -ne 1 ] || ! grep -qF "$2: " "$scratch/said" ||
        ! grep -qF "$3" "$scratch/said"; then
        echo "FAILED: $1: status $status, wanted one line '$2: ...$3...', got:"
        cat "$scratch/said"
        failures=$((failures + 1))
    fi
}

fresh
if ! sh "$here/check_includes.sh" "$scratch/tree"; then
    echo "FAILED: a tree in order was refused"
    failures=$((failures + 1))
fi

fresh; echo '#include "train/train.h"' >>src/host/data/data.h
refused "a higher room" src/host/data/data.h:3 "the higher room train"
fresh; echo '# include  <train/train.h>' >>src/host/data/data.h
refused "a higher room in angle brackets" src/host/data/data.h:3 "the higher room train"
fresh; echo '#include "device.h"' >>src/host/base/base.h
refused "a header of another room by its bare name" src/host/base/base.h:3 "device.h is not there"
fresh; echo '#include "../base/base.h"' >>src/host/crystal/crystal.c
refused "a path upwards" src/host/crystal/crystal.c:3 "without .."
fresh; echo '#include "kernels/kernel.h"' >>src/host/crystal/crystal.h
refused "a kernel header below data" src/host/crystal/crystal.h:3 "a kernel header"
fresh; echo '#include "base/base.h"' >>src/kernels/adam.cu
refused "a kernel that includes a room" src/kernels/adam.cu:2 "a kernel includes src/host/base/base.h"
fresh; echo '#include <kappatune/error.h>' >>src/kernels/adam.cu
refused "a kernel that includes a public header" src/kernels/adam.cu:2 "a kernel includes include/kappatune/error.h"
fresh; echo '#include "base/base.h"' >>include/kappatune/error.h
refused "a public header that includes a room" include/kappatune/error.h:2 "a public header includes"
fresh; echo '#include <cudnn.h>' >>src/host/train/train.c
refused "a CUDA header outside device" src/host/train/train.c:3 "only src/host/device"
fresh; echo '#include <cublas_v2.h>' >>src/kernels/adam.cu
refused "a CUDA header in a kernel" src/kernels/adam.cu:2 "only src/host/device"
fresh; mkdir src/host/gpu; echo 'int x;' >src/host/gpu/gpu.c
refused "an unknown room" src/host/gpu/gpu.c:1 "stands in no room"
fresh; echo '#include <kappatune/nothing.h>' >>src/host/cli/main.c
refused "a public header that is missing" src/host/cli/main.c:3 "is not there"

[ "$failures" -eq 0 ] && echo "all trees judged rightly"
exit "$failures"
