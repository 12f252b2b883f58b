#include "crystal/text.h"

#include <string.h>

#include "crystal/number.h"

kti_lines kti_lines_of(const char *data, size_t size)
{
    return (kti_lines){data, data + size, 0};
}

bool kti_next_line(kti_lines *lines, kti_slice *line)
{
    if (lines->next == lines->end)
        return false;
    const char *end = memchr(lines->next, '\n', (size_t)(lines->end - lines->next));
    line->begin = lines->next;
    line->end = end ? end : lines->end;
    lines->next = end ? end + 1 : lines->end;
    lines->number++;
    if (line->end > line->begin && line->end[-1] == '\r')
        line->end--;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool kti_next_word(kti_slice *line, kti_slice *word)
{
    while (line->begin < line->end && is_blank(*line->begin))
        line->begin++;
    word->begin = line->begin;
    while (line->begin < line->end && !is_blank(*line->begin))
        line->begin++;
    word->end = line->begin;
    return word->begin < word->end;
}

bool kti_next_number(kti_slice *line, double *value, kti_slice *word)
{
    return kti_next_word(line, word) && kti_number_read(word->begin, word->end, value);
}

const char *kti_slice_copy(kti_slice slice, char *text, size_t capacity)
{
    size_t length = 0;
    for (const char *c = slice.begin; c < slice.end && length + 1 < capacity; c++)
        text[length++] = *c >= ' ' && *c <= '~' ? *c : '?';
    text[length] = '\0';
    return text;
}

bool kti_slice_is(kti_slice slice, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(slice.end - slice.begin) == length && memcmp(slice.begin, text, length) == 0;
}
