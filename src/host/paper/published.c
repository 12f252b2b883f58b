#include "paper/published.h"

#include <stdio.h>
#include <string.h>

#include "paper/paper.h"

/* The paper's set that a data set's name stands for; KTI_PAPER_SETS: none. */
static kti_paper_set set_of(const char *dataset)
{
    static const struct {
        const char *name;
        kti_paper_set set;
    } names[] = {{"togo15", KTI_PAPER_TOGO15},    {"hh143", KTI_PAPER_HH143},
                 {"togo15+hh143", KTI_PAPER_MIX}, {"hh143+togo15", KTI_PAPER_MIX},
                 {"aflow_agl", KTI_PAPER_AFLOW},  {"aflow", KTI_PAPER_AFLOW}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(dataset, names[i].name) == 0)
            return names[i].set;
    return KTI_PAPER_SETS;
}

int kti_paper_references(const char *dataset, kti_reference list[KTI_MAX_REFERENCES], const char **note)
{
    const kti_paper_set set = set_of(dataset);
    int size = 0;
    for (int i = 0; i < KTI_PAPER_MODELS && size < KTI_MAX_REFERENCES; i++) {
        const kti_paper_model *model = &kti_paper_models[i];
        if (model->set != set || !model->has_published)
            continue;
        kti_reference *made = &list[size++];
        *made = (kti_reference){.size = KTI_PAPER_RUNS, .mape = model->published};
        snprintf(made->label, sizeof made->label, "%s\\nStep %d", model->name, model->step);
    }
    *note = set == KTI_PAPER_MIX ? "what the paper's authors released, its epoch chosen on those very rows, "
                                   "and of a compressed kappa."
                                 : "what the paper's authors released, its epoch chosen on those very rows; "
                                   "Step 3 of a compressed kappa.";
    return size;
}
