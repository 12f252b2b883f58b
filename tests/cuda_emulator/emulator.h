/* CUDA devices without a GPU: a stand-in for the CUDA runtime, cuBLASLt, cuDNN's backend and NCCL that a test program links
 * instead of them.
 *
 * Kernels run as fibers (device/threads.h) from twins that are compiled from the same files. Work is queued and runs
 * when the host waits for it, in an order drawn from a seed among those that streams, events and graphs allow. Device
 * memory begins as NaN, stands between red zones, is poisoned when freed, and kills a host that touches it. Every call
 * checks its arguments. What is wrong is a violation: a sentence that the test reads afterwards.
 */
#ifndef KTI_TESTS_CUDA_EMULATOR_EMULATOR_H
#define KTI_TESTS_CUDA_EMULATOR_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/threads.h"

enum { EMULATOR_DEVICES_MAX = 16 };

typedef struct emulator_options {
    uint64_t seed;       /* of every order and of the virtual clock */
    int devices;         /* 0: one; negative: none */
    size_t memory;       /* bytes a device; 0: 8 GiB */
    int multiprocessors; /* 0: 4 */
} emulator_options;

/* Begins anew: no memory, streams, violations, calls. NULL: all zero. What kernels there are stays. */
void emulator_start(const emulator_options *options);

/* Twins of kernels, ended by a NULL name; tables add up and are kept by reference. */
void emulator_kernels(const threads_twin *table);

/* What was wrong so far, and the i-th sentence. The first 64 are kept. */
int emulator_violations(void);
const char *emulator_violation(int i);

/* What has been made and not destroyed: memory, streams, events, graphs, handles; and the i-th of it. */
int emulator_leaks(void);
const char *emulator_leak(int i);

/* All violations and leaks, a line each; returns how many there are. */
int emulator_report(char *text, size_t size);

/* API calls so far, of all functions or of one by name; those that can fail count. */
long emulator_calls(void);
long emulator_calls_of(const char *name);

/* Kernels that ran so far, of all names (NULL) or one; those of graphs too. */
long emulator_kernel_runs(const char *name);

/* Lets the n-th API call from now (1: the next) fail with the error that it most likely would; 0: none. A call that
 * destroys or frees does so all the same. emulator_failed_call() is the name of the one that did, or NULL. */
void emulator_fail_call(long n);
const char *emulator_failed_call(void);

/* Whether nobody need notice it: none failed, or one that frees, destroys, or goes to the device where something is freed next. */
bool emulator_failure_may_pass(void);

/* For tests of tests: kernels miss one barrier of `period`, as in threads_launch. 0: none. */
void emulator_skip_barrier(int period, int missing);

/* Of every NCCL communicator the collective of that number (from 1) of a rank never comes; one that `reports` says so as an
 * asynchronous error. 0: all come. */
void emulator_lose_rank(int rank, long number, int reports);

/* Whether cuDNN has an engine that fuses a product with what follows in float32 arithmetic (not at first, nor has cuDNN 9). */
void emulator_dnn_fuses(bool in_float);

/* How long a rank waits for the others, in seconds, before that is a violation (10 at first). */
void emulator_timeout(double seconds);

#endif
