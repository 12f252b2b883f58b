/* kappatune analyze */
#include "cli/analyze.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/text.h"
#include "report/columns.h"
#include "report/comparison.h"
#include "report/heatmap.h"
#include "statistics/correlation.h"

enum { TARGETS = 2 };

static const char *const target_names[TARGETS] = {"mean", "variance"};

typedef struct request {
    const char *scan, *features, *figure;
    char *const *scans; /* [scan_count] */
    int scan_count;
    double above, below, threshold;
    bool logarithmic, formatted;
    kti_output format;
} request;

/* What is computed. */
typedef struct analysis {
    kti_columns columns;
    kti_prediction_header header;
    double *target[TARGETS];    /* [rows]; NaN for a row that is left out */
    size_t rows;                /* that count */
    const kti_column **feature; /* [size] */
    size_t size;
    kti_correlation *with[TARGETS];                                            /* [size] */
    double *q[TARGETS], *q_rank[TARGETS], *holm[TARGETS], *holm_rank[TARGETS]; /* [size] adjusted p */
} analysis;

/* ---- what of the columns is what ---- */

static kt_status choose_rows(analysis *a, const request *r, kt_error *error)
{
    const kti_column *mean, *sd;
    kt_status status = kti_columns_find_prediction(&a->columns, r->scan, NULL, &a->header, &mean, &sd, error);
    if (status != KT_OK)
        return status;
    for (int t = 0; t < TARGETS; t++)
        if (!(a->target[t] = kti_allocate(a->columns.rows, sizeof(double))))
            return kti_fail_memory(error, "the analysis");
    for (size_t i = 0; i < a->columns.rows; i++) {
        const double m = mean->value[i], v = sd->value[i] * sd->value[i];
        const bool counts = isfinite(m) && m > r->above && m < r->below && (!r->logarithmic || m > 0);
        a->target[0][i] = !counts ? NAN : r->logarithmic ? log10(m) : m;
        a->target[1][i] = !counts || (r->logarithmic && !(v > 0)) ? NAN : r->logarithmic ? log10(v) : v;
        a->rows += counts;
    }
    return a->rows > 0 ? KT_OK : kti_fail_file(error, KT_BAD_ARGUMENT, r->scan, "has no row that counts");
}

static kt_status correlate(analysis *a, const request *r, kt_error *error)
{
    const size_t room = a->columns.size;
    kt_status status = KT_OK;
    a->feature = kti_allocate(room, sizeof(*a->feature));
    if (!a->feature)
        return kti_fail_memory(error, "the analysis");
    for (size_t i = 0; i < room; i++)
        if (a->columns.column[i].features ||
            !kti_is_prediction(a->columns.column[i].name, a->header.quantity))
            a->feature[a->size++] = &a->columns.column[i];
    if (a->size == 0)
        return kti_fail_file(
            error, KT_BAD_ARGUMENT, r->scan,
            "has nothing to correlate with; scan with --features, or name a table with --features");
    for (int t = 0; t < TARGETS && status == KT_OK; t++) {
        double **const adjusted[] = {&a->q[t], &a->q_rank[t], &a->holm[t], &a->holm_rank[t]};
        a->with[t] = kti_allocate(a->size, sizeof *a->with[t]);
        for (size_t k = 0; k < 4; k++)
            if (!(*adjusted[k] = kti_allocate(a->size, sizeof(double))) || !a->with[t])
                return kti_fail_memory(error, "the analysis");
        for (size_t i = 0; i < a->size && status == KT_OK; i++) {
            status =
                kti_correlate(a->feature[i]->value, a->target[t], a->columns.rows, &a->with[t][i], error);
            a->q[t][i] = a->holm[t][i] = a->with[t][i].pearson_p;
            a->q_rank[t][i] = a->holm_rank[t][i] = a->with[t][i].spearman_p;
        }
        for (size_t k = 0; k < 4 && status == KT_OK; k++)
            status = k < 2 ? kti_adjust_discoveries(*adjusted[k], a->size, *adjusted[k], error)
                           : kti_adjust_holm(*adjusted[k], a->size, *adjusted[k], error);
    }
    return status;
}

static void destroy(analysis *a)
{
    for (int t = 0; t < TARGETS; t++) {
        free(a->target[t]);
        free(a->with[t]);
        free(a->q[t]);
        free(a->q_rank[t]);
        free(a->holm[t]);
        free(a->holm_rank[t]);
    }
    free((void *)a->feature);
    kti_columns_destroy(&a->columns);
}

/* ---- output ---- */

static void add_number(kti_table *table, double value, const char *format)
{
    char text[32];
    snprintf(text, sizeof text, format, value);
    kti_table_add(table, "%s", isnan(value) ? "-" : text);
}

