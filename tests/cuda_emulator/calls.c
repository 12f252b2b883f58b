/* The bookkeeping of API calls: the lock, failures on demand, errors that nobody looks at, violations. */
#include "cuda_emulator/internal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXTS = 64, TEXT_SIZE = 256, NAMES = 256 };

emulator_options emu_options = {.devices = 1, .memory = (size_t)8 << 30, .multiprocessors = 4};
int emu_skip_period, emu_skip_missing;
bool emu_dnn_fuses;
_Thread_local int emu_current_device;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t others = PTHREAD_COND_INITIALIZER;
static double timeout = 10;
static uint64_t draws;

static char violation[TEXTS][TEXT_SIZE], leak[TEXTS][TEXT_SIZE];
static int violations, leaks;

static struct {
    const char *name;
    long calls;
} counted[NAMES];
static long calls, fail_at;
static const char *failed_call, *call_behind_failed; /* the latter of the same thread */
static pthread_t failed_thread;
static cudaError_t sticky;

static _Thread_local const char *call;
static _Thread_local emu_kind kind_of_call;
static _Thread_local cudaError_t last_error;
static _Thread_local const char *unseen; /* the call whose error nobody has asked for */
static _Thread_local long era_of_thread;
static long eras;

uint64_t emu_draw(void)
{
    uint64_t z = draws += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void *emu_allocate(size_t bytes)
{
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory)
        abort();
    return memory;
}

/* Makes room for one more item of a growing array; `array` is the address of its pointer. */
void emu_grow(void *array, int size, int *room, size_t item)
{
    void *memory;
    memcpy(&memory, array, sizeof memory);
    if (size < *room)
        return;
    *room = *room ? 2 * *room : 8;
    memory = realloc(memory, (size_t)*room * item);
    if (!memory)
        abort();
    memcpy(array, &memory, sizeof memory);
}

/* ---- violations ---- */

static void add_violation(const char *format, va_list values)
{
    char text[TEXT_SIZE];
    vsnprintf(text, sizeof text, format, values);
    for (int i = 0; i < violations && i < TEXTS; i++)
        if (strcmp(violation[i], text) == 0)
            return;
    if (violations < TEXTS)
        memcpy(violation[violations], text, sizeof text);
    violations++;
}

void emu_violation(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    add_violation(format, values);
    va_end(values);
}

cudaError_t emu_refuse(cudaError_t error, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    emu_violation("%s: %s", emu_call(), text);
    return error;
}

const char *emu_call(void)
{
    return call ? call : "the emulator";
}

/* ---- calls ---- */

static void count(const char *name)
{
    int i = 0;
    while (i < NAMES - 1 && counted[i].name && strcmp(counted[i].name, name) != 0)
        i++;
    counted[i].name = name;
    counted[i].calls++;
    calls++;
}

bool emu_enter(const char *name, emu_kind kind)
{
    pthread_mutex_lock(&lock);
    if (era_of_thread != eras) { /* another emulator_start: what this thread had to look at is gone */
        era_of_thread = eras;
        unseen = NULL;
        last_error = cudaSuccess;
    }
    call = name;
    kind_of_call = kind;
    count(name);
    if (unseen && kind == EMU_WORK) {
        emu_violation("unchecked error: %s failed, and %s followed", unseen, name);
        unseen = NULL;
    }
    if (failed_call && !call_behind_failed && pthread_equal(failed_thread, pthread_self()))
        call_behind_failed = name;
    if (fail_at == 0 || --fail_at > 0)
        return false;
    failed_call = name;
    call_behind_failed = NULL;
    failed_thread = pthread_self();
    return true;
}

void emu_leave_library(bool failed)
{
    if (failed)
        unseen = call;
    pthread_mutex_unlock(&lock);
}

cudaError_t emu_leave(cudaError_t error)
{
    if (error == cudaSuccess && kind_of_call != EMU_CLEANUP)
        error = sticky;
    if (error != cudaSuccess && error != cudaErrorNotReady) {
        last_error = error;
        unseen = call;
    }
    pthread_mutex_unlock(&lock);
    return error;
}

void emu_error_seen(void)
{
    unseen = NULL;
}

void emu_sticky(cudaError_t error)
{
    if (sticky == cudaSuccess)
        sticky = error;
}

bool emu_wait_for_others(void)
{
    struct timespec until;
    const char *held = call;
    const emu_kind held_kind = kind_of_call;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)timeout;
    until.tv_nsec += (long)((timeout - (double)(time_t)timeout) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    const int status = pthread_cond_timedwait(&others, &lock, &until);
    call = held;
    kind_of_call = held_kind;
    return status == 0;
}

double emu_timeout(void)
{
    return timeout;
}

void emu_wake_others(void)
{
    pthread_cond_broadcast(&others);
}

