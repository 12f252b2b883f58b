/* Device memory and pinned host memory.
 *
 * Device addresses come from one reserved range that this program may only touch while the device runs, and are never
 * given out twice. An allocation:
 *
 *     | zone | data, aligned to 1024 bytes | zone, to the end of the page |
 *
 * All of it begins as 0xff bytes, which are NaN as numbers and -1 as indices. What is freed becomes 0xff again and is
 * kept for a while; then its pages go, and whoever touches them dies.
 */
#include "cuda_emulator/internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS 0x20
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0x4000
#endif

enum { ZONE = 1024, PAGE = 4096 };
static const size_t RESERVED = (size_t)64 << 30, KEPT = (size_t)128 << 20;

typedef enum life { LIVE, FREED, GONE } life;

typedef struct block {
    unsigned char *base, *data;
    size_t span, bytes;
    int device, number;
    life life;
} block;

static unsigned char *region;
static size_t used; /* of the region */
static block *blocks;
static int block_count, block_room, oldest_freed;
static size_t kept;

static block *pinned;
static int pinned_count, pinned_room, pinned_numbers;

static size_t allocated[EMULATOR_DEVICES_MAX];
static bool open;
static const char *running_now;

void emu_running(const char *what)
{
    running_now = what;
}

/* ---- a host that touches device memory, and kernels far out of bounds ---- */

static void write_text(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(3);
}

static void touched(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    unsigned char *address = info->si_addr;
    if (region && address >= region && address < region + RESERVED) {
        write_text(open ? "cuda_emulator: memory that isn't allocated is touched by "
                        : "cuda_emulator: the host touches device memory\n");
        if (open) {
            write_text(running_now ? running_now : "the device");
            write_text("\n");
        }
    }
    signal(signal_number, SIG_DFL);
}

