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

#define GOLDEN "../shared/reference/golden/"
#define DATA "../shared/data/"
#define MEGNET_WEIGHTS "../shared/weights/megnet-mp-2018.6.1-eform"

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
