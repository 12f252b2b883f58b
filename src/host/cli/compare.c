/* kappatune compare */
#include "cli/compare.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/numbers.h"
#include "cli/options.h"
#include "cli/text.h"
#include "report/run_table.h"

typedef struct request {
    bool csv, json;
    kti_output format;
    const char *figures;
    unsigned files; /* of kti_plot_format */
} request;

/* ---- which runs ---- */

static kt_status add_numbered(kti_run_table *c, const char *folder, const char *prefix, size_t *found,
                              kt_error *error)
{
    kti_numbers n;
    kt_status status = kti_numbers_find(folder, prefix, 0, &n, error);
    for (size_t i = 0; i < n.size && status == KT_OK; i++) {
        char path[4096];
        bool finished;
        snprintf(path, sizeof path, "%s/%s%lld", folder, prefix, n.at[i]);
        status = kti_run_table_add(c, path, &finished, error);
        if (status == KT_OK && !finished)
            kti_cli_warn("%s has not finished: it is left out", path);
    }
    *found += n.size;
    free(n.at);
    return status;
}

/* The run in a folder, or those of a sweep, or of several seeds. */
static kt_status add(kti_run_table *c, const char *folder, kt_error *error)
{
    size_t found = 0;
    bool finished = false;
    char *recipe = kti_path_join(folder, "recipe.json"), *points = kti_path_join(folder, "points");
    kt_status status = recipe && points ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && kti_file_exists(recipe)) {
        status = kti_run_table_add(c, folder, &finished, error);
        if (status == KT_OK && !finished)
            kti_cli_warn("%s has not finished: it is left out", folder);
    } else if (status == KT_OK) {
        status = add_numbered(c, points, "", &found, error);
        if (status == KT_OK)
            status = add_numbered(c, folder, "seed-", &found, error);
        if (status == KT_OK && found == 0)
            status = kti_fail_file(error, KT_BAD_ARGUMENT, folder, "is no run folder: it has no recipe.json");
    }
    free(recipe);
    free(points);
    return status;
}

/* ---- printing ---- */

static void add_score(kti_table *table, const kti_summary *s, const char *mark)
{
    if (s->size > 0)
        kti_table_add(table, "%.3f (%.3f)%s", s->mean, s->sd, mark);
    else
        kti_table_add(table, "-%s", mark);
}

static void print_table(const kti_run_table *c)
{
    const int best = kti_run_table_best(c);
    kti_table table = {.columns = 5 + (int)c->keys, .left = 1 + (int)c->keys};
    kti_table_add(&table, "run");
    for (size_t k = 0; k < c->keys; k++)
        kti_table_add(&table, "%s", c->key[k]);
    kti_table_add(&table, "folds");
    kti_table_add(&table, best >= 0 ? "inner MAPE  " : "inner MAPE");
    kti_table_add(&table, "MAPE held out");
    kti_table_add(&table, "kappa_SRE");
    for (size_t i = 0; i < c->size; i++) {
        const kti_run_row *run = &c->run[i];
        kti_table_add(&table, "%s", run->run);
        for (size_t k = 0; k < c->keys; k++) {
            char *value = kti_run_table_setting(run, c->key[k]);
            kti_table_add(&table, "%s", value && *value ? value : "-");
            free(value);
        }
        kti_table_add(&table, "%d", run->folds);
        add_score(&table, &run->inner, best < 0 ? "" : (int)i == best ? " *" : "  ");
        add_score(&table, &run->mape, "");
        add_score(&table, &run->sre, "");
    }
    kti_table_print(&table, 0);
    kti_table_destroy(&table);
}

static void add_csv_score(kti_text *text, const kti_summary *s)
{
    if (s->size > 0)
        kti_text_add(text, ",%.9g,%.9g", s->mean, s->sd);
    else
        kti_text_add(text, ",,");
}

static void print_csv(const kti_run_table *c)
{
    kti_text text = {0};
    kti_text_add(&text, "run");
    for (size_t k = 0; k < c->keys; k++) {
        kti_text_add(&text, ",");
        kti_text_add_csv(&text, c->key[k]);
    }
    kti_text_add(&text, ",folds,inner_mape,inner_mape_std,mape,mape_std,sre,sre_std\n");
    for (size_t i = 0; i < c->size; i++) {
        kti_text_add_csv(&text, c->run[i].run);
        for (size_t k = 0; k < c->keys; k++) {
            char *value = kti_run_table_setting(&c->run[i], c->key[k]);
            kti_text_add(&text, ",");
            kti_text_add_csv(&text, value ? value : "");
            free(value);
        }
        kti_text_add(&text, ",%d", c->run[i].folds);
        add_csv_score(&text, &c->run[i].inner);
        add_csv_score(&text, &c->run[i].mape);
        add_csv_score(&text, &c->run[i].sre);
        kti_text_add(&text, "\n");
    }
    fputs(text.data ? text.data : "", stdout);
    kti_text_destroy(&text);
}

