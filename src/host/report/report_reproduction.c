/* The page of a reproduction: its tables, figures and scans as they lie in its folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "report/html.h"
#include "report/report.h"

enum { TEXT_LIMIT = 16 << 20, SVG_LIMIT = 32 << 20 };

typedef struct shown {
    const char *name, *caption; /* DIR/figures/NAME.svg */
    int width;                  /* pixels that it was drawn for */
} shown;

/* In the paper's order. What a run does not have is left out. */
static const shown figures[] = {
    {"fig5a", "Models of Togo15: MAPE over the runs, the paper's Fig. 5a and ours.", 900},
    {"fig5b", "Models of AFLOW: the paper's Fig. 5b and ours.", 900},
    {"mape-hh143", "Models of HH143, as in Fig. 5.", 900},
    {"mape-mix", "Models of both sets joined, as in Fig. 5.", 900},
    {"fig6-published",
     "The error that chooses the epoch, mean over the folds, as in Fig. 6: published protocol.", 900},
    {"fig6-sound", "The same, sound protocol.", 900},
    {"ablation-step2", "Step 2: the published code's faults, one at a time.", 900},
    {"ablation-step3", "Step 3: the published code's faults, one at a time.", 900},
};

static const shown of_scans[] = {
    {"variance", "Variance over the members, as in Fig. 8.", 900},
    {"groups", "Groups of the mean prediction, as in Fig. 9.", 900},
    {"correlation", "What means, variances and features have to do with one another, as in Fig. 7.", 1100},
};

static kt_status add_figure(kti_report *report, const char *name, const shown *what, const char *caption,
                            kt_error *error)
{
    char file[512], *svg = NULL;
    size_t size;
    snprintf(file, sizeof file, "figures/%.400s.svg", name);
    char *path = kti_path_join(report->options->subject, file);
    kt_status status = path ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && kti_file_exists(path)) {
        status = kti_file_read(path, SVG_LIMIT, &svg, &size, error);
        if (status == KT_OK) {
            char id[512];
            snprintf(id, sizeof id, "%.500s", name);
            for (char *c = id; *c; c++)
                *c = *c == '/' ? '-' : *c;
            kti_plot_add(&report->html, svg, id, what->width, KTI_PLOT_PAPER, caption);
            report->plots.drawn++;
        }
    }
    free(svg);
    free(path);
    return status;
}

/* A Markdown file of the folder but for its title; nothing if it is not there. */
static kt_status add_text(kti_report *report, const char *name, const char *heading, kt_error *error)
{
    char *text = NULL, *path = kti_path_join(report->options->subject, name);
    size_t size;
    kt_status status = path ? KT_OK : kti_fail_memory(error, "a path");
    if (status == KT_OK && kti_file_exists(path)) {
        status = kti_file_read(path, TEXT_LIMIT, &text, &size, error);
        const char *body = status == KT_OK && text[0] == '#' ? strchr(text, '\n') : text;
        kti_html_heading(&report->html, 2, heading);
        if (status == KT_OK && body && kti_html_markdown(&report->html, body) != 0)
            status = kti_fail_memory(error, "the report");
    }
    free(text);
    free(path);
    return status;
}

static kt_status add_scans(kti_report *report, kt_error *error)
{
    static const char *const protocols[] = {"published", "sound"},
                             *const sources[] = {"togo15", "aflow_agl", "scanned"},
                             *const titles[] = {"Togo15", "AFLOW", "the crystals that were scanned"};
    kt_status status = KT_OK;
    for (size_t p = 0; p < 2; p++)
        for (size_t s = 0; s < 3; s++)
            for (size_t i = 0; i < sizeof of_scans / sizeof of_scans[0] && status == KT_OK; i++) {
                char name[128], caption[256];
                snprintf(name, sizeof name, "scan-%s-%s/%s", protocols[p], sources[s], of_scans[i].name);
                snprintf(caption, sizeof caption, "%s Protocol %s, on %s.", of_scans[i].caption, protocols[p],
                         titles[s]);
                status = add_figure(report, name, &of_scans[i], caption, error);
            }
    return status;
}

kt_status kti_report_reproduction(kti_report *report, kt_error *error)
{
    kti_html_begin(&report->html, "The paper reproduced", report->options->subject);
    kti_html_paragraph(
        &report->html, "note",
        "Made by kappatune reproduce: the experiment of L. Klochko and M. d'Aquin, Phys. Chem. Chem. "
        "Phys. 28 (2026) 8146, its tables and figures beside ours.");
    kti_html_heading(&report->html, 2, "Figures");
    kt_status status = KT_OK;
    for (size_t i = 0; i < sizeof figures / sizeof figures[0] && status == KT_OK; i++)
        status = add_figure(report, figures[i].name, &figures[i], figures[i].caption, error);
    if (status == KT_OK)
        status = add_text(report, "tables.md", "Tables", error);
    if (status == KT_OK)
        status = add_text(report, "scans.md", "Scans by the models", error);
    return status == KT_OK ? add_scans(report, error) : status;
}
