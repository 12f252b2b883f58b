/* Models, for crystals whose graphs are there already. */
#ifndef KTI_PREDICTOR_MODEL_H
#define KTI_PREDICTOR_MODEL_H

#include <kappatune/model.h>

#include "crystal/graph.h"
#include "predictor/calibration.h"

/* What a model is opened for besides predicting. */
enum {
    KTI_MODEL_JUDGES = 1,   /* its calibration is read, if it has one */
    KTI_MODEL_IS_KNOWN = 2, /* kti_model_fingerprint: takes a pass over all weights */
    KTI_MODEL_IN_THE_MAKING =
        4 /* by whoever writes it: what would show that it is whole comes last, and is not asked for */
};

/* kt_model_open, which is for KTI_MODEL_JUDGES, for others of them. */
kt_status kti_model_open(const char *path, const kt_model_options *options, unsigned purpose,
                         kt_model **model, kt_error *error);

/* Of the weights and of the calibration, if it was read: two models that predict and judge alike have the same. Of one that was opened for
 * it. */
uint64_t kti_model_fingerprint(const kt_model *model);

/* kt_model_judge of a graph, of a model that has a calibration. */
void kti_model_judge_graph(const kt_model *model, const kti_graph *graph, const double *value,
                           const double *log_sd, kt_judgement *judgement);

/* kt_model_predict of a graph, which is a quotient if the model's options say so: value[members], log_sd[members] or NULL. A member that overflows
 * gives a value that is not finite, and no error. KT_BAD_CRYSTAL for a graph without an edge
 * where a member needs the network. */
kt_status kti_model_predict_graph(kt_model *model, const kti_graph *graph, const char *file, double *value,
                                  double *log_sd, kt_error *error);

/* The same of several crystals at once, each with the bits that it has alone: value and log_sd [count, members]. Where
 * kti_model_needs_network, every graph must have an edge. */
kt_status kti_model_predict_graphs(kt_model *model, const kti_graph *const *graphs, int count, double *value,
                                   double *log_sd, kt_error *error);

/* What one member says of them: value and log_sd [count]. */
kt_status kti_model_predict_member(kt_model *model, int index, const kti_graph *const *graphs, int count,
                                   double *value, double *log_sd, kt_error *error);

/* Whether a member needs the network, and with it neighbours within the cutoff. */
bool kti_model_needs_network(const kt_model *model);

#endif