static kt_status print_table(const analysis *a, const request *r, kt_error *error)
{
    printf("%zu of %zu crystals%s\n", a->rows, a->columns.rows,
           r->logarithmic ? ", log10 of mean and variance" : "");
    for (int t = 0; t < TARGETS; t++) {
        kti_table table = {.columns = 8, .left = 1};
        static const char *const header[] = {NULL, "crystals", "r", "p", "q", "rho", "p", "q"};
        kti_table_add(&table, "%s with", target_names[t]);
        for (int i = 1; i < 8; i++)
            kti_table_add(&table, "%s", header[i]);
        for (size_t i = 0; i < a->size; i++) {
            const kti_correlation *c = &a->with[t][i];
            kti_table_add(&table, "%s", a->feature[i]->name);
            kti_table_add(&table, "%zu", c->size);
            add_number(&table, c->pearson, "%.3f");
            add_number(&table, c->pearson_p, "%.2g");
            add_number(&table, a->q[t][i], "%.2g");
            add_number(&table, c->spearman, "%.3f");
            add_number(&table, c->spearman_p, "%.2g");
            add_number(&table, a->q_rank[t][i], "%.2g");
        }
        if (table.out_of_memory) {
            kti_table_destroy(&table);
            return kti_fail_memory(error, "the table");
        }
        putchar('\n');
        kti_table_print(&table, 0);
        kti_table_destroy(&table);
    }
    return KT_OK;
}

static void print_number(double value)
{
    if (isnan(value))
        putchar(',');
    else
        printf(",%.17g", value);
}

/* A name from a table, quoted where it needs to be. */
static void print_name(const char *name)
{
    if (!strpbrk(name, ",\"\n\r")) {
        fputs(name, stdout);
        return;
    }
    putchar('"');
    for (; *name; name++)
        printf(*name == '"' ? "\"\"" : "%c", *name);
    putchar('"');
}

static void print_csv(const analysis *a)
{
    puts("target,feature,crystals,pearson,pearson_p,pearson_q,pearson_holm,spearman,spearman_p,spearman_q,"
         "spearman_holm");
    for (int t = 0; t < TARGETS; t++)
        for (size_t i = 0; i < a->size; i++) {
            const kti_correlation *c = &a->with[t][i];
            printf("%s,", target_names[t]);
            print_name(a->feature[i]->name);
            printf(",%zu", c->size);
            print_number(c->pearson);
            print_number(c->pearson_p);
            print_number(a->q[t][i]);
            print_number(a->holm[t][i]);
            print_number(c->spearman);
            print_number(c->spearman_p);
            print_number(a->q_rank[t][i]);
            print_number(a->holm_rank[t][i]);
            putchar('\n');
        }
}

static kt_status print_json(const analysis *a, const request *r, kt_error *error)
{
    json_t *list = json_array();
    int lost = !list;
    for (int t = 0; t < TARGETS; t++)
        for (size_t i = 0; i < a->size; i++) {
            const kti_correlation *c = &a->with[t][i];
            lost |= json_array_append_new(
                list,
                json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "target",
                          target_names[t], "feature", kti_json_text(a->feature[i]->name), "crystals",
                          (json_int_t)c->size, "pearson", kti_json_real(c->pearson), "pearson_p",
                          kti_json_real(c->pearson_p), "pearson_q", kti_json_real(a->q[t][i]), "pearson_holm",
                          kti_json_real(a->holm[t][i]), "spearman", kti_json_real(c->spearman), "spearman_p",
                          kti_json_real(c->spearman_p), "spearman_q", kti_json_real(a->q_rank[t][i]),
                          "spearman_holm", kti_json_real(a->holm_rank[t][i])));
        }
    json_t *root = json_pack("{s:o, s:I, s:I, s:b, s:o}", "scan", kti_json_text(r->scan), "rows",
                             (json_int_t)a->columns.rows, "counted", (json_int_t)a->rows, "log10",
                             r->logarithmic, "correlations", list);
    if (!root || lost) {
        json_decref(root);
        return kti_fail_memory(error, "the table");
    }
    kti_json_print(root);
    json_decref(root);
    return KT_OK;
}