static json_t *summary_to_json(const kti_summary *s)
{
    return s->size > 0 ? json_pack("{s:o, s:o}", "mean", kti_json_real(s->mean), "std", kti_json_real(s->sd))
                       : json_null();
}

static void print_json(const kti_run_table *c)
{
    json_t *all = json_array();
    for (size_t i = 0; i < c->size; i++) {
        json_t *one = json_object(), *settings = json_object();
        for (size_t k = 0; k < c->keys; k++) {
            json_t *value = json_object_get(c->run[i].settings, c->key[k]);
            json_object_set(settings, c->key[k], value ? value : json_null());
        }
        json_object_set_new(one, "run", kti_json_text(c->run[i].run));
        json_object_set_new(one, "settings", settings);
        json_object_set_new(one, "folds", json_integer(c->run[i].folds));
        json_object_set_new(one, "inner_mape", summary_to_json(&c->run[i].inner));
        json_object_set_new(one, "mape", summary_to_json(&c->run[i].mape));
        json_object_set_new(one, "sre", summary_to_json(&c->run[i].sre));
        json_array_append_new(all, one);
    }
    kti_json_print(all);
    json_decref(all);
}

static kt_status draw(const kti_run_table *c, const request *r, kt_error *error)
{
    kti_plots plots = {.folder = r->figures, .formats = r->files};
    kt_status status = kti_make_folder(r->figures, error);
    if (status == KT_OK)
        status = kti_run_table_draw(c, &plots, error);
    if (status == KT_OK && plots.missing)
        kti_cli_warn("there is no gnuplot (Debian: gnuplot-nox): %s has the script alone", r->figures);
    return status;
}

/* ---- the command ---- */

static bool take_files(void *target, const char *flag, const char *value)
{
    return kti_option_plot_formats(flag, value, &((request *)target)->files);
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_BOOLEAN, .flag = "csv", .offset = AT(csv),
     .help = "for programs, as CSV"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "json", .offset = AT(json),
     .help = "for programs, as JSON"},
    {.kind = KTI_OPTION_TEXT, .flag = "figures", .offset = AT(figures), .argument = "DIR",
     .help = "draw the scores, DIR/compare.svg, by gnuplot"},
    {.kind = KTI_OPTION_OTHER, .flag = "format", .argument = "LIST", .take = take_files,
     .help = "of svg (default), png, pdf: the files of --figures"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_compare_command = {
    .name = "compare",
    .summary = "scores of runs beside each other, and where their recipes differ",
    .arguments = "RUN...",
    .about =
        "Finished runs beside each other: where their recipes differ, and their scores, means and standard "
        "deviations over the folds. A sweep stands for its points, a folder of several seeds for its runs; "
        "of several stages the last one is scored.",
    .notes =
        "Inner: MAPE on rows of the training part that the fold's weights are not fitted to; choose a "
        "recipe by it (* is the least). Held out: on the reported rows; a recipe that was chosen by these "
        "has no honest score left. A run whose epoch isn't chosen on inner rows, and a Gaussian process, "
        "has no inner score. Exit status: 0 done, 1 failed, 2 wrong usage.\n"
        "\n"
        "Example:\n"
        "  kappatune train sweep.json --out runs/sweep && kappatune compare runs/sweep",
    .options = {option_table},
    .run = run,
};

/* Returns an exit status, or -1 to go on. */
static int read_options(int argc, char **argv, request *r)
{
    int exit_status = kti_command_read(&kti_compare_command, argc, argv, r);
    if (exit_status < 0)
        exit_status = kti_cli_output(argv[0], r->csv, r->json, &r->format);
    if (exit_status >= 0)
        return exit_status;
    if (optind == argc)
        return kti_cli_usage(argv[0], "name at least one run");
    if (r->files && !r->figures)
        return kti_cli_usage(argv[0], "--format is of the files of --figures DIR");
    r->files = r->files ? r->files : KTI_PLOT_SVG;
    return -1;
}

static int run(int argc, char **argv)
{
    kt_error error = KT_ERROR_NONE;
    kti_run_table c = {0};
    request r = {0};
    const int exit_status = read_options(argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    kt_status status = KT_OK;
    for (int i = optind; i < argc && status == KT_OK; i++) {
        const char *path;
        status = kti_name_find(KTI_MODEL, argv[i], &path, &error);
        if (status == KT_OK)
            status = add(&c, path, &error);
    }
    if (status == KT_OK && c.size == 0)
        status = kti_fail(&error, KT_BAD_ARGUMENT, "no run has finished yet");
    if (status == KT_OK)
        status = kti_run_table_find_keys(&c, &error);
    if (status == KT_OK && r.figures)
        status = draw(&c, &r, &error);
    if (status == KT_OK)
        (r.format == KTI_OUTPUT_CSV ? print_csv : r.format == KTI_OUTPUT_JSON ? print_json : print_table)(&c);
    kti_run_table_destroy(&c);
    return status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
}
