#include "data/formula.h"

#include <ctype.h>

#include "crystal/elements.h"

enum { MAX_COUNT = 9999 };

/* A count has no leading zero and no 0 alone; without digits it is 1. */
static bool read_count(const char **cursor, int *count)
{
    const char *text = *cursor;
    *count = 0;
    if (*text == '0')
        return false;
    while (*text >= '0' && *text <= '9' && *count <= MAX_COUNT)
        *count = 10 * *count + (*text++ - '0');
    if (text == *cursor)
        *count = 1;
    *cursor = text;
    return *count <= MAX_COUNT;
}

bool kti_formula_term(const char **cursor, int *atomic_number, int *count)
{
    char symbol[3] = "";
    const char *text = *cursor;
    if (!isupper((unsigned char)*text))
        return false;
    symbol[0] = *text++;
    if (islower((unsigned char)*text))
        symbol[1] = *text++;
    *cursor = text;
    *atomic_number = kti_element_number(symbol);
    return *atomic_number > 0 && read_count(cursor, count);
}
