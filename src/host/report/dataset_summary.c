#include "report/dataset_summary.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"

static int compare_doubles(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static kt_status describe_kappa(const kti_dataset *dataset, kti_statistics *s, kt_error *error)
{
    const int size = dataset->size;
    double *sorted = malloc((size_t)size * sizeof *sorted);
    if (!sorted)
        return kti_fail_memory(error, "the statistics");
    for (int i = 0; i < size; i++) {
        sorted[i] = dataset->crystals[i].kappa;
        s->mean += sorted[i] / size;
        int decade = (int)floor(log10(sorted[i])) - KTI_FIRST_DECADE;
        decade = decade < 0 ? 0 : decade >= KTI_DECADES ? KTI_DECADES - 1 : decade;
        s->decade[decade]++;
    }
    qsort(sorted, (size_t)size, sizeof *sorted, compare_doubles);
    s->min = sorted[0];
    s->median = (sorted[(size - 1) / 2] + sorted[size / 2]) / 2;
    s->max = sorted[size - 1];
    free(sorted);
    return KT_OK;
}

static void add_size(kti_size_summary *sum, int64_t value, int size)
{
    sum->mean += (double)value / size;
    if (value > sum->max)
        sum->max = value;
}

static void describe_graph(const kti_graph *graph, int size, kti_statistics *s)
{
    bool present[KTI_ELEMENT_TYPES] = {false};
    add_size(&s->sites, graph->sites, size);
    add_size(&s->edges, graph->directed_edges, size);
    add_size(&s->quotient_nodes, graph->nodes, size);
    add_size(&s->quotient_edges, graph->edges, size);
    for (int i = 0; i < graph->nodes; i++)
        present[graph->node_type[i]] = true;
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++)
        if (kti_element_type(number) >= 0)
            s->crystals_with[number] += present[kti_element_type(number)];
}

/* A rejected crystal that can be read as a structure may hold an element that the network does not know. */
static void look_outside(const kti_reject *reject, kti_statistics *s)
{
    kt_structure structure = {0};
    if (reject->error.status == KT_BAD_CRYSTAL &&
        kt_structure_read(reject->error.file, &structure, NULL) == KT_OK)
        for (int i = 0; i < structure.sites; i++)
            if (kti_element_type(structure.atomic_number[i]) < 0)
                s->outside[structure.atomic_number[i]] = true;
    kt_structure_destroy(&structure);
}

kt_status kti_describe_dataset(const kti_dataset *dataset, kti_statistics *s, kt_error *error)
{
    *s = (kti_statistics){0};
    kt_status status = describe_kappa(dataset, s, error);
    for (int i = 0; i < dataset->size; i++)
        describe_graph(&dataset->crystals[i].graph, dataset->size, s);
    for (int i = 0; i < dataset->rejected; i++)
        look_outside(&dataset->rejects[i], s);
    if (status == KT_OK)
        status = kti_find_duplicates(dataset, &s->pairs, &s->pairs_size, error);
    return status;
}

void kti_statistics_destroy(kti_statistics *s)
{
    free(s->pairs);
    *s = (kti_statistics){0};
}
