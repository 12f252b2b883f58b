#include "crystal/refine.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

typedef struct refinement {
    int sites;
    const int32_t *offset;
    const kti_link *links;
    int32_t *colour;
    int32_t *size;    /* [sites] sites of a colour */
    uint64_t *key;    /* [edges] signature of a site: its sorted (neighbour's colour, label) */
    int32_t *touched; /* [sites] sites to look at in this round */
    int32_t *changed; /* [sites] sites whose colour changed in this round */
    int32_t *spare;   /* [sites] for sorting */
    bool *flagged;    /* [sites] */
    int colours;
} refinement;

static int compare_keys(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void sort_keys(uint64_t *keys, size_t count)
{
    if (count > 48) {
        qsort(keys, count, sizeof *keys, compare_keys);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] > key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

static void sign(refinement *r, int site)
{
    for (int32_t e = r->offset[site]; e < r->offset[site + 1]; e++)
        r->key[e] = (uint64_t)(uint32_t)r->colour[r->links[e].source] << 32 | (uint32_t)r->links[e].label;
    sort_keys(r->key + r->offset[site], (size_t)(r->offset[site + 1] - r->offset[site]));
}

/* Order of two sites by colour, then signature; 0 if they cannot be told apart yet. */
static int compare_sites(const refinement *r, int a, int b)
{
    if (r->colour[a] != r->colour[b])
        return r->colour[a] < r->colour[b] ? -1 : 1;
    int degree_a = r->offset[a + 1] - r->offset[a], degree_b = r->offset[b + 1] - r->offset[b];
    if (degree_a != degree_b)
        return degree_a < degree_b ? -1 : 1;
    const uint64_t *key_a = r->key + r->offset[a], *key_b = r->key + r->offset[b];
    for (int i = 0; i < degree_a; i++)
        if (key_a[i] != key_b[i])
            return key_a[i] < key_b[i] ? -1 : 1;
    return 0;
}

/* Merge sort, stable: qsort hands no context to its comparison. */
static void sort_sites(const refinement *r, int32_t *list, int32_t *spare, int count)
{
    if (count < 2)
        return;
    int half = count / 2;
    sort_sites(r, list, spare, half);
    sort_sites(r, list + half, spare, count - half);
    if (compare_sites(r, list[half - 1], list[half]) <= 0)
        return;
    memcpy(spare, list, (size_t)half * sizeof *list);
    for (int i = 0, j = half, k = 0; i < half; k++)
        list[k] = j < count && compare_sites(r, list[j], spare[i]) < 0 ? list[j++] : spare[i++];
}

/* Splits one colour, whose touched members stand sorted in list[0..count). Members that were not touched keep
 * the colour (they have no neighbour of a new colour, every touched one has: so they differ); if all were
 * touched, the largest part does. Returns how many sites were added to `changed`. */
static int split(refinement *r, const int32_t *list, int count, int32_t *changed)
{
    int colour = r->colour[list[0]], keeper = -1, added = 0;
    if (r->size[colour] == count) {
        int largest = 0;
        for (int begin = 0, end; begin < count; begin = end) {
            for (end = begin + 1; end < count && compare_sites(r, list[begin], list[end]) == 0;)
                end++;
            if (end - begin > largest) {
                largest = end - begin;
                keeper = begin;
            }
        }
        if (largest == count)
            return 0;
    }
    /* A colour is written when its part is behind us: comparisons read only what is ahead. */
    for (int begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && compare_sites(r, list[begin], list[end]) == 0;)
            end++;
        if (begin == keeper)
            continue;
        int fresh = r->colours++;
        r->size[fresh] = end - begin;
        r->size[colour] -= end - begin;
        for (int i = begin; i < end; i++) {
            r->colour[list[i]] = fresh;
            changed[added++] = list[i];
        }
    }
    return added;
}

static int neighbours_of(refinement *r, const int32_t *changed, int count)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        for (int32_t e = r->offset[changed[i]]; e < r->offset[changed[i] + 1]; e++) {
            int32_t site = r->links[e].source;
            if (!r->flagged[site]) {
                r->flagged[site] = true;
                r->touched[found++] = site;
            }
        }
    }
    for (int i = 0; i < found; i++)
        r->flagged[r->touched[i]] = false;
    return found;
}

static void number_by_first_site(refinement *r)
{
    int next = 0;
    int32_t *fresh = r->spare;
    for (int c = 0; c < r->colours; c++)
        fresh[c] = -1;
    for (int s = 0; s < r->sites; s++) {
        if (fresh[r->colour[s]] < 0)
            fresh[r->colour[s]] = next++;
        r->colour[s] = fresh[r->colour[s]];
    }
}

kt_status kti_refine(int sites, const int32_t *offset, const kti_link *links, int32_t *colour, int *classes,
                     kt_error *error)
{
    kt_status status = KT_OK;
    size_t n = (size_t)sites;
    refinement r = {.sites = sites, .offset = offset, .links = links, .colour = colour, .colours = *classes};
    int32_t *lists = kti_allocate(4 * n, sizeof *lists);
    r.key = kti_allocate((size_t)offset[sites], sizeof *r.key);
    r.flagged = kti_allocate(n, sizeof *r.flagged);
    if (!lists || !r.key || !r.flagged) {
        status = kti_fail_memory(error, "the refinement of a crystal");
        goto done;
    }
    r.size = lists;
    r.touched = lists + n;
    r.changed = lists + 2 * n;
    r.spare = lists + 3 * n;
    for (int s = 0; s < sites; s++) {
        r.size[colour[s]]++;
        r.touched[s] = s;
    }
    for (int touched = sites; touched > 0;) {
        int changed = 0;
        for (int i = 0; i < touched; i++)
            sign(&r, r.touched[i]);
        sort_sites(&r, r.touched, r.spare, touched);
        for (int begin = 0, end; begin < touched; begin = end) {
            for (end = begin + 1; end < touched && colour[r.touched[end]] == colour[r.touched[begin]];)
                end++;
            changed += split(&r, r.touched + begin, end - begin, r.changed + changed);
        }
        touched = neighbours_of(&r, r.changed, changed);
    }
    number_by_first_site(&r);
    *classes = r.colours;
done:
    free(lists);
    free(r.key);
    free(r.flagged);
    return status;
}
