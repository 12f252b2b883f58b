/* Devices and versions. */
#include "cuda_emulator/internal.h"

#include <stdio.h>
#include <string.h>

EMU_API cudaError_t cudaGetDeviceCount(int *count)
{
    if (emu_enter(__func__, EMU_ASK)) {
        *count = 0;
        return emu_leave(cudaErrorInitializationError);
    }
    *count = emu_options.devices;
    return emu_leave(emu_options.devices ? cudaSuccess : cudaErrorNoDevice);
}

EMU_API cudaError_t cudaSetDevice(int device)
{
    if (emu_enter(__func__, EMU_WORK))
        return emu_leave(cudaErrorDevicesUnavailable);
    if (device < 0 || device >= emu_options.devices)
        return emu_leave(cudaErrorInvalidDevice);
    emu_current_device = device;
    return emu_leave(cudaSuccess);
}

EMU_API cudaError_t cudaGetDevice(int *device)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    *device = emu_current_device;
    return emu_leave(emu_options.devices ? cudaSuccess : cudaErrorNoDevice);
}

EMU_API cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    if (device < 0 || device >= emu_options.devices)
        return emu_leave(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated device");
    p->major = 9;
    p->warpSize = THREADS_WARP;
    p->totalGlobalMem = emu_options.memory;
    p->multiProcessorCount = emu_options.multiprocessors;
    p->maxThreadsPerBlock = THREADS_MAX;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxBlocksPerMultiProcessor = 32;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->sharedMemPerBlock = 49152;
    p->sharedMemPerBlockOptin = 232448;
    p->sharedMemPerMultiprocessor = 233472;
    p->totalConstMem = 65536;
    p->textureAlignment = 512;
    p->l2CacheSize = 52428800;
    p->memoryBusWidth = 5120;
    p->asyncEngineCount = 2;
    p->concurrentKernels = 1;
    p->unifiedAddressing = 1;
    p->pciBusID = device;
    return emu_leave(cudaSuccess);
}

EMU_API cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    if (device < 0 || device >= emu_options.devices)
        return emu_leave(cudaErrorInvalidDevice);
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = emu_options.multiprocessors; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = THREADS_MAX; break;
    case cudaDevAttrWarpSize: *value = THREADS_WARP; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 232448; break;
    case cudaDevAttrL2CacheSize: *value = 52428800; break;
    case cudaDevAttrClockRate: *value = 1980000; break;         /* kHz */
    case cudaDevAttrMemoryClockRate: *value = 3201000; break;   /* kHz */
    case cudaDevAttrGlobalMemoryBusWidth: *value = 6144; break; /* bits */
    default:
        return emu_leave(emu_refuse(cudaErrorInvalidValue, "attribute %d isn't emulated", (int)attribute));
    }
    return emu_leave(cudaSuccess);
}

EMU_API cudaError_t cudaDriverGetVersion(int *version)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    *version = emu_options.devices ? CUDART_VERSION : 0;
    return emu_leave(cudaSuccess);
}

EMU_API cudaError_t cudaRuntimeGetVersion(int *version)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    *version = CUDART_VERSION;
    return emu_leave(cudaSuccess);
}