EMU_API cudaError_t cudaGetLastError(void)
{
    pthread_mutex_lock(&lock);
    const cudaError_t error = sticky ? sticky : last_error;
    last_error = cudaSuccess;
    unseen = NULL;
    pthread_mutex_unlock(&lock);
    return error;
}

EMU_API cudaError_t cudaPeekAtLastError(void)
{
    pthread_mutex_lock(&lock);
    const cudaError_t error = sticky ? sticky : last_error;
    unseen = NULL;
    pthread_mutex_unlock(&lock);
    return error;
}

EMU_API const char *cudaGetErrorName(cudaError_t error)
{
    unseen = NULL;
    switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDeviceFunction: return "cudaErrorInvalidDeviceFunction";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorLaunchTimeout: return "cudaErrorLaunchTimeout";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureUnmatched: return "cudaErrorStreamCaptureUnmatched";
    case cudaErrorStreamCaptureUnjoined: return "cudaErrorStreamCaptureUnjoined";
    case cudaErrorStreamCaptureIsolation: return "cudaErrorStreamCaptureIsolation";
    case cudaErrorStreamCaptureImplicit: return "cudaErrorStreamCaptureImplicit";
    case cudaErrorUnknown: return "cudaErrorUnknown";
    default: return "an error of the emulated device";
    }
}

EMU_API const char *cudaGetErrorString(cudaError_t error)
{
    return cudaGetErrorName(error);
}

/* ---- the tests' side ---- */

void emulator_start(const emulator_options *options)
{
    static const emulator_options none;
    if (!options)
        options = &none;
    pthread_mutex_lock(&lock);
    emu_forget_work();
    emu_forget_graphs();
    emu_forget_streams();
    emu_forget_launches();
    emu_forget_nccl();
    emu_forget_objects();
    emu_forget_memory();
    emu_watch_touches();
    emu_options = *options;
    if (options->devices == 0)
        emu_options.devices = 1;
    if (options->devices < 0)
        emu_options.devices = 0;
    if (emu_options.devices > EMULATOR_DEVICES_MAX)
        abort();
    if (options->memory == 0)
        emu_options.memory = (size_t)8 << 30;
    if (options->multiprocessors == 0)
        emu_options.multiprocessors = 4;
    draws = options->seed;
    violations = leaks = 0;
    memset(counted, 0, sizeof counted);
    calls = fail_at = 0;
    failed_call = NULL;
    sticky = cudaSuccess;
    emu_skip_period = 0;
    emu_dnn_fuses = false;
    timeout = 10;
    emu_current_device = 0;
    eras++;
    pthread_mutex_unlock(&lock);
}

int emulator_violations(void)
{
    pthread_mutex_lock(&lock);
    emu_check_freed();
    const int n = violations;
    pthread_mutex_unlock(&lock);
    return n;
}

const char *emulator_violation(int i)
{
    return i >= 0 && i < violations && i < TEXTS ? violation[i] : "";
}

static void tell_leak(const char *text)
{
    if (leaks < TEXTS)
        snprintf(leak[leaks], sizeof leak[leaks], "%s", text);
    leaks++;
}

int emulator_leaks(void)
{
    pthread_mutex_lock(&lock);
    leaks = 0;
    emu_list_memory(tell_leak);
    emu_list_objects(tell_leak);
    const int n = leaks;
    pthread_mutex_unlock(&lock);
    return n;
}

const char *emulator_leak(int i)
{
    return i >= 0 && i < leaks && i < TEXTS ? leak[i] : "";
}

int emulator_report(char *text, size_t size)
{
    const int v = emulator_violations(), l = emulator_leaks();
    size_t used = 0;
    if (size)
        text[0] = 0;
    for (int i = 0; i < v && i < TEXTS && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s\n", violation[i]);
    for (int i = 0; i < l && i < TEXTS && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "leaked: %s\n", leak[i]);
    return v + l;
}

long emulator_calls(void)
{
    return calls;
}

long emulator_calls_of(const char *name)
{
    for (int i = 0; i < NAMES && counted[i].name; i++)
        if (strcmp(counted[i].name, name) == 0)
            return counted[i].calls;
    return 0;
}

void emulator_fail_call(long n)
{
    pthread_mutex_lock(&lock);
    fail_at = n;
    failed_call = NULL;
    pthread_mutex_unlock(&lock);
}

const char *emulator_failed_call(void)
{
    return failed_call;
}

static bool frees(const char *name)
{
    return name && (strstr(name, "Free") || strstr(name, "Destroy"));
}

bool emulator_failure_may_pass(void)
{
    return !failed_call || frees(failed_call) ||
           (strcmp(failed_call, "cudaSetDevice") == 0 && frees(call_behind_failed));
}

void emulator_skip_barrier(int period, int missing)
{
    emu_skip_period = period;
    emu_skip_missing = missing;
}

void emulator_dnn_fuses(bool in_float)
{
    emu_dnn_fuses = in_float;
}

void emulator_timeout(double seconds)
{
    timeout = seconds;
}
