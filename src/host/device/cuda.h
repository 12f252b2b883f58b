/* The CUDA device, in pieces: memory and creation (cuda.c), jobs of several lanes as one (cuda_jobs.c), captured
 * sequences (cuda_graphs.c), operations as launches (cuda_launch.c), cuBLAS's matrix products (cuda_blas.c), cuDNN's layers
 * (cuda_dnn.c), which of them an operation takes (cuda_tune.c), what the GPU can do at most (cuda_peak.c), several GPUs that
 * share a fold (cuda_nccl.c). Where cuDNN or NCCL was not found, cuda_dnn_missing.c or cuda_no_nccl.c takes its place.
 *
 * One stream carries everything, in order; only within a captured list do operations that don't wait for one another stand
 * side by side. Whoever holds `lock` may use it.
 */
#ifndef KTI_DEVICE_CUDA_H
#define KTI_DEVICE_CUDA_H

#include <pthread.h>
#include <stdatomic.h>

#include <cuda_runtime_api.h>

#include "device/kind.h"

/* A captured sequence: a list of operations for a range of folds, launched for batches of at most `rows`. */
typedef struct kti_cuda_graph {
    const kti_operation *list;
    int size, first, count;
    int32_t rows[KT_ROW_KINDS];
    cudaGraphExec_t executable;
} kti_cuda_graph;

/* What a lane is doing; its thread waits while `job` is not NULL. */
typedef struct kti_cuda_lane {
    bool entered;
    const kti_job *job;
    kt_status status;
    kt_error error;
} kti_cuda_lane;

typedef struct kti_cuda_blas kti_cuda_blas;
typedef struct kti_cuda_nccl kti_cuda_nccl;
typedef struct kti_cuda_dnn kti_cuda_dnn;

/* Who does what several could do. */
typedef enum kti_cuda_variant {
    KTI_CUDA_OWN,   /* our kernels */
    KTI_CUDA_BLAS,  /* cuBLAS wherever it can */
    KTI_CUDA_DNN,   /* cuDNN wherever it can */
    KTI_CUDA_TIMED, /* the fastest of them for each shape */
    KTI_CUDA_VARIANTS
} kti_cuda_variant;

typedef struct kti_cuda {
    kti_device device; /* first */
    int ordinal;
    cudaStream_t stream;
    kti_cuda_variant variant;
    kti_cuda_blas *blas; /* NULL: all products are our own */
    kti_cuda_nccl *nccl; /* NULL: the GPU shares its folds with no other */
    kti_cuda_dnn *dnn;   /* NULL: no cuDNN */
    kti_choice *choice;  /* [choices] of KTI_CUDA_TIMED */
    size_t choices, choice_capacity;
    pthread_mutex_t lock;
    pthread_cond_t done;
    int entered, waiting;
    bool spins;               /* there are processors enough for lanes to wait without sleeping */
    atomic_ulong rounds;      /* that are over */
    kti_cuda_lane *lane;      /* [lanes] */
    const kti_job **together; /* [lanes] the jobs that run now */
    kti_cuda_graph *graph;    /* [graphs] */
    size_t graphs, graph_capacity;
} kti_cuda;

/* KT_OK, or KT_DEVICE saying what failed and CUDA's own words for it. */
kt_status kti_cuda_check(cudaError_t code, const char *what, kt_error *error);

/* Makes the device that of the calling thread, as every thread has to before it calls CUDA. */
kt_status kti_cuda_bind(const kti_cuda *cuda, kt_error *error);

/* Waits for all that is on the stream. */
kt_status kti_cuda_wait(kti_cuda *cuda, const char *what, kt_error *error);

/* ---- cuda_jobs.c ---- */

kt_status kti_cuda_run(kti_device *device, int lane, const kti_job *job, kt_error *error);
void kti_cuda_enter(kti_device *device, int lane);
void kti_cuda_leave(kti_device *device, int lane);

/* ---- cuda_graphs.c: under the lock ---- */

/* Puts the list for folds [first, first + count) on the stream, as one launch; captured when it is met first. */
kt_status kti_cuda_graph_launch(kti_cuda *cuda, const kti_operation *list, int size, int first, int count,
                                const int32_t rows[KT_ROW_KINDS], kt_error *error);
/* Destroys the graphs of a list; NULL: of all. */
void kti_cuda_graph_forget(kti_cuda *cuda, const kti_operation *list);

/* What `put` puts on the stream as an executable graph. */
kt_status kti_cuda_capture(kti_cuda *cuda, kt_status (*put)(kti_cuda *cuda, void *context, kt_error *error),
                           void *context, cudaGraphExec_t *made, kt_error *error);

/* ---- cuda_launch.c ---- */

