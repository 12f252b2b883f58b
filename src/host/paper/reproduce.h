/* The paper's experiment, whole: both protocols as runs of several stages, DIR/published and DIR/sound, each with the
 * models of the paper and the variants of the ablation.
 */
#ifndef KTI_PAPER_REPRODUCE_H
#define KTI_PAPER_REPRODUCE_H

#include <kappatune/train.h>

#include "paper/paper.h"

typedef struct kti_reproduce_options {
    const char *out; /* DIR */
    /* Holds togo15, hh143 and aflow_agl, each a folder, or a table with .csv; NULL: togo15, hh143 and aflow are names for `find`. */
    const char *data_root;
    const char *weights;      /* of the formation energies; NULL if no model starts there */
    const char *device;       /* NULL is "cpu" */
    bool protocol[2];         /* by kt_protocol */
    bool step[4];             /* [1], [2], [3] */
    bool set[KTI_PAPER_SETS]; /* models of AFLOW that others start from are trained anyway */
    int folds;                /* 1 to KTI_PAPER_RUNS */
    int epochs, aflow_epochs; /* of the small sets, of AFLOW */
    int threads;
    uint64_t seed;
    bool resume;
    bool force; /* write into a folder that holds something, and no reproduction */
    /* As in kt_train_options: what the names of data sets, and `weights`, stand for. */
    kt_status (*find)(void *find_user, kt_named kind, const char *name, const char **path, kt_error *error);
    void *find_user;
    /* As those of kt_train_options; rows and time are of both protocols together. May be NULL. */
    int (*progress)(void *user, kt_protocol protocol, const kt_train_progress *progress);
    void (*message)(void *user, const char *text);
    void *user;
} kti_reproduce_options;

/* Both protocols, nine folds, 300 epochs, seed 42, everything on; paths are the caller's. */
kti_reproduce_options kti_reproduce_options_default(void);

enum { KTI_REPRODUCE_STAGES = 32, KTI_REPRODUCE_PATHS = 3 };

typedef struct kti_reproduce_run {
    int stages; /* 0 if the protocol is not asked for */
    kt_stage stage[KTI_REPRODUCE_STAGES];
    kt_recipe_result result; /* once it has been trained */
} kti_reproduce_run;

typedef struct kti_reproduction {
    kti_reproduce_options options;
    char *path[KTI_REPRODUCE_PATHS]; /* togo15, hh143, aflow_agl; owned; NULL where not needed */
    kti_reproduce_run run[2];        /* by kt_protocol */
} kti_reproduction;

/* Says what is to be trained; refuses options without a model, and data or weights that are missing. Reads nothing and
 * writes nothing. The options' strings must outlive the reproduction. */
kt_status kti_reproduction_plan(const kti_reproduce_options *options, kti_reproduction *reproduction,
                                kt_error *error);

/* Trains all of it, or what is not finished. KT_INTERRUPTED as kt_train; KT_BAD_ARGUMENT if options.out is itself a run's
 * folder, or holds anything else that is no reproduction's, unless options.force. */
kt_status kti_reproduction_train(kti_reproduction *reproduction, kt_error *error);
void kti_reproduction_destroy(kti_reproduction *reproduction);

/* DIR/published or DIR/sound (free()); NULL when memory is short. */
char *kti_reproduction_folder(const kti_reproduction *reproduction, kt_protocol protocol);

/* The results of a stage; NULL if the protocol's run does not have it. */
const kt_train_result *kti_reproduction_find(const kti_reproduction *reproduction, kt_protocol protocol,
                                             const char *stage);

/* Whether it is less than the paper did: fewer folds or epochs. */
bool kti_reproduction_is_short(const kti_reproduction *reproduction);

#endif
