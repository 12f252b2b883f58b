/* Data sets: crystals with a thermal conductivity.
 *
 * Two forms. A folder: `id_prop.csv` (id,kappa; header optional) beside
 * `<id>.cif|.vasp|.poscar|.xyz|.extxyz`, as CGCNN and ALIGNN users have it. A table of crystals: one
 * .csv whose header names formula, a, kappa, id and prototype (with c and u where a prototype needs them;
 * data/prototype.h), or space_group and sites (with b, c, alpha, beta, gamma where a group leaves them free;
 * data/orbits.h), or both for rows of either form, so that a paper's table is a data set (datasets/). Further
 * columns and blanks around a field are ignored.
 *
 * One bad row does not end a run: it goes to the rejects, with its reason.
 */
#ifndef KTI_DATA_DATASET_H
#define KTI_DATA_DATASET_H

#include <kappatune/train.h>

#include "crystal/graph.h"

typedef struct kti_crystal {
    char *id; /* owned */
    char formula[64];
    double kappa;    /* W/(m K) at 300 K, > 0 */
    int part;        /* of the data set; 0 unless it was joined */
    kti_graph graph; /* owned; at least one edge */
} kti_crystal;

typedef struct kti_reject {
    char *id;       /* owned; "" if the row has none */
    kt_error error; /* file, line and reason */
} kti_reject;

/* One of the data sets that were joined. */
typedef struct kti_dataset_part {
    char *name;      /* last part of the path, without .csv, and #2 if another part is named so; owned */
    int first, size; /* its crystals */
} kti_dataset_part;

typedef struct kti_dataset {
    char *name; /* the parts' names, joined by +; owned */
    int parts;
    kti_dataset_part part[KT_MAX_DATA_SETS];
    int size;
    kti_crystal *crystals; /* [size] part by part, in the order of the rows */
    int rejected;
    kti_reject *rejects; /* [rejected] */
} kti_dataset;

typedef struct kti_dataset_options {
    kti_graph_options graph;
    int threads; /* 1 to 1024 that read structures and build graphs; 1; the result does not depend on it */
    /* Called now and then from the calling thread; may be NULL. Non-zero return stops: KT_INTERRUPTED. */
    int (*progress)(void *user, int done, int total);
    void *user;
} kti_dataset_options;

kti_dataset_options kti_dataset_options_default(void);

/* Reads a data set. A row is rejected for: missing or bad kappa (not a finite number > 0), id empty, with a path
 * separator, or repeated (the first of them stays), no structure file or several, anything that kt_structure_read
 * or kti_graph_create refuses, or no edge within the cutoff. Only a data set that cannot be used at all is an error:
 * no such path, no id_prop.csv, unreadable CSV, no usable row; and options that fit no crystal (KT_BAD_ARGUMENT).
 * After an error *dataset is empty. */
kt_status kti_dataset_read(const char *path, const kti_dataset_options *options, kti_dataset *dataset,
                           kt_error *error);

/* Reads several data sets and joins them: paths[KT_MAX_DATA_SETS], the first NULL ends the list. One alone is as
 * kti_dataset_read gives it. KT_BAD_ARGUMENT, naming both, for the same data set twice. */
kt_status kti_dataset_read_all(const char *const *paths, const kti_dataset_options *options,
                               kti_dataset *dataset, kt_error *error);
void kti_dataset_destroy(kti_dataset *dataset);

/* Of everything about the crystals that decides a result. */
uint64_t kti_dataset_fingerprint(const kti_dataset *dataset);

/* Of one part, as if it had been read alone. */
uint64_t kti_dataset_part_fingerprint(const kti_dataset *dataset, int part);

/* Crystals that stand in more than one part: with the same graph, bit for bit, whatever their id and kappa. */
kt_status kti_dataset_count_shared(const kti_dataset *dataset, int *count, kt_error *error);

/* Writes `id,line,file,reason` rows (RFC 4180 quoting). */
kt_status kti_dataset_write_rejects(const kti_dataset *dataset, const char *path, kt_error *error);

#endif
