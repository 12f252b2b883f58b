#include "crystal/neighbours.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

static const double TOLERANCE = 1e-8; /* Å, as the published code has it (docs/method.md, section 1) */

/* A site in its bin. */
typedef struct placed {
    double at[3]; /* Cartesian, inside the reduced cell, Å */
    int32_t site;
} placed;

typedef struct bins {
    int count[3];   /* along each axis of the reduced cell */
    int reach[3];   /* bins to look at on each side */
    int32_t *begin; /* [bins + 1] into `placed` */
    placed *placed; /* [sites] by bin, within a bin by site */
    int32_t *place; /* [sites] where a site stands in `placed` */
    int32_t *bin;   /* [sites] */
} bins;

/* At most about two bins a site: a lone atom in a huge cell must not cost a huge table. */
static void choose_bins(const kti_lattice *lattice, int sites, double max, bins *b)
{
    double wanted[3], allowed = 2.0 * sites + 8;
    for (int i = 0; i < 3; i++)
        wanted[i] = fmax(1, floor(lattice->heights[i] / (max + 2 * TOLERANCE)));
    while (wanted[0] * wanted[1] * wanted[2] > allowed) {
        int largest = 0;
        for (int i = 1; i < 3; i++)
            if (wanted[i] > wanted[largest])
                largest = i;
        wanted[largest] = floor(wanted[largest] / 2);
    }
    for (int i = 0; i < 3; i++) {
        b->count[i] = (int)wanted[i];
        b->reach[i] = (int)ceil((max + TOLERANCE) * wanted[i] / lattice->heights[i]);
    }
}

static kt_status fill_bins(const kti_lattice *lattice, const double (*fractional)[3], int sites, bins *b,
                           kt_error *error)
{
    int total = b->count[0] * b->count[1] * b->count[2];
    b->begin = kti_allocate((size_t)total + 1, sizeof *b->begin);
    b->placed = kti_allocate((size_t)sites, sizeof *b->placed);
    b->place = kti_allocate((size_t)sites, sizeof *b->place);
    b->bin = kti_allocate((size_t)sites, sizeof *b->bin);
    double(*wrapped)[3] = kti_allocate((size_t)sites, sizeof *wrapped);
    if (!b->begin || !b->placed || !b->place || !b->bin || !wrapped) {
        free(wrapped);
        return kti_fail_memory(error, "the cell list");
    }
    for (int s = 0; s < sites; s++) {
        int index[3];
        kti_lattice_reduce_site(lattice, fractional[s], wrapped[s]);
        for (int i = 0; i < 3; i++) {
            wrapped[s][i] -= floor(wrapped[s][i]);
            index[i] = (int)(wrapped[s][i] * b->count[i]);
            if (index[i] >= b->count[i]) /* -1e-20 wraps to 1 */
                index[i] = b->count[i] - 1;
        }
        b->bin[s] = (index[0] * b->count[1] + index[1]) * b->count[2] + index[2];
        b->begin[b->bin[s] + 1]++;
    }
    for (int k = 0; k < total; k++)
        b->begin[k + 1] += b->begin[k];
    for (int s = 0; s < sites; s++) {
        int32_t where = b->begin[b->bin[s]]++;
        placed *p = &b->placed[where];
        for (int k = 0; k < 3; k++)
            p->at[k] = wrapped[s][0] * lattice->vectors[0][k] + wrapped[s][1] * lattice->vectors[1][k] +
                       wrapped[s][2] * lattice->vectors[2][k];
        p->site = s;
        b->place[s] = where;
    }
    for (int k = total; k > 0; k--)
        b->begin[k] = b->begin[k - 1];
    b->begin[0] = 0;
    free(wrapped);
    return KT_OK;
}

/* Index of a bin beyond the cell: the bin it repeats, and by how many cells it is shifted. */
static int wrap(int index, int count, int *shift)
{
    *shift = index >= 0 ? index / count : -((count - 1 - index) / count);
    return index - *shift * count;
}

