#include "cli/fetch.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "download/aflow.h"
#include "download/fetch.h"

/* ---- progress and signals ---- */

static atomic_int stop_asked; /* set by a signal */

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESETHAND}, before;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* the second Ctrl-C kills */
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

typedef struct screen {
    kti_progress progress;
    const char *what; /* the file that is downloaded; NULL: it is one of many, not worth a bar */
    double began;     /* its download, s */
    double waiting;   /* seconds that were left of the wait shown last */
} screen;

static screen screen_create(bool quiet)
{
    return (screen){.progress = kti_progress_create(quiet, false)};
}

static double seconds_left(double began, int64_t done, int64_t total)
{
    return done > 0 ? (kti_seconds() - began) * (double)(total - done) / (double)done : NAN;
}

static int show_download(void *user, const kti_fetch_progress *now)
{
    screen *s = user;
    if (now->waiting > s->waiting && now->reason && !s->progress.quiet) {
        kti_progress_end(&s->progress);
        kti_cli_warn("%s: %s; trying again in %.0f s", now->url, now->reason, now->waiting);
    }
    s->waiting = now->reason ? now->waiting : 0;
    if (s->what && now->waiting <= 0 && now->total > 0)
        kti_progress_show(&s->progress, now->received, now->total,
                          seconds_left(s->began, now->received, now->total), s->what);
    return stop_asked;
}

static kt_status create_fetcher(screen *s, kti_fetcher **fetcher, kt_error *error)
{
    kti_fetch_options options = kti_fetch_options_default();
    options.agent = "kappatune/" KAPPATUNE_VERSION;
    options.use_environment = true;
    options.progress = show_download;
    options.user = s;
    catch_signals();
    return kti_fetcher_create(&options, fetcher, error);
}

/* ---- weights ---- */

typedef struct published_file {
    const char *name, *sha256;
} published_file;

typedef struct published {
    const char *name, *folder;
    const char
        *places[3]; /* tried in turn; matgl's main branch has the models no longer, its tags keep them */
    published_file files[3];
} published;

const char *const kti_cli_weights_names[] = {"megnet-eform", NULL};

static const published catalogue[] = {
    {
        .name = "megnet-eform",
        .folder = "MEGNet-MP-2018.6.1-Eform",
        .places = {"https://github.com/materialsvirtuallab/matgl/raw/v1.1.3/pretrained_models/"
                   "MEGNet-MP-2018.6.1-Eform",
                   "https://raw.githubusercontent.com/materialsvirtuallab/matgl/"
                   "14cb0157c1e21c362868acfc24751f09a2e99f76/pretrained_models/MEGNet-MP-2018.6.1-Eform"},
        .files = {{"model.json", "d858219134667d55e3c183435475ba248231a67311573373ed7298191f05d0a4"},
                  {"state.pt", "35381368b17a2783f9ee09af5556cf1d84b74bf786b82d3fadd4acb38c51d040"}},
    },
};

enum { WEIGHTS_LIMIT = 64 << 20 };

static const published *find_published(const char *name)
{
    for (size_t i = 0; i < sizeof catalogue / sizeof catalogue[0]; i++)
        if (strcmp(catalogue[i].name, name) == 0)
            return &catalogue[i];
    return NULL;
}

static const published_file *last_file(const published *p)
{
    int i = 0;
    while (p->files[i + 1].name)
        i++;
    return &p->files[i];
}

static char *joined_url(const char *base, const char *name)
{
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    char *url = kti_allocate(length + strlen(name) + 2, 1);
    if (url)
        sprintf(url, "%.*s/%s", (int)length, base, name);
    return url;
}

/* All files from one place. */
static kt_status fetch_files(kti_fetcher *fetcher, screen *s, const published *p, const char *place,
                             const char *folder, kt_error *error)
{
    kt_status status = KT_OK;
    for (const published_file *file = p->files; file->name && status == KT_OK; file++) {
        char *url = joined_url(place, file->name), *path = kti_path_join(folder, file->name);
        s->what = file->name;
        s->began = kti_seconds();
        status = url && path ? kti_fetch_file(fetcher, url, path, file->sha256, WEIGHTS_LIMIT, error)
                             : kti_fail_memory(error, "a path");
        kti_progress_end(&s->progress);
        free(url);
        free(path);
    }
    return status;
}

static bool is_fault_of_place(kt_status status, const kti_fetcher *fetcher)
{
    return status == KT_BAD_FORMAT || (status == KT_IO && kti_fetcher_answer(fetcher) >= 400);
}

