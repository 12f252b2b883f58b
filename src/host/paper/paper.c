#include "paper/paper.h"

#include <string.h>

const char *const kti_paper_set_names[KTI_PAPER_SETS + 1] = {"togo15", "hh143", "mix", "aflow", NULL};
const char *const kti_paper_set_titles[KTI_PAPER_SETS] = {"Togo15", "HH143", "MIX", "AFLOW AGL"};

const kti_paper_model kti_paper_models[KTI_PAPER_MODELS] = {
    {"RWAF",
     KTI_PAPER_AFLOW,
     1,
     NULL,
     false,
     true,
     {0.446193, 0.528374, 0.502903, 0.440391, 0.521584, 0.477063, 1.476732, 0.500451, 0.489818}},
    {"FEAF",
     KTI_PAPER_AFLOW,
     2,
     NULL,
     true,
     true,
     {0.464709, 0.499283, 0.502043, 0.444348, 0.505836, 0.495381, 0.448578, 0.511582, 0.521560}},
    {"RWTG15",
     KTI_PAPER_TOGO15,
     1,
     NULL,
     false,
     true,
     {0.766631, 0.267595, 0.501348, 0.897755, 0.265504, 0.438041, 0.515097, 0.764516, 0.434773}},
    {"FETG15",
     KTI_PAPER_TOGO15,
     2,
     NULL,
     true,
     true,
     {0.710757, 0.304766, 0.709497, 0.962541, 0.305392, 0.437288, 0.504262, 0.285985, 0.366858}},
    {"RWAFTG15", KTI_PAPER_TOGO15, 3, "RWAF", false, false, {0}},
    {"FEAFTG15",
     KTI_PAPER_TOGO15,
     3,
     "FEAF",
     true,
     true,
     {0.472365, 0.138480, 0.283922, 0.436655, 0.165011, 0.383665, 0.276927, 0.125878, 0.312256}},
    {"RWHH143",
     KTI_PAPER_HH143,
     1,
     NULL,
     false,
     true,
     {0.339613, 0.384390, 0.362591, 0.454869, 0.305330, 0.402175, 0.464825, 0.329654, 0.398684}},
    {"FEHH143",
     KTI_PAPER_HH143,
     2,
     NULL,
     true,
     true,
     {0.256288, 0.448035, 0.292594, 0.435576, 0.368142, 0.391231, 0.459926, 0.283467, 0.399262}},
    {"RWAFHH143", KTI_PAPER_HH143, 3, "RWAF", false, false, {0}},
    {"FEAFHH143",
     KTI_PAPER_HH143,
     3,
     "FEAF",
     true,
     true,
     {0.504636, 1.016544, 0.322440, 0.737645, 0.586007, 0.732836, 0.837494, 0.366019, 1.064497}},
    {"RWMIX",
     KTI_PAPER_MIX,
     1,
     NULL,
     false,
     true,
     {0.627987, 0.883897, 0.658693, 0.851252, 0.756697, 0.679132, 0.825239, 0.591815, 0.767139}},
    {"FEMIX",
     KTI_PAPER_MIX,
     2,
     NULL,
     true,
     true,
     {0.801506, 0.764012, 0.639443, 0.786420, 0.681878, 0.640925, 0.840124, 0.471255, 0.778075}},
    {"RWAFMIX", KTI_PAPER_MIX, 3, "RWAF", false, false, {0}},
    {"FEAFMIX",
     KTI_PAPER_MIX,
     3,
     "FEAF",
     true,
     true,
     {0.485105, 0.871922, 0.425527, 0.663028, 0.652248, 0.630854, 0.642297, 0.242623, 0.941109}},
};

const kti_paper_model *kti_paper_find(const char *name)
{
    for (int i = 0; i < KTI_PAPER_MODELS; i++)
        if (strcmp(kti_paper_models[i].name, name) == 0)
            return &kti_paper_models[i];
    return NULL;
}

