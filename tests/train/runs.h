/* Small training runs in temporary folders, and their files compared byte by byte. */
#ifndef KTI_TESTS_TRAIN_RUNS_H
#define KTI_TESTS_TRAIN_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include <kappatune/train.h>

#include "model/tensors.h"

enum { PATH_SIZE = 256, SMALL_SET = 24 };

typedef struct scratch {
    char path[64];
} scratch;

void scratch_create(scratch *made);

/* Deletes the folder and all that is in it. */
void scratch_destroy(scratch *made);

/* "folder/name" in `text`, which is returned. */
char *path_in(const char *folder, const char *name, char text[PATH_SIZE]);

/* A data set in `folder` of the first `crystals` rows of Togo15, whose structure files it links to. Where
 * kappa[i] is not 0, it takes the place of the row's own; kappa may be NULL. */
void make_dataset(const char *folder, int crystals, const double *kappa);

/* The sound defaults with 3 folds of 6 epochs, for make_dataset's folders. */
kt_train_options small_options(const char *data, const char *out);

/* kt_train, which must succeed; the result may be NULL. */
void train(const kt_train_options *options, kt_train_result *result);

/* The whole of a file, terminated (free()). */
char *read_whole(const char *path, size_t *size);

/* Non-zero, and a message, unless folder/name has the same bytes in both. */
int differs(const char *left, const char *right, const char *name);

/* How many of the files that a run's result consists of differ: both weights files of each fold,
 * metrics.json, epochs.csv and predictions.csv. */
int run_differs(const char *left, const char *right, int folds);

/* The number of lines of run/log.jsonl whose event is `event`. The last of them goes to the numbers, each of
 * which may be NULL; 0 where the line has none. */
int count_events(const char *run, const char *event, int *fold, int *epoch, int *batch);

/* One number of run/epochs.csv by the column's name; NAN where the field is empty. */
double epoch_value(const char *run, int fold, int epoch, const char *column);

/* run/folds/<fold>/<name>, checked to be readable; the caller destroys it. */
void read_weights(const char *run, int fold, const char *name, kti_tensors *tensors);

/* A weights file, body and head, at random from `seed`; `change`, if not NULL, may alter it first. */
void make_weights(const char *path, uint64_t seed, void (*change)(kti_tensors *tensors));

/* Sets every value of a tensor of floats to value * factor + offset. */
void scale_tensor(kti_tensors *tensors, const char *name, float factor, float offset);

/* The stored messages of a run: give collect_message as `message` and one of these as `user`. */
typedef struct messages {
    int size;
    char text[512][256]; /* further ones are counted only */
} messages;

void collect_message(void *user, const char *text);

/* How many of them contain `part`. */
int count_messages(const messages *list, const char *part);

double metadata_number(const kti_tensors *tensors, const char *key);

#endif
