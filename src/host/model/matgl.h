/* Importer of matgl's pretrained MEGNet: state.pt (a zip with a pickle) and model.json beside it. */
#ifndef KTI_MODEL_MATGL_H
#define KTI_MODEL_MATGL_H

#include "model/tensors.h"

/* Reads `path` (a state.pt file, or the folder that holds state.pt and model.json) into tensors named by the spec table
 * (body and formation-energy layer) in float32. Every key of the file is accounted for: a key the table does not
 * know, a missing one or another shape is an error, except those that carry no parameter and are checked against
 * their known values (the Gaussian centres, the normaliser's mean and standard deviation). Metadata says
 * architecture, cutoff, Gaussian grid, Set2Set steps, element list, normaliser and provenance.
 * The pickle is read by a machine that can build tensors and nothing else. Errors carry file and byte. */
kt_status kti_matgl_import(const char *path, kti_tensors *tensors, kt_error *error);

#endif
