/* What has a name: models, weights, recipes and data sets that lie in a folder of the search path (docs/install.md).
 *
 * A path that exists is what it says (but a folder is no recipe). Any other name is looked for in each folder of the search path, which has models/, weights/,
 * recipes/ and datasets/ in it: those of KAPPATUNE_PATH, separated by colons (an entry that is empty or does not begin with a slash is
 * left out, since what it means depends on the present folder), then <folder of the program>/../share/kappatune.
 */
#ifndef KTI_CLI_NAMES_H
#define KTI_CLI_NAMES_H

#include <stddef.h>

#include <kappatune/train.h>

typedef enum kti_kind {
    KTI_MODEL,  /* models/NAME, or weights/NAME with or without .safetensors */
    KTI_RECIPE, /* NAME, or recipes/NAME with or without .json */
    KTI_DATA    /* NAME, or datasets/NAME with or without .csv */
} kti_kind;

/* What `name` stands for into *path: itself, or a path that stays allocated until the program ends. The error says what there is instead
 * and where it was looked for. A path that is not there and cannot be a name ("runs/mine", "/data/x") stands for itself. */
kt_status kti_name_find(kti_kind kind, const char *name, const char **path, kt_error *error);

/* The same for kt_train_options.find; `find_user` is not used. */
kt_status kti_name_find_named(void *find_user, kt_named kind, const char *name, const char **path,
                              kt_error *error);

/* KAPPATUNE_PATH; NULL where it is not set. */
const char *kti_search_path(void);

/* The path of this program. */
kt_status kti_program_path(char *path, size_t capacity, kt_error *error);

#endif