/* The product by cuBLAS where it is there and can, else by our own kernel. */
kt_status kti_cuda_multiply(kti_cuda *cuda, const kt_gemm *gemm, int first, int count, kt_error *error);

/* An operation that is sized for its batch, in one way; *done is false where the library has nothing for it. */
kt_status kti_cuda_launch_way(kti_cuda *cuda, const kti_operation *operation, kti_way way, int first,
                              int count, bool *done, kt_error *error);

kt_status kti_cuda_launch(kti_cuda *cuda, const kti_operation *operation, int first, int count,
                          const int32_t rows[KT_ROW_KINDS], kt_error *error);

/* ---- cuda_peak.c ---- */

kt_status kti_cuda_peak(kti_device *device, size_t bytes, int size, kti_peak *peak, kt_error *error);

/* ---- cuda_blas.c ---- */

kt_status kti_cuda_blas_create(kti_cuda *cuda, kt_error *error);
void kti_cuda_blas_destroy(kti_cuda_blas *blas); /* NULL-safe */

/* Whether cuBLAS can do the product at all; the others are our own kernels'. */
bool kti_cuda_blas_can(const kt_gemm *gemm);

/* The product for the first gemm->rows.max rows of each fold of [first, first + count); rows beyond the batch are garbage.
 * *done is false where cuBLAS has no algorithm for it. */
kt_status kti_cuda_blas_multiply(kti_cuda *cuda, const kt_gemm *gemm, int first, int count, bool *done,
                                 kt_error *error);

/* ---- cuda_nccl.c ---- */

kt_status kti_cuda_connect(kti_device *const *devices, int count, double seconds, kt_error *error);
void kti_cuda_disconnect(kti_cuda *cuda); /* its graphs must be gone */
kt_status kti_cuda_broadcast(kti_device *device, void *memory, size_t bytes, kt_error *error);
void kti_cuda_abandon(kti_device *device);

/* For a GPU with `nccl`, under the lock. What is called first with a sum makes connections, which a capture should not hold. */
kt_status kti_cuda_all_reduce(kti_cuda *cuda, const kti_all_reduce *sum, int first, int count,
                              kt_error *error);
kt_status kti_cuda_warm_up(kti_cuda *cuda, const kti_operation *list, int size, int first, int count,
                           kt_error *error);

/* kti_cuda_wait that notices when another GPU of the group is lost; then it has given up. */
kt_status kti_cuda_wait_for_others(kti_cuda *cuda, const char *what, kt_error *error);

/* After any failure: leaves the group, and ends what waits on the stream for the others. Not while a capture goes on. */
void kti_cuda_give_up(kti_cuda *cuda, const kt_error *error);
/* Whether it has an algorithm for the product, which it can do. */
kt_status kti_cuda_blas_has(kti_cuda *cuda, const kt_gemm *gemm, bool *has, kt_error *error);

/* ---- cuda_dnn.c, or cuda_dnn_missing.c ---- */

bool kti_cuda_dnn_is_built(void);
kt_status kti_cuda_dnn_create(kti_cuda *cuda, kt_error *error);
void kti_cuda_dnn_destroy(kti_cuda_dnn *dnn); /* NULL-safe */

/* Whether cuDNN can do the layer at all. */
bool kti_cuda_dnn_can(const kt_layer_forward *layer);

/* Makes what the layer's first rest.rows.max rows of folds [first, first + count) need, outside of a capture; *exists is
 * false where cuDNN has no engine for the shape. */
kt_status kti_cuda_dnn_prepare(kti_cuda *cuda, const kt_layer_forward *layer, int first, int count,
                               bool *exists, kt_error *error);

/* A layer that was prepared; rows beyond the batch are garbage. *done as above. */
kt_status kti_cuda_dnn_forward(kti_cuda *cuda, const kt_layer_forward *layer, int first, int count,
                               bool *done, kt_error *error);

/* ---- cuda_tune.c ---- */

/* Makes everything that the list's capture for these folds and rows needs; times shapes that are met first. */
kt_status kti_cuda_prepare(kti_cuda *cuda, const kti_operation *list, int size, int first, int count,
                           const int32_t rows[KT_ROW_KINDS], kt_error *error);

/* The way that an operation takes that is no group. */
kti_way kti_cuda_way(const kti_cuda *cuda, const kti_operation *operation);

/* Part i of a group as an operation; part 0 of another operation is itself. False behind the last. */
bool kti_cuda_part(const kti_operation *operation, int i, kti_operation *part);

/* The product in it that a library might compute; NULL: there is none. */
const kt_gemm *kti_cuda_product(const kti_operation *operation);

int kti_cuda_choices(kti_device *device, kti_choice *choices, int room);
kt_status kti_cuda_choose(kti_device *device, const kti_choice *choices, int count, kt_error *error);

#endif
