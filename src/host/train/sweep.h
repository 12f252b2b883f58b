/* Sweeps: a recipe in which some keys list several values. Each combination is a point, a recipe of its own.
 *
 *     {"data": "datasets/togo15.csv", "learning_rate": [1e-3, 3e-4], "batch": [4, 8]}
 *
 * has four points, (1e-3, 4), (1e-3, 8), (3e-4, 4), (3e-4, 8): the last key changes first. In a recipe of several stages the keys
 * beside `stages` and those of each stage can list values. A list of paths in `data` is joined, as ever; one that holds a list,
 * [["a", "b"], "c"], has a value an element.
 */
#ifndef KTI_TRAIN_SWEEP_H
#define KTI_TRAIN_SWEEP_H

#include <jansson.h>

#include <kappatune/error.h>

enum { KTI_MAX_POINTS = 10000 };

/* How many points a recipe has; 0: it lists no values. KT_BAD_FORMAT, naming the key, for an empty list, and for more than
 * KTI_MAX_POINTS points. `file` stands for the recipe in errors. */
kt_status kti_sweep_points(const json_t *recipe, const char *file, int *points, kt_error *error);

/* The recipe of a point, 1 .. points: the caller's (json_decref); NULL when memory is short. */
json_t *kti_sweep_point(const json_t *recipe, int points, int point);

/* RUN/points/<point>; the caller's: free(); NULL when memory is short. */
char *kti_sweep_path(const char *run, int point);

#endif
