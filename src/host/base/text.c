#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static bool reserve(kti_text *text, size_t more)
{
    if (text->failed)
        return false;
    if (text->capacity - text->size > more)
        return true;
    const size_t wanted = (text->size + more + 1) * 2;
    char *grown = realloc(text->data, wanted);
    if (!grown) {
        text->failed = true;
        return false;
    }
    text->data = grown;
    text->capacity = wanted;
    return true;
}

void kti_text_add(kti_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !reserve(text, (size_t)length))
        return;
    va_start(arguments, format);
    vsnprintf(text->data + text->size, text->capacity - text->size, format, arguments);
    va_end(arguments);
    text->size += (size_t)length;
}

void kti_text_add_csv(kti_text *text, const char *field)
{
    if (!strpbrk(field, ",\"\r\n")) {
        kti_text_add(text, "%s", field);
        return;
    }
    kti_text_add(text, "\"");
    for (const char *c = field; *c; c++)
        kti_text_add(text, "%s%c", *c == '"' ? "\"" : "", *c);
    kti_text_add(text, "\"");
}

void kti_text_add_number(kti_text *text, double value)
{
    kti_text_add(text, isnan(value) ? "," : ",%.9g", value);
}

kt_status kti_text_write(const kti_text *text, const char *path, const char *what, kt_error *error)
{
    if (text->failed || !path)
        return kti_fail_memory(error, what);
    return kti_file_write(path, text->data, text->size, error);
}

void kti_text_destroy(kti_text *text)
{
    free(text->data);
    *text = (kti_text){0};
}
