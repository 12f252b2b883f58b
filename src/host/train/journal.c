#include "train/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/file.h"

kt_status kti_journal_open(kti_journal *journal, const char *run, int rank, int append, kt_error *error)
{
    char name[32] = "log.jsonl";
    *journal = (kti_journal){0};
    if (!run)
        return KT_OK;
    if (rank > 0)
        snprintf(name, sizeof name, "log.rank%d.jsonl", rank);
    char *path = kti_path_join(run, name);
    if (!path)
        return kti_fail_memory(error, "a path");
    kt_status status = KT_OK;
    journal->file = fopen(path, append ? "a" : "w");
    if (!journal->file)
        status = kti_fail_file(error, KT_IO, path, "cannot be written: %s", strerror(errno));
    free(path);
    return status;
}

void kti_journal_close(kti_journal *journal)
{
    if (journal->file)
        fclose(journal->file);
    *journal = (kti_journal){0};
}

void kti_journal_event(kti_journal *journal, const char *event, int fold, int epoch, int batch,
                       const char *text)
{
    char stamp[32] = "";
    struct tm parts;
    const time_t now = time(NULL);
    if (!journal->file)
        return;
    if (gmtime_r(&now, &parts))
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
    json_t *line = json_pack("{s:s, s:s}", "time", stamp, "event", event);
    if (!line)
        return;
    if (fold)
        json_object_set_new(line, "fold", json_integer(fold));
    if (epoch)
        json_object_set_new(line, "epoch", json_integer(epoch));
    if (batch)
        json_object_set_new(line, "batch", json_integer(batch));
    json_object_set_new(line, "text", json_string(text));
    json_dumpf(line, journal->file, JSON_COMPACT);
    fputc('\n', journal->file);
    fflush(journal->file);
    json_decref(line);
}
