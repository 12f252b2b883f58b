#include "cli/numbers.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

static int compare(const void *left, const void *right)
{
    const long long a = *(const long long *)left, b = *(const long long *)right;
    return a < b ? -1 : a > b;
}

static bool add(kti_numbers *n, long long number)
{
    if (kti_grow((void **)&n->at, n->size, &n->capacity, sizeof *n->at) != 0)
        return false;
    n->at[n->size++] = number;
    return true;
}

/* PREFIXn, and nothing behind the digits; -1 for what is none. */
static long long number_of(const char *name, const char *prefix)
{
    const size_t length = strlen(prefix),
                 digits = strspn(name + (strlen(name) < length ? 0 : length), "0123456789");
    if (strncmp(name, prefix, length) != 0 || digits == 0 || name[length + digits] != '\0')
        return -1;
    errno = 0;
    const long long number = strtoll(name + length, NULL, 10);
    return errno == 0 ? number : -1;
}

kt_status kti_numbers_find(const char *folder, const char *prefix, int expected, kti_numbers *numbers,
                           kt_error *error)
{
    bool good = true;
    DIR *entries = opendir(folder);
    *numbers = (kti_numbers){0};
    for (int i = 1; i <= expected && good; i++)
        good = add(numbers, i);
    for (struct dirent *e = entries ? readdir(entries) : NULL; e && good; e = readdir(entries)) {
        const long long number = number_of(e->d_name, prefix);
        if (number > expected || number == 0)
            good = add(numbers, number);
    }
    if (entries)
        closedir(entries);
    if (numbers->size > 0)
        qsort(numbers->at, numbers->size, sizeof *numbers->at, compare);
    return good ? KT_OK : kti_fail_memory(error, "a list");
}
