/* Model cards: what somebody must know who is handed a trained model, as Markdown. */
#ifndef KTI_EXPERIMENT_CARD_H
#define KTI_EXPERIMENT_CARD_H

#include <stdbool.h>

#include <jansson.h>

#include <kappatune/train.h>

#include "base/text.h"
#include "crystal/elements.h"

/* What the training data cover. */
typedef struct kti_coverage {
    bool known; /* the data were at hand */
    int crystals;
    double min, median, max; /* kappa, W/(m K) */
    int64_t max_sites;
    bool element[KTI_ELEMENT_TYPES];
} kti_coverage;

/* What rounding to half precision does to kappa, measured on some crystals of the training data. */
typedef struct kti_rounding {
    int crystals;       /* 0: not measured */
    double max, median; /* |relative change| of the members' mean */
} kti_rounding;

typedef struct kti_card {
    const char *name, *path; /* its title, and the folder as a user names it */
    int members;
    bool half;
    const kt_train_options *options; /* of the training */
    const json_t *metrics;           /* metrics.json */
    const char *metrics_file;        /* its name, for errors */
    const kti_coverage *coverage;
    const kti_rounding *rounding;
    const char *credits; /* lines of the list of sources */
    const char *licence; /* of the weights; NULL: nobody said */
} kti_card;

/* Adds the card to `text`. KT_BAD_FORMAT for metrics without a summary. */
kt_status kti_card_write(const kti_card *card, kti_text *text, kt_error *error);

#endif
