/* The CUDA device, in pieces: memory and creation (cuda.c), jobs of several lanes as one (cuda_jobs.c), captured
 * sequences (cuda_graphs.c), operations as launches (cuda_launch.c), cuBLAS's matrix products (cuda_blas.c),
 * what the GPU can do at most (cuda_peak.c), several GPUs that share a fold (cuda_nccl.c, or cuda_no_nccl.c where NCCL was
 * not found).
 *
 * One stream carries everything, in order. Whoever holds `lock` may use it.
 */
#ifndef KTI_DEVICE_CUDA_H
#define KTI_DEVICE_CUDA_H

#include <pthread.h>

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

typedef struct kti_cuda {
    kti_device device; /* first */
    int ordinal;
    cudaStream_t stream;
    kti_cuda_blas *blas; /* NULL: all products are our own */
    kti_cuda_nccl *nccl; /* NULL: the GPU shares its folds with no other */
    pthread_mutex_t lock;
    pthread_cond_t done;
    int entered, waiting;
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

/* ---- cuda_launch.c ---- */

kt_status kti_cuda_launch(kti_cuda *cuda, const kti_operation *operation, int first, int count,
                          const int32_t rows[KT_ROW_KINDS], kt_error *error);

/* ---- cuda_peak.c ---- */

kt_status kti_cuda_peak(kti_device *device, size_t bytes, int size, kti_peak *peak, kt_error *error);

/* ---- cuda_blas.c ---- */

kt_status kti_cuda_blas_create(kti_cuda *cuda, kt_error *error);
void kti_cuda_blas_destroy(kti_cuda_blas *blas); /* NULL-safe */

/* Whether cuBLAS can do the product at all; the others are our own kernels'. */
bool kti_cuda_blas_can(const kt_gemm *gemm);

/* The product for the first gemm->rows.most rows of each fold of [first, first + count); rows beyond the batch are garbage.
 * *done is false where cuBLAS has no algorithm for it. */
kt_status kti_cuda_blas_multiply(kti_cuda *cuda, const kt_gemm *gemm, int first, int count, bool *done,
                                 kt_error *error);

/* ---- cuda_nccl.c ---- */

kt_status kti_cuda_connect(kti_device *const *devices, int count, double patience, kt_error *error);
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

#endif
