/* Whom a model's training data and start weights are owed to. */
#ifndef KTI_EXPERIMENT_SOURCES_H
#define KTI_EXPERIMENT_SOURCES_H

#include <stddef.h>

/* A path as another machine may see it: as it is, or its last component if it is absolute or leaves the working
 * directory. */
void kti_portable_path(const char *path, char *text, size_t capacity);

/* Origin, reference and licence of the data set or the weights that this path ends in, by the name alone ("togo15", with or
 * without .csv or .safetensors); NULL for what is not known here. */
const char *kti_source_credit(const char *path);

#endif
