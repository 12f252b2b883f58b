#include "base/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

kt_status kti_ranking_create(int max, void (*destroy)(void *item), kti_ranking *ranking, kt_error *error)
{
    *ranking = (kti_ranking){
        .max = max, .entry = kti_allocate((size_t)max, sizeof *ranking->entry), .destroy = destroy};
    return ranking->entry ? KT_OK : kti_fail_memory(error, "a ranking");
}

void kti_ranking_destroy(kti_ranking *r)
{
    for (int i = 0; i < r->size; i++)
        r->destroy(r->entry[i].item);
    free(r->entry);
    *r = (kti_ranking){0};
}

bool kti_ranking_takes(const kti_ranking *r, double value)
{
    return !isnan(value) && (r->size < r->max || value > r->entry[r->size - 1].value);
}

void kti_ranking_add(kti_ranking *r, double value, void *item)
{
    if (r->size == r->max)
        r->destroy(r->entry[--r->size].item);
    int place = r->size;
    while (place > 0 && value > r->entry[place - 1].value)
        place--;
    memmove(&r->entry[place + 1], &r->entry[place], (size_t)(r->size - place) * sizeof *r->entry);
    r->entry[place] = (kti_ranked){value, item};
    r->size++;
}
