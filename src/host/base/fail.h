/* How the library raises errors: one line at the place of the fault. */
#ifndef KTI_BASE_FAIL_H
#define KTI_BASE_FAIL_H

#include <stdbool.h>

#include <kappatune/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KTI_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define KTI_PRINTF(text, first)
#endif

/* Each returns `status`, so that a function can `return kti_fail(...)`. The
 * message is kept only if `error` is not NULL and holds none yet. */
kt_status kti_fail(kt_error *error, kt_status status, const char *format, ...) KTI_PRINTF(3, 4);
kt_status kti_fail_file(kt_error *error, kt_status status, const char *file, const char *format, ...)
    KTI_PRINTF(4, 5);
kt_status kti_fail_line(kt_error *error, kt_status status, const char *file, int64_t line, const char *format,
                        ...) KTI_PRINTF(5, 6);
kt_status kti_fail_byte(kt_error *error, kt_status status, const char *file, int64_t byte, const char *format,
                        ...) KTI_PRINTF(5, 6);

/* KT_OUT_OF_MEMORY, saying for what. */
kt_status kti_fail_memory(kt_error *error, const char *what);

/* Whether a failure at one crystal among many ends the run; else it rejects that crystal, with the reason, and the run goes on. What would
 * strike the next crystal too ends it: short memory, a failed device, being stopped, and a call that makes no sense, which is a fault of
 * the program or its options. What is wrong with the crystal's file (KT_IO is of that file), its content or its prediction rejects it. A failure
 * to write the run's own files belongs to no crystal and ends the run without being asked about here. */
bool kti_is_fatal(kt_status status);

#ifdef __cplusplus
}
#endif
#endif