static const kti_paper_variant variants[] = {
    {"FETG15-selected-outer", "FETG15", KT_SOUND, KTI_FAULT_SELECTION, NULL},
    {"FETG15-transform-of-all", "FETG15", KT_SOUND, KTI_FAULT_TRANSFORM, NULL},
    {"FEAFTG15-target-restored", "FEAFTG15", KT_SOUND, KTI_FAULT_TARGET, NULL},
    {"FEAFTG15-selected-outer", "FEAFTG15", KT_SOUND, KTI_FAULT_SELECTION, NULL},
    {"FEAFTG15-transform-of-all", "FEAFTG15", KT_SOUND, KTI_FAULT_TRANSFORM, NULL},
    {"FETG15-weights-loaded", "FETG15", KT_PUBLISHED, KTI_FAULT_WEIGHTS, NULL},
    {"FETG15-selected-inner", "FETG15", KT_PUBLISHED, KTI_FAULT_SELECTION, NULL},
    {"FETG15-transform-of-training", "FETG15", KT_PUBLISHED, KTI_FAULT_TRANSFORM, NULL},
    {"FEAF-weights-loaded", "FEAF", KT_PUBLISHED, KTI_FAULT_WEIGHTS, NULL},
    /* The published code does load its own AFLOW model: there the fault is that this one began at random. */
    {"FEAFTG15-weights-loaded", "FEAFTG15", KT_PUBLISHED, KTI_FAULT_WEIGHTS, "FEAF-weights-loaded"},
    {"FEAFTG15-target-kept", "FEAFTG15", KT_PUBLISHED, KTI_FAULT_TARGET, NULL},
    {"FEAFTG15-selected-inner", "FEAFTG15", KT_PUBLISHED, KTI_FAULT_SELECTION, NULL},
    {"FEAFTG15-transform-of-training", "FEAFTG15", KT_PUBLISHED, KTI_FAULT_TRANSFORM, NULL},
};

const kti_paper_variant *kti_paper_find_variant(kt_protocol protocol, const char *name)
{
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++)
        if (variants[i].protocol == protocol && strcmp(variants[i].name, name) == 0)
            return &variants[i];
    return NULL;
}

void kti_paper_switch(kti_fault fault, kt_protocol protocol, kt_train_options *options)
{
    const kt_train_options other = kt_train_options_default(protocol == KT_SOUND ? KT_PUBLISHED : KT_SOUND);
    switch (fault) {
    case KTI_FAULT_WEIGHTS: options->load_weights = other.load_weights; break;
    case KTI_FAULT_TARGET: options->restore_target = other.restore_target; break;
    case KTI_FAULT_SELECTION: options->select = other.select; break;
    case KTI_FAULT_TRANSFORM: options->fit_target_on_all = other.fit_target_on_all; break;
    }
}

/* Of the sound run, a model whose weights are not loaded is that of the paper which starts at random. In Step 2 no transform
 * can be restored: the formation energies' weights have no head. */
const kti_paper_ablation kti_paper_ablations[KTI_PAPER_ABLATIONS] = {
    {KT_SOUND, 2, KTI_FAULT_WEIGHTS, "FETG15", "RWTG15"},
    {KT_SOUND, 2, KTI_FAULT_SELECTION, "FETG15", "FETG15-selected-outer"},
    {KT_SOUND, 2, KTI_FAULT_TRANSFORM, "FETG15", "FETG15-transform-of-all"},
    {KT_PUBLISHED, 2, KTI_FAULT_WEIGHTS, "FETG15", "FETG15-weights-loaded"},
    {KT_PUBLISHED, 2, KTI_FAULT_SELECTION, "FETG15", "FETG15-selected-inner"},
    {KT_PUBLISHED, 2, KTI_FAULT_TRANSFORM, "FETG15", "FETG15-transform-of-training"},
    {KT_SOUND, 3, KTI_FAULT_WEIGHTS, "FEAFTG15", "RWAFTG15"},
    {KT_SOUND, 3, KTI_FAULT_TARGET, "FEAFTG15", "FEAFTG15-target-restored"},
    {KT_SOUND, 3, KTI_FAULT_SELECTION, "FEAFTG15", "FEAFTG15-selected-outer"},
    {KT_SOUND, 3, KTI_FAULT_TRANSFORM, "FEAFTG15", "FEAFTG15-transform-of-all"},
    {KT_PUBLISHED, 3, KTI_FAULT_WEIGHTS, "FEAFTG15", "FEAFTG15-weights-loaded"},
    {KT_PUBLISHED, 3, KTI_FAULT_TARGET, "FEAFTG15", "FEAFTG15-target-kept"},
    {KT_PUBLISHED, 3, KTI_FAULT_SELECTION, "FEAFTG15", "FEAFTG15-selected-inner"},
    {KT_PUBLISHED, 3, KTI_FAULT_TRANSFORM, "FEAFTG15", "FEAFTG15-transform-of-training"},
};

const char *kti_paper_fault_text(kti_fault fault, kt_protocol protocol)
{
    static const char *const texts[][2] = {
        {"weights not loaded", "weights loaded"},
        {"AFLOW's target transform restored", "own target transform kept"},
        {"epoch chosen on the reported rows", "epoch chosen on inner rows"},
        {"target transform of all rows", "target transform of training rows"},
    };
    return texts[fault][protocol == KT_PUBLISHED];
}