kt_status kti_cli_fetch_weights(const char *name, const char *url, const char *out, bool quiet,
                                kti_fetched_weights *fetched, kt_error *error)
{
    const published *p = find_published(name);
    kti_fetcher *fetcher = NULL;
    screen s = screen_create(quiet);
    const char *const given[] = {url, NULL}, *const *places = url ? given : p->places;
    *fetched = (kti_fetched_weights){.sha256 = last_file(p)->sha256};
    fetched->above = kti_allocate(strlen(out) + sizeof ".fetch", 1);
    if (fetched->above)
        sprintf(fetched->above, "%s.fetch", out);
    fetched->folder = fetched->above ? kti_path_join(fetched->above, p->folder) : NULL;
    if (!fetched->folder)
        return kti_fail_memory(error, "a path");
    kt_status status = kti_make_folder(fetched->folder, error);
    if (status == KT_OK)
        status = create_fetcher(&s, &fetcher, error);
    if (status != KT_OK)
        return status;
    for (int i = 0; places[i]; i++) {
        kt_error reason = KT_ERROR_NONE;
        status = fetch_files(fetcher, &s, p, places[i], fetched->folder, &reason);
        fetched->url = status == KT_OK ? joined_url(places[i], last_file(p)->name) : NULL;
        if (status == KT_OK && !fetched->url)
            status = kti_fail_memory(&reason, "a path");
        if (status == KT_OK)
            break;
        if (places[i + 1] && is_fault_of_place(status, fetcher)) {
            kti_cli_fail(&reason);
            continue;
        }
        *error = reason;
        break;
    }
    kti_fetcher_destroy(fetcher);
    return status;
}

void kti_cli_fetch_advise(const char *name, const char *out)
{
    const published *p = find_published(name);
    fputs("By hand: download", stderr);
    for (const published_file *file = p->files; file->name; file++)
        fprintf(stderr, " %s", file->name);
    fprintf(stderr,
            " of\n    %s\n(on a machine with a network) into one folder, then\n"
            "    kappatune weights import FOLDER --out %s\n",
            p->places[0], out);
}

void kti_cli_fetched_remove(kti_fetched_weights *fetched, bool files)
{
    for (size_t i = 0; files && i < sizeof catalogue / sizeof catalogue[0]; i++)
        for (const published_file *file = catalogue[i].files; file->name; file++) {
            char *path = kti_path_join(fetched->folder, file->name);
            if (path)
                unlink(path);
            free(path);
        }
    if (fetched->folder && rmdir(fetched->folder) == 0)
        rmdir(fetched->above);
    free(fetched->folder);
    free(fetched->above);
    free(fetched->url);
    *fetched = (kti_fetched_weights){0};
}

/* ---- AFLOW ---- */

typedef struct aflow_screen {
    screen screen;
    double began;      /* s; 0: not yet */
    int64_t done_then; /* crystals that were there when it began */
} aflow_screen;

static int show_crystals(void *user, int64_t done, int64_t total)
{
    aflow_screen *s = user;
    char detail[64];
    if (s->began <= 0) {
        s->began = kti_seconds();
        s->done_then = done;
    }
    snprintf(detail, sizeof detail, "crystal %lld/%lld", (long long)done, (long long)total);
    kti_progress_show(&s->screen.progress, done, total,
                      seconds_left(s->began, done - s->done_then, total - s->done_then), detail);
    return stop_asked;
}

static void show_news(void *user, const char *text)
{
    aflow_screen *s = user;
    if (!s->screen.progress.quiet)
        kti_cli_warn("%s", text);
}

static void print_aflow(const kti_aflow_result *r, const char *folder, int64_t requests)
{
    printf("AFLOW: %lld entries with agl_thermal_conductivity_300K; %lld pages and %lld crystal files "
           "downloaded in %lld requests\n",
           (long long)r->entries, (long long)r->pages, (long long)r->from_files, (long long)requests);
    if (r->repeated > 0)
        printf("  %lld rows came twice and count once\n", (long long)r->repeated);
    if (r->without_cell > 0)
        printf("  %lld rows lack geometry, species, composition or positions_fractional: their crystals were "
               "looked for in\n"
               "  the entries' own files\n",
               (long long)r->without_cell);
    if (r->rejected > 0)
        printf("  %lld rejected: %s/rejects.csv\n", (long long)r->rejected, folder);
    printf("wrote %s/id_prop.csv: %lld crystals\n", folder, (long long)r->crystals);
}

int kti_cli_fetch_aflow(const kti_cli_fetch_request *request)
{
    kt_error error = KT_ERROR_NONE;
    kti_fetcher *fetcher = NULL;
    kti_aflow_options options = kti_aflow_options_default();
    kti_aflow_result result = {0};
    aflow_screen s = {.screen = screen_create(request->quiet)};
    options.folder = request->out;
    options.url = request->url;
    options.limit = request->limit > 0 ? request->limit : options.limit;
    options.page_size = request->page_size > 0 ? request->page_size : options.page_size;
    options.force = request->force;
    options.progress = show_crystals;
    options.message = show_news;
    options.user = &s;
    kt_status status = create_fetcher(&s.screen, &fetcher, &error);
    if (status == KT_OK)
        status = kti_aflow_fetch(fetcher, &options, &result, &error);
    kti_progress_end(&s.screen.progress);
    if (status == KT_OK)
        print_aflow(&result, request->out, kti_fetcher_requests(fetcher));
    kti_fetcher_destroy(fetcher);
    if (status != KT_OK) {
        const int exit_status = kti_cli_fail(&error);
        if (status == KT_IO || status == KT_INTERRUPTED)
            kti_cli_warn("what is there stays in %s: the same command goes on", request->out);
        return exit_status;
    }
    return result.rejected > 0 ? KTI_EXIT_REJECTS : KTI_EXIT_DONE;
}
