/* Errors of libkappatune.
 *
 * Every function that can fail returns a kt_status and takes the caller's
 * kt_error (which may be NULL). The first error wins: a kt_error that already
 * holds one is left alone, so that clean-up after a failure cannot hide it.
 * The library never exits, prints, or reads the environment.
 */
#ifndef KAPPATUNE_ERROR_H
#define KAPPATUNE_ERROR_H

#include <stdint.h>

#include <kappatune/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kt_status {
    KT_OK = 0,
    KT_OUT_OF_MEMORY,
    KT_BAD_ARGUMENT, /* the caller asked for something that makes no sense */
    KT_BAD_FORMAT,   /* a file's content breaks the rules of its format */
    KT_BAD_CRYSTAL,  /* a well-formed file whose crystal cannot be used */
    KT_IO,           /* the operating system refused */
    KT_DEVICE,       /* the device (GPU, its libraries) failed */
    KT_NON_FINITE,   /* a number that must be finite is not */
    KT_INTERRUPTED   /* the caller's progress callback asked to stop */
} kt_status;

typedef struct kt_error {
    kt_status status;
    char file[256];    /* the input it is about; empty if none */
    int64_t line;      /* 1-based; 0 if not known */
    int64_t byte;      /* 0-based offset; -1 if not known */
    char message[512]; /* a sentence that a user can act on */
} kt_error;

/* An error that holds nothing: `kt_error error = KT_ERROR_NONE;` */
#define KT_ERROR_NONE                                                                                        \
    {                                                                                                        \
        KT_OK, "", 0, -1, ""                                                                                 \
    }

/* The name of a status, for logs: "out of memory", ... Never NULL. */
KT_API const char *kt_status_name(kt_status status);

/* Writes "file:line: message" (or "file: byte N: message", or the message alone)
 * into `text`, always terminated. */
KT_API void kt_error_format(const kt_error *error, char *text, int capacity);

#ifdef __cplusplus
}
#endif
#endif
