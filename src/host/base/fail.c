#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *kt_status_name(kt_status status)
{
    switch (status) {
    case KT_OK: return "ok";
    case KT_OUT_OF_MEMORY: return "out of memory";
    case KT_BAD_ARGUMENT: return "bad argument";
    case KT_BAD_FORMAT: return "bad format";
    case KT_BAD_CRYSTAL: return "bad crystal";
    case KT_IO: return "input/output";
    case KT_DEVICE: return "device";
    case KT_NON_FINITE: return "not finite";
    case KT_INTERRUPTED: return "interrupted";
    }
    return "unknown";
}

void kt_error_format(const kt_error *error, char *text, int capacity)
{
    if (error->file[0] == '\0')
        snprintf(text, (size_t)capacity, "%s", error->message);
    else if (error->line > 0)
        snprintf(text, (size_t)capacity, "%s:%lld: %s", error->file, (long long)error->line, error->message);
    else if (error->byte >= 0)
        snprintf(text, (size_t)capacity, "%s: byte %lld: %s", error->file, (long long)error->byte,
                 error->message);
    else
        snprintf(text, (size_t)capacity, "%s: %s", error->file, error->message);
}

static kt_status raise_error(kt_error *error, kt_status status, const char *file, int64_t line, int64_t byte,
                             const char *format, va_list arguments)
{
    if (error == NULL || error->status != KT_OK)
        return status;
    error->status = status;
    error->line = line;
    error->byte = byte;
    /* A long path loses its beginning, not the file's name. */
    size_t length = file ? strlen(file) : 0, room = sizeof error->file - 1;
    if (length > room)
        snprintf(error->file, sizeof error->file, "...%s", file + (length - room + 3));
    else
        snprintf(error->file, sizeof error->file, "%s", file ? file : "");
    vsnprintf(error->message, sizeof error->message, format, arguments);
    return status;
}

kt_status kti_fail(kt_error *error, kt_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    raise_error(error, status, NULL, 0, -1, format, arguments);
    va_end(arguments);
    return status;
}

kt_status kti_fail_file(kt_error *error, kt_status status, const char *file, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    raise_error(error, status, file, 0, -1, format, arguments);
    va_end(arguments);
    return status;
}

kt_status kti_fail_line(kt_error *error, kt_status status, const char *file, int64_t line, const char *format,
                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    raise_error(error, status, file, line, -1, format, arguments);
    va_end(arguments);
    return status;
}

kt_status kti_fail_byte(kt_error *error, kt_status status, const char *file, int64_t byte, const char *format,
                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    raise_error(error, status, file, 0, byte, format, arguments);
    va_end(arguments);
    return status;
}

kt_status kti_fail_memory(kt_error *error, const char *what)
{
    return kti_fail(error, KT_OUT_OF_MEMORY, "not enough memory for %s", what);
}

bool kti_is_fatal(kt_status status)
{
    switch (status) {
    case KT_OUT_OF_MEMORY:
    case KT_BAD_ARGUMENT:
    case KT_DEVICE:
    case KT_INTERRUPTED: return true;
    case KT_OK:
    case KT_BAD_FORMAT:
    case KT_BAD_CRYSTAL:
    case KT_IO:
    case KT_NON_FINITE: break;
    }
    return false;
}
