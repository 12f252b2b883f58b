/* The experiment of the paper (L. Klochko, M. d'Aquin, Phys. Chem. Chem. Phys. 28 (2026) 8146): its models, the results
 * that its authors released, and what is wrong in its code, one switch a fault.
 */
#ifndef KTI_PAPER_PAPER_H
#define KTI_PAPER_PAPER_H

#include <kappatune/train.h>

enum { KTI_PAPER_RUNS = 9 };

typedef enum kti_paper_set {
    KTI_PAPER_TOGO15,
    KTI_PAPER_HH143,
    KTI_PAPER_MIX, /* the two above, joined */
    KTI_PAPER_AFLOW,
    KTI_PAPER_SETS
} kti_paper_set;

/* As options name them, ended by NULL, and as tables do. */
extern const char *const kti_paper_set_names[KTI_PAPER_SETS + 1];
extern const char *const kti_paper_set_titles[KTI_PAPER_SETS];

/* One model of the paper, nine runs of it. Step 1 starts at random weights, Step 2 at the formation energies', Step 3 at a
 * model of AFLOW. */
typedef struct kti_paper_model {
    const char *name;
    kti_paper_set set;
    int step;
    const char *from_stage; /* the model that it starts from, fold by fold; NULL if none */
    bool formation_energy;  /* it, or the model that it starts from, starts at those weights */
    bool has_published;
    /* MAPE of runs 1 to 9 on its own data set: the released results' column of that set. They are over the rows that split n
     * holds out: their MIX column is (29 HH143 + 19 Togo15) / 48 to six digits, 29 and 19 being a fifth of 143 and 95.
     * Step 3's, and all of MIX, are of a compressed kappa (restore_target of kt_train_options), the others in W/(m K). */
    double published[KTI_PAPER_RUNS];
} kti_paper_model;

enum { KTI_PAPER_MODELS = 14 };
extern const kti_paper_model kti_paper_models[KTI_PAPER_MODELS];

/* NULL if there is none of that name. */
const kti_paper_model *kti_paper_find(const char *name);

/* ---- the faults ---- */

typedef enum kti_fault {
    KTI_FAULT_WEIGHTS,   /* the formation energies' weights are never loaded */
    KTI_FAULT_TARGET,    /* the target transform of the start weights is restored */
    KTI_FAULT_SELECTION, /* the epoch is chosen on the reported rows */
    KTI_FAULT_TRANSFORM  /* the target transform is of all rows */
} kti_fault;

/* A model with one fault more than the sound protocol has, or one less than the published. */
typedef struct kti_paper_variant {
    const char *name, *base; /* of the stage; of the model */
    kt_protocol protocol;    /* whose run it is in */
    kti_fault fault;
    const char *
        from_stage; /* where it starts in place of where the model does; NULL: the model's start, with the switch set */
} kti_paper_variant;

/* NULL if there is none of that name in the protocol's run. */
const kti_paper_variant *kti_paper_find_variant(kt_protocol protocol, const char *name);

/* Gives the options the value that the other protocol has for the fault's switch. */
void kti_paper_switch(kti_fault fault, kt_protocol protocol, kt_train_options *options);

/* One line of the ablation: two stages of a protocol's run that differ in one fault. */
typedef struct kti_paper_ablation {
    kt_protocol protocol;
    int step;
    kti_fault fault;
    const char *base, *stage;
} kti_paper_ablation;

enum { KTI_PAPER_ABLATIONS = 14 };
extern const kti_paper_ablation kti_paper_ablations[KTI_PAPER_ABLATIONS];

/* What happens to a sound model (sound) or to a published one, in a few words. */
const char *kti_paper_fault_text(kti_fault fault, kt_protocol protocol);

#endif
