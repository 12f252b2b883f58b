/* Importer of matgl's pretrained MEGNet: state.pt (a zip with a pickle) and model.json beside it. */
#ifndef KTI_MODEL_MATGL_H
#define KTI_MODEL_MATGL_H

#include "model/tensors.h"

/* Reads `path` (a state.pt file, or the folder that holds state.pt and model.json) into tensors named by the
 * spec table (body and formation-energy layer), in the table's order, in float32. Every key of the file is
 * accounted for: a key the table does not know, a missing one or another shape is KT_BAD_FORMAT; a parameter
 * that is not finite is KT_NON_FINITE. The Gaussian centres carry no parameter and are checked against
 * linspace(0, 5, 100). model.json must describe this very network, argument by argument.
 *
 * Metadata: those of model/architecture.h, and `eform_mean` and `eform_std` (eV/atom; the energy is out * std
 * + mean), `provenance` (file name and number of keys). The pickle is read by a machine that can build
 * tensors and nothing else. Errors carry file and byte. *tensors is overwritten, the caller's to destroy, and
 * empty on failure. */
kt_status kti_matgl_import(const char *path, kti_tensors *tensors, kt_error *error);

#endif
