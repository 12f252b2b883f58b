/* kappatune calibrate */
#include "cli/calibrate.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fail.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/text.h"
#include "experiment/calibrate.h"

enum { MAX_THREADS = 1024 };

typedef struct request {
    const char *data[KT_MAX_DATA_SETS + 1];
    int sets, threads;
} request;

static bool take_data(void *target, const char *flag, const char *value)
{
    request *r = target;
    (void)flag;
    if (r->sets == KT_MAX_DATA_SETS)
        return kti_cli_usage("calibrate", "there can be at most %d data sets", KT_MAX_DATA_SETS), false;
    r->data[r->sets++] = value;
    return true;
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_OTHER, .flag = "data", .argument = "PATH", .take = take_data,
     .help = "the data that it was trained on, unchanged; several in the order of its recipe"},
    {.kind = KTI_OPTION_INTEGER, .flag = "threads", .offset = AT(threads), .argument = "N", .min = 1,
     .max = MAX_THREADS,
     .help = "that read the data (default: all processors)"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_calibrate_command = {
    .name = "calibrate",
    .summary = "make or renew what a model's intervals and warnings come from",
    .arguments = "MODEL --data PATH [--data PATH ...]",
    .about =
        "Makes or renews a model's calibration.csv, from which predict and scan take 90 % intervals, the "
        "nearest training crystals and warnings: what each fold predicts of the crystals that its split "
        "keeps from it. train and weights export do this by themselves; this command is for a model of an "
        "earlier version.\n"
        "\n"
        "MODEL is a finished run, RUN/stages/NAME, or an exported model.",
    .notes =
        "Prints how often the interval held, each split judged by the others (one alone, or one of too few, "
        "is not): mean over the splits, population standard deviation, and the median factor from the "
        "interval's middle to its ends. The same goes into MODEL's metrics.json; the card of an exported "
        "model stays as it is. Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some rows of the "
        "data rejected.\n"
        "\n"
        "Example:\n"
        "  kappatune calibrate runs/mine --data togo15",
    .options = {option_table},
    .run = run,
};

static kt_status print(const kti_calibration *c, kt_error *error)
{
    kti_table table = {.columns = 4, .left = 1};
    kt_status status = KT_OK;
    kti_table_add(&table, "on");
    kti_table_add(&table, "crystals judged");
    kti_table_add(&table, "held, %%");
    kti_table_add(&table, "factor");
    for (int set = c->sets > 1 ? 0 : -1; set < c->sets && status == KT_OK; set++) {
        kti_interval_scores s;
        if (c->sets == 1 && set == 0)
            break;
        status = kti_calibration_cover(c, set, &s, error);
        kti_table_add(&table, "%s", c->set[set < 0 ? 0 : set]);
        kti_table_add(&table, "%d", s.pairs);
        kti_table_add(&table, isnan(s.of.coverage) ? "-" : "%.1f (%.1f)", 100 * s.of.coverage,
                      100 * s.of.coverage_std);
        kti_table_add(&table, isnan(s.of.factor) ? "-" : "%.2f", s.of.factor);
    }
    if (status == KT_OK && table.out_of_memory)
        status = kti_fail_memory(error, "the table");
    if (status == KT_OK)
        kti_table_print(&table, 0);
    kti_table_destroy(&table);
    return status;
}

static int calibrate(const char *model, const char *data[], int threads)
{
    kt_error error = KT_ERROR_NONE;
    kti_dataset dataset = {0};
    kti_calibration calibration = {0};
    kti_dataset_options options = kti_dataset_options_default();
    options.threads = threads;
    kt_status status = kti_name_find(KTI_MODEL, model, &model, &error);
    for (int i = 0; data[i] && status == KT_OK; i++)
        status = kti_name_find(KTI_DATA, data[i], &data[i], &error);
    if (status == KT_OK)
        status = kti_dataset_read_all(data, &options, &dataset, &error);
    if (status == KT_OK)
        status = kti_calibrate_model(model, &dataset, &calibration, &error);
    if (status == KT_OK)
        status = print(&calibration, &error);
    const int rejected = dataset.rejected;
    kti_calibration_destroy(&calibration);
    kti_dataset_destroy(&dataset);
    if (status != KT_OK)
        return kti_cli_fail(&error);
    return rejected > 0 ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}

static int run(int argc, char **argv)
{
    request r = {.threads = kti_cli_processors()};
    const int exit_status = kti_command_read(&kti_calibrate_command, argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    if (argc - optind != 1)
        return kti_cli_usage(argv[0], "name one model");
    if (r.sets == 0)
        return kti_cli_usage(argv[0], "name the data that it was trained on: --data PATH");
    return calibrate(argv[optind], r.data, r.threads);
}
