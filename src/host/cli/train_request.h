/* What a command line of `kappatune train` asks for: its options, the recipe, and where the run lies. */
#ifndef KTI_CLI_TRAIN_REQUEST_H
#define KTI_CLI_TRAIN_REQUEST_H

#include <kappatune/train.h>

#include "cli/command.h"
#include "ranks/communicator.h"

typedef struct kti_train_request {
    kt_recipe recipe;
    const char *file; /* the recipe's; NULL without one */
    int data_sets;    /* named by --data */
    bool threads_named;
    kt_communicator *ranks;
    int replicas;    /* 0: not asked for */
    int points;      /* of the recipe, if it is a sweep, else 0 */
    int point;       /* of them, that this request is of */
    int only_point;  /* 0: not asked for */
    char *point_out; /* its folder; owned */
    const char *out;
    char default_out[512];
    bool resume, quiet, progress, dry_run;
    kt_error failure; /* to read it, not yet printed */
} kti_train_request;

/* The tables of `kappatune train` beside kti_keys: of kt_train_options (how it is run), and of kti_train_request. */
extern const kti_option kti_train_run_options[], kti_train_request_options[];

/* Defaults, then the recipe, then the options. `point` (of a sweep, from 1) and `ranks` are set before. Returns an exit status, or
 * -1 to go on; what is wrong is printed or in request->failure. */
int kti_train_request_read(const kti_command *command, int argc, char **argv, kti_train_request *request);
void kti_train_request_destroy(kti_train_request *request);

/* Sets `out`: the folder that was asked for or its default, of a sweep the point's in it. */
kt_status kti_train_request_place(kti_train_request *request, kt_error *error);

#endif
