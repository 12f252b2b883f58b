/* Recipes: the options of a training run as JSON, read by `train RECIPE.json` and kept in every run folder.
 */
#ifndef KTI_TRAIN_RECIPE_H
#define KTI_TRAIN_RECIPE_H

#include <jansson.h>

#include <kappatune/train.h>

#include "base/lock.h"
#include "train/keys.h"

enum { KTI_RECIPE_LIMIT = 1 << 20 }; /* bytes of a recipe file */

/* Sets the options that the keys of one stage name, as kti_keys_read does; a Gaussian process that sees nothing of the network
 * has no epochs unless `epochs` is named. */
kt_status kti_recipe_parse(const json_t *object, const char *file, kt_train_options *options,
                           kt_error *error);

/* The path of one of options->data, or of options->from, into *path: what options->find says, or `name` itself. */
kt_status kti_recipe_find(const kt_train_options *options, kt_named named, const char *name,
                          const char **path, kt_error *error);

/* KT_BAD_ARGUMENT, naming the option, for values that make no sense. */
kt_status kti_recipe_check(const kt_train_options *options, kt_error *error);

/* KT_BAD_ARGUMENT if the folder `out`, which has no recipe.json, holds what no run has put there, unless `force`. */
kt_status kti_recipe_check_stranger(const char *out, bool force, kt_error *error);

/* Whether options->out can take this run: it holds nothing (or options->force), or, on resume, one with the same recipe; the first key that
 * differs is named. Paths are not compared: checkpoints know the data by its fingerprint. */
kt_status kti_recipe_check_run(const kt_train_options *options, kt_error *error);

/* Makes the folder options->out, locks it against other runs until kti_lock_release, and writes recipe.json if it is
 * not there. */
kt_status kti_recipe_store(const kt_train_options *options, kti_lock *lock, kt_error *error);

#endif
