/* What several test programs share: comparisons that a NaN fails, and the reference files. */
#ifndef KTI_TESTS_SUPPORT_H
#define KTI_TESTS_SUPPORT_H

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <kappatune/error.h>

/* Whether a sanitizer slows everything down; clang says so in another way than GCC. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Whether the test has all of the reference data, which full.sh names, and not the fixtures alone. */
static inline int has_full_data(void)
{
    return getenv("KTI_TEST_DATA") != NULL;
}

/* Folder of the reference data, from the project's root; both have the same folders. */
static inline const char *test_data_root(void)
{
    return has_full_data() ? getenv("KTI_TEST_DATA") : "tests/fixtures";
}

/* "ROOT/where/name"; the same text for the same arguments, valid to the end. */
static inline const char *test_path(const char *where, const char *name)
{
    static char paths[64][512];
    char path[sizeof *paths];
    int i = 0;
    assert_in_range(snprintf(path, sizeof path, "%s/%s/%s", test_data_root(), where, name), 1,
                    sizeof path - 1);
    while (i < 64 && paths[i][0] && strcmp(paths[i], path) != 0)
        i++;
    assert_in_range(i, 0, 63);
    return strcpy(paths[i], path);
}

/* A file of the published stack's values; a file of a data set, or its folder; the pretrained weights. */
static inline const char *golden_path(const char *name)
{
    return test_path("reference/golden", name);
}

static inline const char *data_path(const char *name)
{
    return test_path("data", name);
}

static inline const char *megnet_weights(void)
{
    return test_path("weights", "megnet-mp-2018.6.1-eform");
}

/* Crystals of a data set; those of them without an edge; those that the published stack has values for. */
enum { TOGO15_CRYSTALS = 95, AFLOW_EDGELESS = 6, AFLOW_GOLDEN_EDGELESS = 3 };

static inline int hh143_crystals(void)
{
    return has_full_data() ? 143 : 24;
}

static inline int aflow_crystals(void)
{
    return has_full_data() ? 4861 : 97;
}

static inline int aflow_golden(void)
{
    return has_full_data() ? 2431 : 90;
}

/* 1 if x is finite and |x - reference| <= absolute + relative |reference|. */
static inline int is_close(double x, double reference, double relative, double absolute)
{
    return isfinite(x) && isfinite(reference) && fabs(x - reference) <= absolute + relative * fabs(reference);
}

/* Fails the test with the error's text unless the status is KT_OK. */
static inline void assert_ok(kt_status status, const kt_error *error)
{
    if (status == KT_OK)
        return;
    char text[1024];
    kt_error_format(error, text, sizeof text);
    fail_msg("%s: %s", kt_status_name(status), text);
}

#endif
