/* What a device is: memory, and something that runs lists of operations.
 *
 * Only this folder knows which device it is. A device has lanes that may run at
 * the same time from different host threads: the CPU's is a worker thread; the
 * CUDA one's is a fold, and jobs of several lanes run as one.
 */
#ifndef KTI_DEVICE_DEVICE_H
#define KTI_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include <kappatune/error.h>

#include "device/operation.h"

typedef struct kti_device kti_device;

/* `name` is "cpu" (or NULL), "cuda", "cuda-cublas" or "cuda-cudnn", whose matrix products or layers are that library's where
 * it can, or "cuda-auto", which times them. All but the first fail with KT_DEVICE where the build or the machine has no such
 * device, saying what is missing. `lanes` >= 1. */
kt_status kti_device_create(const char *name, int lanes, kti_device **device, kt_error *error);

/* The same on one of several GPUs, `ordinal` from 0 on. */
kt_status kti_device_create_at(const char *name, int ordinal, int lanes, kti_device **device,
                               kt_error *error);

/* From now on this process counts GPUs from `ordinal` on, and from the first one again behind the last: for ranks of a host, which
 * share its GPUs. */
void kti_device_prefer(int ordinal);

/* How many devices of that name the machine has, at least 1; the CPU is one. */
kt_status kti_device_count(const char *name, int *count, kt_error *error);

void kti_device_destroy(kti_device *device);

/* Whether the device of that name fuses: jobs of several lanes that run the same list become one. Then a lane is a fold,
 * and the lanes' plans share a list and its memory. */
bool kti_device_name_fuses(const char *name);
bool kti_device_fuses(const kti_device *device);

/* Whether several operations on the same rows are best one: not where a library is to do some of them. */
bool kti_device_chains(const kti_device *device);

int kti_device_lanes(const kti_device *device);

/* What runs: "cpu (avx512)". */
const char *kti_device_description(const kti_device *device);

/* Zeroed device memory, 64-byte aligned. `what` names it in errors. */
kt_status kti_device_allocate(kti_device *device, size_t bytes, const char *what, void **memory,
                              kt_error *error);
void kti_device_release(kti_device *device, void *memory);

/* Zeroed host memory that jobs may copy from and to. */
kt_status kti_device_allocate_host(kti_device *device, size_t bytes, const char *what, void **memory,
                                   kt_error *error);
void kti_device_release_host(kti_device *device, void *memory);

/* Copies between host and device memory; complete on return. */
kt_status kti_device_upload(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error);
kt_status kti_device_download(kti_device *device, void *to, const void *from, size_t bytes, kt_error *error);

/* `bytes` 0: nothing is copied. The host's side is memory of kti_device_allocate_host. */
typedef struct kti_copy {
    void *to;
    const void *from;
    size_t bytes;
} kti_copy;

/* Operations in order for folds [first, first + count), between a copy to the device and one back. */
typedef struct kti_job {
    const kti_operation *list;
    int size;
    int first, count;
    int32_t rows[KT_ROW_KINDS]; /* at least as many as the batch has of each kind */
    kti_copy in, out;
} kti_job;

/* Runs the job on a lane; complete on return. A device that fuses waits for the jobs of all lanes that have entered. */
kt_status kti_device_run(kti_device *device, int lane, const kti_job *job, kt_error *error);

typedef struct kti_peak {
    double bytes_per_second, flops_per_second;
} kti_peak;

/* What the device can do at most, measured on a copy of `bytes` and a product of matrices [size, size]; zeros where the kind of
 * device does not measure it. No lane runs meanwhile. */
kt_status kti_device_peak(kti_device *device, size_t bytes, int size, kti_peak *peak, kt_error *error);

/* Other means that a device has for the same operations, to check its kernels: on the CPU another instruction set, whose last bits may
 * differ; on a GPU other shapes of launches, within what a kernel's rule allows (kernels/launch.h), with the same bits. */
typedef struct kti_variation {
    char name[64];
    bool same_bits;
} kti_variation;

int kti_device_variations(const kti_device *device);

/* From now on operations run by variation i, 0 .. their number - 1, which is described; -1: as usual. No lane runs meanwhile. */
void kti_device_vary(kti_device *device, int i, kti_variation *variation);

/* To be called before a list is freed or changed, after its last job. */
void kti_device_forget(kti_device *device, const kti_operation *list);

/* A lane that has entered runs jobs again and again; before it does something else for long it leaves. A lane that has not
 * entered waits for nobody. No-ops on a device that doesn't fuse. */
void kti_device_enter(kti_device *device, int lane);
void kti_device_leave(kti_device *device, int lane);

/* ---- several devices that share a fold ---- */

/* Makes devices that have run nothing yet the ranks of a group, each of whose lists may hold KTI_OP_ALL_REDUCE. All of them
 * then run the same operations of the group in the same order, from a thread each. One that waits for the others for more
 * than `patience` seconds gives up, and with it the group: KT_DEVICE. KT_DEVICE too where the build lacks what it needs. */
kt_status kti_device_connect(kti_device *const *devices, int count, double patience, kt_error *error);

/* 0 and 1 for a device that is not connected. */
int kti_device_rank(const kti_device *device);
int kti_device_ranks(const kti_device *device);

/* Copies device memory of the group's first device to the same of the others: each calls it with its own. */
kt_status kti_device_broadcast(kti_device *device, void *memory, size_t bytes, kt_error *error);

/* For a rank that will not take part any more: the others, who may wait for it, fail soon. Any thread may call it. */
void kti_device_abandon(kti_device *device);

/* ---- what a device may choose ---- */

/* Who computes: our own kernels or a library. They round differently. */
typedef enum kti_way { KTI_WAY_OWN, KTI_WAY_CUBLAS, KTI_WAY_CUDNN, KTI_WAYS } kti_way;

/* "own", "cublas", "cudnn" */
const char *kti_way_name(kti_way way);

/* A shape of operations that has several ways, and the one that they take, whatever the rows and folds. */
typedef struct kti_choice {
    char shape[96];
    kti_way way;
    double microseconds[KTI_WAYS]; /* 0: not timed */
} kti_choice;

/* Whether the device chooses by itself, when a shape is met first: "cuda-auto". The others don't choose at all. */
bool kti_device_chooses(const kti_device *device);

/* The number of choices so far, of which at most `room` are copied; none is ever changed. */
int kti_device_choices(kti_device *device, kti_choice *choices, int room);

/* Before the first job of a device that chooses: these need not be made. One that this build can't honour is KT_BAD_FORMAT. */
kt_status kti_device_choose(kti_device *device, const kti_choice *choices, int count, kt_error *error);

#endif