/* Mean, variance and all features with one another. */
static kt_status draw(const analysis *a, const request *r, kt_error *error)
{
    const size_t size = TARGETS + a->size;
    const char **names = kti_allocate(size, sizeof(*names));
    const double **values = kti_allocate(size, sizeof(*values));
    double *matrix = kti_allocate(size * size, sizeof *matrix);
    char shown[TARGETS][48];
    bool drawn = true;
    kt_status status = names && values && matrix ? KT_OK : kti_fail_memory(error, "the figure");
    for (size_t i = 0; i < size && status == KT_OK; i++) {
        values[i] = i < TARGETS ? a->target[i] : a->feature[i - TARGETS]->value;
        names[i] = i < TARGETS ? shown[i] : a->feature[i - TARGETS]->name;
        if (i < TARGETS)
            snprintf(shown[i], sizeof shown[i], "%s%s", r->logarithmic ? "log " : "", target_names[i]);
    }
    for (size_t i = 0; i < size * size && status == KT_OK; i++) {
        kti_correlation c;
        const size_t row = i / size, column = i % size;
        if (column < row) {
            matrix[i] = matrix[column * size + row];
            continue;
        }
        status = kti_correlate(values[row], values[column], a->columns.rows, &c, error);
        matrix[i] = c.pearson;
    }
    char title[96];
    snprintf(title, sizeof title, "Correlations of %zu crystals", a->rows);
    if (status == KT_OK)
        status = kti_heatmap_draw(r->figure, title, names, matrix, size, &drawn, error);
    if (status == KT_OK && !drawn)
        kti_cli_warn("there is no gnuplot to draw %s/correlation.gp", r->figure);
    free((void *)names);
    free((void *)values);
    free(matrix);
    return status;
}

static kt_status analyze(const request *r, analysis *a, kt_error *error)
{
    kt_status status = kti_columns_read(r->scan, &a->columns, error);
    if (status == KT_OK && r->features) {
        size_t matched;
        status = kti_columns_join(&a->columns, r->features, &matched, error);
        if (status == KT_OK && matched < a->columns.rows)
            kti_cli_warn("%s has %zu of the scan's %zu crystals", r->features, matched, a->columns.rows);
    }
    if (status == KT_OK)
        status = choose_rows(a, r, error);
    if (status == KT_OK)
        status = correlate(a, r, error);
    if (status == KT_OK && r->format == KTI_OUTPUT_TABLE)
        status = print_table(a, r, error);
    else if (status == KT_OK && r->format == KTI_OUTPUT_JSON)
        status = print_json(a, r, error);
    else if (status == KT_OK)
        print_csv(a);
    return status == KT_OK && r->figure ? draw(a, r, error) : status;
}

/* ---- several scans ---- */

/* "a" of "x/a.csv"; with its folder, where another scan has the same name. */
static void name_scan(char *const *paths, int count, int index, char *name, size_t capacity)
{
    const char *path = paths[index], *begin = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    bool alone = true;
    for (int i = 0; i < count; i++) {
        const char *other = strrchr(paths[i], '/') ? strrchr(paths[i], '/') + 1 : paths[i];
        alone = alone && (i == index || strcmp(other, begin) != 0);
    }
    while (!alone && begin > path && (begin[-1] != '/' || strchr(begin, '/') == NULL))
        begin--;
    const size_t length = strlen(begin);
    const bool ends = length > 4 && strcmp(begin + length - 4, ".csv") == 0;
    snprintf(name, capacity, "%.*s", (int)(ends ? length - 4 : length), begin);
}

static kt_status compare(const request *r, kt_error *error)
{
    char own[KTI_COMPARED_SCANS][128], title[96];
    const char *names[KTI_COMPARED_SCANS];
    kti_comparison comparison;
    kti_text text = {0};
    bool drawn = true;
    for (int i = 0; i < r->scan_count; i++) {
        name_scan(r->scans, r->scan_count, i, own[i], sizeof own[i]);
        names[i] = own[i];
    }
    kt_status status =
        kti_comparison_read((const char *const *)r->scans, names, r->scan_count, &comparison, error);
    if (status != KT_OK)
        return status;
    snprintf(title, sizeof title, "%zu crystals", comparison.columns.rows);
    status = kti_comparison_describe(&comparison, r->threshold, &text, error);
    if (status == KT_OK)
        fputs(text.data, stdout);
    if (status == KT_OK && r->figure)
        status = kti_comparison_draw(&comparison, r->figure, title, r->threshold, &drawn, error);
    if (status == KT_OK && !drawn)
        kti_cli_warn("there is no gnuplot to draw %s/*.gp", r->figure);
    kti_text_destroy(&text);
    kti_comparison_destroy(&comparison);
    return status;
}

/* ---- the command ---- */

static bool take_format(void *target, const char *flag, const char *value)
{
    request *r = target;
    return kti_option_format(flag, value, kti_output_names, &r->format, &r->formatted);
}

/* clang-format off */
#define AT(field) offsetof(request, field)

