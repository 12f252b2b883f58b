/* Recipes as a whole: their stages, and the run folder of several stages.
 */
#ifndef KTI_TRAIN_STAGES_H
#define KTI_TRAIN_STAGES_H

#include <jansson.h>

#include <kappatune/train.h>

/* Reads a recipe file into *root (the caller's: json_decref) and counts its points (train/sweep.h); 0: it is no sweep. */
kt_status kti_recipe_load(const char *path, json_t **root, int *points, kt_error *error);

/* kt_recipe_read of a recipe that is no sweep, read already; `file` stands for it in errors. The recipe keeps `root` as long as it
 * needs it. */
kt_status kti_recipe_read(json_t *root, const char *file, const kt_train_options *common, kt_recipe *recipe,
                          kt_error *error);

/* The recipe with every stage in full, as kt_recipe_read takes it. NULL when memory is short. */
json_t *kti_stages_to_json(const kt_recipe *recipe);

/* KT_BAD_ARGUMENT, naming the stage, for options that make no sense, a name that is repeated or cannot be a folder's,
 * and a start that is no earlier stage or lacks a fold. */
kt_status kti_stages_check(const kt_recipe *recipe, kt_error *error);

/* Whether the run folder `out` can take this recipe of several stages: it holds none, or, on resume, one whose stages, as
 * far as they were begun, are in the recipe unchanged. The first difference is named with its stage. */
kt_status kti_stages_check_run(const kt_recipe *recipe, const char *out, bool resume, kt_error *error);

/* The index of a stage; -1 if there is none of that name. */
int kti_stage_find(const kt_recipe *recipe, const char *name);

/* RUN/stages/NAME; the caller's: free(); NULL when memory is short. */
char *kti_stage_path(const char *run, const char *name);

/* The folder that stands for a run where one of a single stage is asked for: that of its last stage if it has several,
 * else `run` itself, into *folder (free()). */
kt_status kti_stage_last(const char *run, char **folder, kt_error *error);

/* Gives `error` the text of `own`, with the stage's name before it (not if that is empty); returns own->status. */
kt_status kti_stage_fail(kt_error *error, const char *stage, const kt_error *own);

#endif