typedef struct pair_list {
    kti_pair *pairs;
    size_t count, capacity;
} pair_list;

/* Pairs of one site with the sites of one shifted bin. Only second >= first is kept, and of a site's own
 * images one of each two opposite ones: so both directions of an edge have bit-equal distances. */
static int search_bin(const bins *b, const placed *from, int bin, const double offset[3], bool forward,
                      double min, double max, size_t limit, pair_list *found)
{
    double reach = max + TOLERANCE, reach2 = reach * reach * (1 + 1e-12);
    for (int32_t p = b->begin[bin]; p < b->begin[bin + 1]; p++) {
        const placed *to = &b->placed[p];
        if (to->site < from->site || (to->site == from->site && !forward))
            continue;
        double x = to->at[0] + offset[0] - from->at[0], y = to->at[1] + offset[1] - from->at[1],
               z = to->at[2] + offset[2] - from->at[2];
        double square = x * x + y * y + z * z;
        if (square > reach2)
            continue;
        double distance = sqrt(square);
        if (!(distance > min && distance <= reach))
            continue;
        if (kti_grow((void **)&found->pairs, found->count, &found->capacity, sizeof *found->pairs) != 0)
            return -1;
        found->pairs[found->count++] = (kti_pair){from->site, to->site, distance};
        if (found->count > limit)
            return 1;
    }
    return 0;
}

static int search_site(const kti_lattice *lattice, const bins *b, int site, double min, double max,
                       size_t limit, pair_list *found)
{
    const placed *from = &b->placed[b->place[site]];
    int home[3] = {b->bin[site] / (b->count[1] * b->count[2]), b->bin[site] / b->count[2] % b->count[1],
                   b->bin[site] % b->count[2]};
    for (int i = -b->reach[0]; i <= b->reach[0]; i++) {
        int s0, i0 = wrap(home[0] + i, b->count[0], &s0);
        for (int j = -b->reach[1]; j <= b->reach[1]; j++) {
            int s1, i1 = wrap(home[1] + j, b->count[1], &s1);
            for (int k = -b->reach[2]; k <= b->reach[2]; k++) {
                int s2, i2 = wrap(home[2] + k, b->count[2], &s2);
                int bin = (i0 * b->count[1] + i1) * b->count[2] + i2;
                if (b->begin[bin] == b->begin[bin + 1])
                    continue;
                double offset[3];
                for (int x = 0; x < 3; x++)
                    offset[x] = s0 * lattice->vectors[0][x] + s1 * lattice->vectors[1][x] +
                                s2 * lattice->vectors[2][x];
                bool forward = s0 > 0 || (s0 == 0 && (s1 > 0 || (s1 == 0 && s2 > 0)));
                int stop = search_bin(b, from, bin, offset, forward, min, max, limit, found);
                if (stop)
                    return stop;
            }
        }
    }
    return 0;
}

kt_status kti_neighbours_find(const kti_lattice *lattice, const double (*fractional)[3], int sites,
                              double min, double max, int64_t limit, kti_pair **pairs, int64_t *count,
                              kt_error *error)
{
    bins b = {0};
    pair_list found = {0};
    *pairs = NULL;
    *count = 0;
    choose_bins(lattice, sites, max, &b);
    kt_status status = fill_bins(lattice, fractional, sites, &b, error);
    int stop = 0;
    for (int s = 0; status == KT_OK && stop == 0 && s < sites; s++)
        stop = search_site(lattice, &b, s, min, max, (size_t)limit, &found);
    if (stop < 0)
        status = kti_fail_memory(error, "the neighbours");
    if (status == KT_OK) {
        *pairs = found.pairs;
        *count = (int64_t)found.count;
        found.pairs = NULL;
    }
    free(found.pairs);
    free(b.begin);
    free(b.placed);
    free(b.place);
    free(b.bin);
    return status;
}
