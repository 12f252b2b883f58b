/* What a cluster wants to know of a job: a small JSON file, read by `kappatune submit` (docs/cluster.md). */
#ifndef KTI_CLI_CLUSTER_H
#define KTI_CLI_CLUSTER_H

#include <jansson.h>

#include <kappatune/error.h>

typedef struct kti_cluster {
    const char *account, *partition, *time, *memory; /* NULL: as the cluster has it */
    int nodes, cpus, gpus;                           /* of a job; 0: not said */
    int ranks;                                       /* MPI processes of a job; 0: one process without MPI */
    const char *mpi;                /* how srun starts them, as --mpi; NULL: as the cluster has it */
    const char *device;             /* of `train`; "cpu" if not said */
    const char *container;          /* an Apptainer image in which the program is; NULL: none */
    int notice;                     /* seconds before the wall-time at which a job stops */
    int restarts;                   /* how often a job puts itself back into the queue */
    const json_t *modules, *sbatch; /* arrays of strings, or NULL */
    json_t *root;                   /* owned; what the strings point into */
} kti_cluster;

/* What `device` may be, as train --device; ends with NULL. */
extern const char *const kti_cluster_devices[];

/* Reads the file; NULL: the defaults. `device`, if not NULL, takes the place of the file's and must outlive *cluster. Errors name the
 * file and the key. After an error *cluster is empty. */
kt_status kti_cluster_read(const char *path, const char *device, kti_cluster *cluster, kt_error *error);
void kti_cluster_destroy(kti_cluster *cluster);

#endif
