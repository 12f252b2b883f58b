/* What the module of a communicator implements; communicator.c hands every call to it. */
#ifndef KTI_RANKS_COMMUNICATOR_KIND_H
#define KTI_RANKS_COMMUNICATOR_KIND_H

#include "ranks/communicator.h"

/* Changes with this file: a module of another build is refused. */
#define KTI_COMMUNICATOR_VERSION (1000 * (int)sizeof(kt_communicator) + (int)sizeof(kti_communicator_kind))

enum { KTI_HOST_NAME = 128, KTI_DUTY = 160 };

/* One of the ranks. */
typedef struct kti_rank {
    char host[KTI_HOST_NAME];
    int64_t process;
    char duty[KTI_DUTY];
} kti_rank;

typedef struct kti_communicator_kind {
    int version; /* KTI_COMMUNICATOR_VERSION */
    /* Also where there is but one rank. */
    kt_status (*open)(void (*lost)(const char *text), kt_communicator **ranks, kt_error *error);
    void (*close)(kt_communicator *ranks, bool in_order);
    kt_status (*send)(kt_communicator *ranks, int to, const void *data, size_t size, kt_error *error);
    kt_status (*receive)(kt_communicator *ranks, int from, kti_idle idle, void *user, void **data,
                         size_t *size, kt_error *error);
    void (*set_duty)(kt_communicator *ranks, int rank, const char *text);
    void (*tell)(kt_communicator *ranks, const kti_news *news);
    kti_news (*hear)(const kt_communicator *ranks, int rank);
    void (*stop)(kt_communicator *ranks);
    bool (*stops)(const kt_communicator *ranks);
} kti_communicator_kind;

/* What the module's own begins with. */
struct kt_communicator {
    const kti_communicator_kind *kind;
    int rank, size;
    int local_rank, processors;
    kti_rank *ranks; /* [size] */
};

extern __attribute__((visibility("default"))) const kti_communicator_kind kti_mpi_kind;

#endif
