/* What a weights file says about the network it belongs to: written by importers and checkpoints, checked by
 * readers.
 */
#ifndef KTI_MODEL_ARCHITECTURE_H
#define KTI_MODEL_ARCHITECTURE_H

#include <stdbool.h>

#include "model/tensors.h"

/* Sets the metadata that describe this network: format, format_version, architecture, activation, blocks,
 * cutoff (Å), gaussians_count, gaussians_first, gaussians_last (Å), gaussians_factor (1/Å^2, in exp(-factor
 * d^2)), set2set_steps, elements (in the embedding's order), and for one with physics inputs physics_inputs: the names of the
 * features. */
kt_status kti_architecture_describe(kti_tensors *tensors, bool physics, kt_error *error);

/* Whether the weights are of a network with physics inputs. */
bool kti_architecture_has_physics(const kti_tensors *tensors);

/* KT_BAD_FORMAT, naming the key and both values, if one of them is missing or differs: such weights belong to
 * another network even if every shape fits. Physics inputs may be there or not, but they must be this network's. `file` names the input in errors. */
kt_status kti_architecture_check(const kti_tensors *tensors, const char *file, kt_error *error);

/* A number as metadata, in the shortest text that gives back every bit. KT_NON_FINITE for what is none. */
kt_status kti_metadata_set_number(kti_tensors *tensors, const char *key, double value, kt_error *error);

/* KT_BAD_FORMAT, naming file and key, when it is missing or no number. */
kt_status kti_metadata_number(const kti_tensors *tensors, const char *file, const char *key, double *value,
                              kt_error *error);

#endif
