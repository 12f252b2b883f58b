/* What a data set holds, in numbers. */
#ifndef KTI_REPORT_DATASET_SUMMARY_H
#define KTI_REPORT_DATASET_SUMMARY_H

#include "crystal/elements.h"
#include "data/dataset.h"
#include "report/duplicates.h"

enum { KTI_DECADES = 12, KTI_FIRST_DECADE = -4 /* the lowest begins at 1e-4, or holds what is below */ };

typedef struct kti_size_summary {
    double mean;
    int64_t max;
} kti_size_summary;

typedef struct kti_statistics {
    double min, median, mean, max; /* kappa, W/(m K) */
    int decade[KTI_DECADES];
    kti_size_summary sites, edges, quotient_nodes, quotient_edges;
    int crystals_with[KTI_ATOMIC_NUMBERS + 1]; /* usable crystals that hold the element */
    bool outside[KTI_ATOMIC_NUMBERS + 1];      /* elements of rejects that the network does not know */
    kti_duplicate *pairs;                      /* owned */
    size_t pairs_size;
} kti_statistics;

/* Of a data set with at least one crystal. Rejected crystals are read again for their elements. KT_OUT_OF_MEMORY; destroy in any
 * case. */
kt_status kti_describe_dataset(const kti_dataset *dataset, kti_statistics *statistics, kt_error *error);
void kti_statistics_destroy(kti_statistics *statistics);

#endif