static const kti_option option_table[] = {
    {.kind = KTI_OPTION_TEXT, .flag = "features", .offset = AT(features), .argument = "F.csv",
     .help = "more columns, by id: that of the scan, or the file's name without folder and ending"},
    {.kind = KTI_OPTION_NUMBER, .flag = "above", .offset = AT(above), .argument = "K", .min = -INFINITY,
     .max = INFINITY,
     .help = "only crystals whose mean is above K"},
    {.kind = KTI_OPTION_NUMBER, .flag = "below", .offset = AT(below), .argument = "K", .min = -INFINITY,
     .max = INFINITY,
     .help = "only crystals whose mean is below K"},
    {.kind = KTI_OPTION_BOOLEAN, .flag = "log", .offset = AT(logarithmic),
     .help = "log10 of mean and variance; rows where they are not positive are left out"},
    {.kind = KTI_OPTION_OTHER, .flag = "format", .argument = "NAME", .choices = kti_output_names,
     .take = take_format,
     .help = "table (default), csv or json"},
    {.kind = KTI_OPTION_TEXT, .flag = "figure", .offset = AT(figure), .argument = "FOLDER",
     .help = "a map of all correlations: FOLDER/correlation.png, .svg and .gp; of several scans also variance "
             "(box plots) and groups"},
    {.kind = KTI_OPTION_NUMBER, .flag = "threshold", .offset = AT(threshold), .argument = "R", .min = 0,
     .max = 1,
     .help = "of several scans: only correlations with |r| above R (default 0.1)"},
    {.kind = KTI_OPTION_END},
};
/* clang-format on */

static int run(int argc, char **argv);

const kti_command kti_analyze_command = {
    .name = "analyze",
    .summary = "what a scan's predictions and their spread go with",
    .arguments = "SCAN.csv\n"
                 "SCAN.csv SCAN.csv... [--threshold R] [--figure FOLDER]",
    .about =
        "Correlates the mean and the variance of a scan's predictions with what else is known of the "
        "crystals. Of several scans of the same crystals, by other models, it says as Markdown how far the "
        "members of each are apart, which part of the crystals has which kappa by each, and what means and "
        "variances go with.\n"
        "\n"
        "SCAN.csv holds rows of `kappatune scan`, best with --features.",
    .notes =
        "r is Pearson's coefficient, rho Spearman's, by ranks. p is the chance of one as far from zero "
        "without any correlation (two-sided, Student's t); q adjusts p for all columns of the table: among "
        "those with q below 5 %, 5 % are expected to be false (Benjamini & Hochberg). csv and json have "
        "Holm's adjusted p too. The variance is that of the members, kappa_std^2. A correlation says "
        "nothing of causes, and crystals that resemble one another are not independent, as p supposes.\n"
        "\n"
        "Example:\n"
        "  kappatune scan MODEL crystals/ --features --out kappa.csv\n"
        "  kappatune analyze kappa.csv --log --figure map",
    .options = {option_table},
    .run = run,
};

/* Returns an exit status, or -1 to go on. */
static int read_options(int argc, char **argv, request *r)
{
    *r = (request){.above = -INFINITY, .below = INFINITY, .threshold = NAN};
    const int exit_status = kti_command_read(&kti_analyze_command, argc, argv, r);
    if (exit_status >= 0)
        return exit_status;
    if (argc == optind)
        return kti_cli_usage(argv[0], "name a scan, the rows that kappatune scan wrote");
    r->scan = argv[optind];
    r->scans = argv + optind;
    r->scan_count = argc - optind;
    if (r->scan_count > KTI_COMPARED_SCANS)
        return kti_cli_usage(argv[0], "there can be at most %d scans", KTI_COMPARED_SCANS);
    if (r->scan_count == 1 && !isnan(r->threshold))
        return kti_cli_usage(argv[0], "--threshold is for several scans");
    if (r->scan_count > 1 &&
        (r->features || r->formatted || r->logarithmic || isfinite(r->above) || isfinite(r->below)))
        return kti_cli_usage(argv[0], "of several scans there are --threshold and --figure alone");
    r->threshold = isnan(r->threshold) ? 0.1 : r->threshold;
    return -1;
}

static int run(int argc, char **argv)
{
    request r;
    analysis a = {0};
    kt_error error = KT_ERROR_NONE;
    const int exit_status = read_options(argc, argv, &r);
    if (exit_status >= 0)
        return exit_status;
    const kt_status status = r.scan_count > 1 ? compare(&r, &error) : analyze(&r, &a, &error);
    destroy(&a);
    return status == KT_OK ? KTI_EXIT_DONE : kti_cli_fail(&error);
}
