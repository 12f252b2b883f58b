/* Recipes: the options of a training run as JSON, read by `train RECIPE.json` and kept in every run folder.
 */
#ifndef KTI_TRAIN_RECIPE_H
#define KTI_TRAIN_RECIPE_H

#include <jansson.h>

#include <kappatune/train.h>

#include "base/lock.h"

enum { KTI_RECIPE_LIMIT = 1 << 20 }; /* bytes of a recipe file */

/* The words that stand for the values of kt_protocol, kt_select, kt_loss and kt_freeze, in their order, ended by NULL. */
extern const char *const kti_protocol_names[];
extern const char *const kti_select_names[];
extern const char *const kti_loss_names[];
extern const char *const kti_freeze_names[];
extern const char *const kti_head_names[];

/* The options as JSON: everything that decides the result, nothing that does not (threads, progress). NULL
 * when memory is short. */
json_t *kti_recipe_to_json(const kt_train_options *options);

/* Sets the options that the keys of one stage name; unknown keys are refused, so that a misspelt one cannot pass. A
 * `protocol` key resets all others to that protocol's defaults first. The strings in `options` point into `object`,
 * which the caller keeps. `file` stands for it in errors. */
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