/* At every start: a test's framework may have put its own in the place. */
void emu_watch_touches(void)
{
    struct sigaction action = {.sa_sigaction = touched, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
}

static void reserve(void)
{
    if (region)
        return;
    region = mmap(NULL, RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        abort();
}

static void protect(int protection)
{
    for (int i = 0; i < block_count;) {
        if (blocks[i].life == GONE) {
            i++;
            continue;
        }
        unsigned char *from = blocks[i].base, *to = from;
        while (i < block_count && blocks[i].life != GONE)
            to += blocks[i++].span;
        if (mprotect(from, (size_t)(to - from), protection) != 0)
            abort();
    }
}

void emu_open_memory(void)
{
    if (!open)
        protect(PROT_READ | PROT_WRITE);
    open = true;
}

void emu_close_memory(void)
{
    if (open)
        protect(PROT_NONE);
    open = false;
}

/* ---- blocks ---- */

/* The block whose span holds the address; NULL: none ever. */
static block *find(const void *pointer)
{
    const unsigned char *p = pointer;
    int low = 0, high = block_count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (p < blocks[middle].base)
            high = middle;
        else
            low = middle + 1;
    }
    return low > 0 && p < blocks[low - 1].base + blocks[low - 1].span ? &blocks[low - 1] : NULL;
}

static bool in_region(const void *pointer)
{
    const unsigned char *p = pointer;
    return region && p >= region && p < region + RESERVED;
}

static block *find_pinned(const void *pointer)
{
    const unsigned char *p = pointer;
    for (int i = 0; i < pinned_count; i++)
        if (p >= pinned[i].data && p < pinned[i].data + pinned[i].bytes)
            return &pinned[i];
    return NULL;
}

emu_memory emu_memory_of(const void *pointer)
{
    return in_region(pointer) ? EMU_DEVICE : find_pinned(pointer) ? EMU_PINNED : EMU_PAGEABLE;
}

/* The first byte of [from, from + size) that isn't 0xff, or `size`. */
static size_t first_written(const unsigned char *from, size_t size)
{
    static const unsigned char clean[256] = {
#define FF8 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
#define FF64 FF8, FF8, FF8, FF8, FF8, FF8, FF8, FF8
        FF64, FF64, FF64, FF64};
    size_t i = 0;
    while (size - i >= sizeof clean && memcmp(from + i, clean, sizeof clean) == 0)
        i += sizeof clean;
    while (i < size && from[i] == 0xff)
        i++;
    return i;
}

static void check_zone(const block *b, const char *of, unsigned char *from, size_t size, const char *after)
{
    const size_t at = first_written(from, size);
    if (at == size)
        return;
    emu_violation("%s wrote out of bounds: byte %td of the %zu of %s allocation %d", after,
                  from + at - b->data, b->bytes, of, b->number);
    memset(from, 0xff, size);
}

static void check_block(const block *b, const char *of, const char *after)
{
    check_zone(b, of, b->base, (size_t)(b->data - b->base), after);
    check_zone(b, of, b->data + b->bytes, (size_t)(b->base + b->span - b->data) - b->bytes, after);
}

void emu_check_zones(const char *after)
{
    for (int i = 0; i < block_count; i++)
        if (blocks[i].life == LIVE)
            check_block(&blocks[i], "device", after);
}

static void check_freed_block(block *b)
{
    const size_t at = first_written(b->base, b->span);
    if (at == b->span)
        return;
    emu_violation("freed device memory was written: byte %td of the %zu of allocation %d",
                  b->base + at - b->data, b->bytes, b->number);
    memset(b->base, 0xff, b->span);
}

/* Freed memory and pinned memory, which are too large to look at after every kernel. */
void emu_check_freed(void)
{
    emu_open_memory();
    for (int i = 0; i < block_count; i++)
        if (blocks[i].life == FREED)
            check_freed_block(&blocks[i]);
    emu_close_memory();
    for (int i = 0; i < pinned_count; i++)
        check_block(&pinned[i], "pinned", "somebody");
}

/* ---- checks for others ---- */

bool emu_check_device(const void *pointer, size_t bytes, int device, const char *what)
{
    const unsigned char *p = pointer;
    const block *b = find(p);
    if (!in_region(p))
        emu_violation("%s: %s is no device memory", emu_call(), what);
    else if (!b || b->life != LIVE)
        emu_violation("%s: %s is device memory that %s", emu_call(), what,
                      b ? "was freed" : "was never allocated");
    else if (b->device != device)
        emu_violation("%s: %s is memory of device %d, not %d", emu_call(), what, b->device, device);
    else if (p < b->data || p > b->data + b->bytes || bytes > (size_t)(b->data + b->bytes - p))
        emu_violation("%s: %s leaves its allocation: %zu bytes at %td of %zu", emu_call(), what, bytes,
                      p - b->data, b->bytes);
    else
        return true;
    return false;
}

bool emu_check_pinned(const void *pointer, size_t bytes, const char *what)
{
    const unsigned char *p = pointer;
    const block *b = find_pinned(p);
    if (!b)
        emu_violation("%s: %s is no live pinned memory", emu_call(), what);
    else if (bytes > (size_t)(b->data + b->bytes - p))
        emu_violation("%s: %s leaves its pinned allocation: %zu bytes at %td of %zu", emu_call(), what, bytes,
                      p - b->data, b->bytes);
    else
        return true;
    return false;
}

bool emu_check_words(const void *argument, size_t bytes, int device, const char *what)
{
    bool good = true;
    for (size_t i = 0; i + sizeof(void *) <= bytes; i += sizeof(void *)) {
        void *word;
        memcpy(&word, (const char *)argument + i, sizeof word);
        /* In the range but never allocated: an integer beside padding, not an address. */
        const block *b = in_region(word) ? find(word) : NULL;
        if (!b || (b->life == LIVE && b->device == device))
            continue;
        good = false;
        if (b->life != LIVE)
            emu_violation("%s has a pointer to freed device memory (allocation %d)", what, b->number);
        else
            emu_violation("%s has a pointer to memory of device %d, not %d", what, b->device, device);
    }
    return good;
}

int emu_list_memory(void (*tell)(const char *text))
{
    char text[96];
    int n = 0;
    for (int i = 0; i < block_count; i++)
        if (blocks[i].life == LIVE) {
            snprintf(text, sizeof text, "%zu bytes of device memory (allocation %d)", blocks[i].bytes,
                     blocks[i].number);
            tell(text);
            n++;
        }
    for (int i = 0; i < pinned_count; i++, n++) {
        snprintf(text, sizeof text, "%zu bytes of pinned memory (allocation %d)", pinned[i].bytes,
                 pinned[i].number);
        tell(text);
    }
    return n;
}

void emu_forget_memory(void)
{
    if (region && used &&
        mmap(region, used, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
            region)
        abort();
    for (int i = 0; i < pinned_count; i++)
        free(pinned[i].base);
    used = kept = 0;
    open = false;
    block_count = oldest_freed = pinned_count = pinned_numbers = 0;
    memset(allocated, 0, sizeof allocated);
}

/* ---- the API ---- */

static cudaError_t allocate(void **pointer, size_t bytes)
{
    const int device = emu_current_device;
    const size_t span = (2 * ZONE + bytes + PAGE - 1) / PAGE * PAGE;
    cudaError_t error = emu_nobody_captures();
    if (!pointer)
        return emu_refuse(cudaErrorInvalidValue, "nowhere to put the address");
    *pointer = NULL;
    if (error)
        return error;
    if (bytes == 0)
        return cudaSuccess;
    if (device >= emu_options.devices)
        return cudaErrorNoDevice;
    if (bytes > emu_options.memory || allocated[device] + bytes > emu_options.memory)
        return cudaErrorMemoryAllocation;
    reserve();
    if (used + span > RESERVED)
        return cudaErrorMemoryAllocation;
    emu_grow(&blocks, block_count, &block_room, sizeof *blocks);
    block *b = &blocks[block_count];
    *b = (block){.base = region + used,
                 .data = region + used + ZONE,
                 .span = span,
                 .bytes = bytes,
                 .device = device,
                 .number = ++block_count};
    used += span;
    allocated[device] += bytes;
    if (mprotect(b->base, span, PROT_READ | PROT_WRITE) != 0)
        abort();
    memset(b->base, 0xff, span);
    if (!open && mprotect(b->base, span, PROT_NONE) != 0)
        abort();
    *pointer = b->data;
    return cudaSuccess;
}

EMU_API cudaError_t cudaMalloc(void **pointer, size_t bytes)
{
    if (emu_enter(__func__, EMU_WORK)) {
        if (pointer)
            *pointer = NULL;
        return emu_leave(cudaErrorMemoryAllocation);
    }
    return emu_leave(allocate(pointer, bytes));
}

static void let_oldest_go(void)
{
    block *b = &blocks[oldest_freed++];
    if (b->life != FREED)
        return;
    check_freed_block(b);
    b->life = GONE;
    kept -= b->span;
    if (mmap(b->base, b->span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
        b->base)
        abort();
}

/* Waits for the device, as the real one does. */
static cudaError_t release(void *pointer)
{
    if (!pointer)
        return cudaSuccess;
    block *b = find(pointer);
    cudaError_t error = emu_nobody_captures();
    if (error)
        return error;
    if (!b || b->data != pointer)
        return emu_refuse(cudaErrorInvalidValue, "no address that cudaMalloc gave");
    if (b->life != LIVE)
        return emu_refuse(cudaErrorInvalidValue, "freed twice");
    error = emu_run_until(NULL);
    emu_open_memory();
    check_block(b, "device", "somebody");
    memset(b->base, 0xff, b->span);
    b->life = FREED;
    kept += b->span;
    allocated[b->device] -= b->bytes;
    while (kept > KEPT && oldest_freed < block_count)
        let_oldest_go();
    emu_close_memory();
    return error;
}

EMU_API cudaError_t cudaFree(void *pointer)
{
    const cudaError_t injected = emu_enter(__func__, EMU_CLEANUP) ? cudaErrorUnknown : cudaSuccess;
    const cudaError_t error = release(pointer);
    return emu_leave(error ? error : injected);
}

EMU_API cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    if (emu_current_device >= emu_options.devices)
        return emu_leave(cudaErrorNoDevice);
    *total = emu_options.memory;
    *free_bytes = emu_options.memory - allocated[emu_current_device];
    return emu_leave(cudaSuccess);
}

static cudaError_t allocate_pinned(void **pointer, size_t bytes)
{
    const size_t span = (2 * ZONE + bytes + PAGE - 1) / PAGE * PAGE;
    void *base;
    if (!pointer)
        return emu_refuse(cudaErrorInvalidValue, "nowhere to put the address");
    *pointer = NULL;
    const cudaError_t error = emu_nobody_captures();
    if (error || bytes == 0)
        return error;
    if (posix_memalign(&base, PAGE, span) != 0)
        return cudaErrorMemoryAllocation;
    memset(base, 0xff, span);
    emu_grow(&pinned, pinned_count, &pinned_room, sizeof *pinned);
    block *b = &pinned[pinned_count++];
    *b = (block){.base = base,
                 .data = (unsigned char *)base + ZONE,
                 .span = span,
                 .bytes = bytes,
                 .number = ++pinned_numbers};
    *pointer = b->data;
    return cudaSuccess;
}

EMU_API cudaError_t cudaMallocHost(void **pointer, size_t bytes)
{
    if (emu_enter(__func__, EMU_WORK)) {
        if (pointer)
            *pointer = NULL;
        return emu_leave(cudaErrorMemoryAllocation);
    }
    return emu_leave(allocate_pinned(pointer, bytes));
}

EMU_API cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned flags)
{
    const unsigned known = cudaHostAllocPortable | cudaHostAllocWriteCombined;
    if (emu_enter(__func__, EMU_WORK)) {
        if (pointer)
            *pointer = NULL;
        return emu_leave(cudaErrorMemoryAllocation);
    }
    if (flags & ~known)
        return emu_leave(emu_refuse(cudaErrorInvalidValue, "flags %#x aren't emulated", flags));
    return emu_leave(allocate_pinned(pointer, bytes));
}

static cudaError_t release_pinned(void *pointer)
{
    if (!pointer)
        return cudaSuccess;
    block *b = find_pinned(pointer);
    if (!b || b->data != pointer)
        return emu_refuse(cudaErrorInvalidValue, "no live address that cudaMallocHost gave");
    if (emu_memory_in_use(b->data, b->bytes))
        emu_violation("%s: a copy that hasn't run yet uses this pinned memory", emu_call());
    const cudaError_t error = emu_run_until(NULL);
    check_block(b, "pinned", "somebody");
    free(b->base);
    *b = pinned[--pinned_count];
    return error;
}

EMU_API cudaError_t cudaFreeHost(void *pointer)
{
    const cudaError_t injected = emu_enter(__func__, EMU_CLEANUP) ? cudaErrorUnknown : cudaSuccess;
    const cudaError_t error = release_pinned(pointer);
    return emu_leave(error ? error : injected);
}

EMU_API cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *pointer)
{
    if (emu_enter(__func__, EMU_ASK))
        return emu_leave(cudaErrorUnknown);
    const emu_memory memory = emu_memory_of(pointer);
    const block *b = memory == EMU_DEVICE ? find(pointer) : NULL;
    memset(attributes, 0, sizeof *attributes);
    attributes->type = memory == EMU_DEVICE   ? cudaMemoryTypeDevice
                       : memory == EMU_PINNED ? cudaMemoryTypeHost
                                              : cudaMemoryTypeUnregistered;
    attributes->device = b ? b->device : 0;
    attributes->devicePointer = memory == EMU_DEVICE ? (void *)pointer : NULL;
    attributes->hostPointer = memory == EMU_PINNED ? (void *)pointer : NULL;
    return emu_leave(cudaSuccess);
}
