#include "cli/cluster.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"

enum { LIMIT = 1 << 16, MAX_NODES = 100000, MAX_SECONDS = 30 * 86400 };

typedef enum kind { WORD, TIME, NAME, DEVICE, TEXT, INTEGER, WORDS, TEXTS } kind;

static const struct {
    const char *name;
    kind kind;
    size_t offset;
    int min, max;
} keys[] = {
    {"account", WORD, offsetof(kti_cluster, account), 0, 0},
    {"partition", WORD, offsetof(kti_cluster, partition), 0, 0},
    {"time", TIME, offsetof(kti_cluster, time), 0, 0},
    {"memory", WORD, offsetof(kti_cluster, memory), 0, 0},
    {"nodes", INTEGER, offsetof(kti_cluster, nodes), 1, MAX_NODES},
    {"cpus", INTEGER, offsetof(kti_cluster, cpus), 1, 1024},
    {"gpus", INTEGER, offsetof(kti_cluster, gpus), 1, 1024},
    {"ranks", INTEGER, offsetof(kti_cluster, ranks), 1, MAX_NODES},
    {"mpi", NAME, offsetof(kti_cluster, mpi), 0, 0},
    {"device", DEVICE, offsetof(kti_cluster, device), 0, 0},
    {"container", TEXT, offsetof(kti_cluster, container), 0, 0},
    {"notice", INTEGER, offsetof(kti_cluster, notice), 1, MAX_SECONDS},
    {"restarts", INTEGER, offsetof(kti_cluster, restarts), 0, 100000},
    {"modules", TEXTS, offsetof(kti_cluster, modules), 0, 0},
    {"sbatch", WORDS, offsetof(kti_cluster, sbatch), 0, 0},
};

enum { KEYS = sizeof keys / sizeof keys[0] };

const char *const kti_cluster_devices[] = {"cpu", "cuda", "cuda-cublas", "cuda-cudnn", "cuda-auto", NULL};

/* Stands in a #SBATCH line as it is: a comment to the shell, in which Slurm splits words at blanks. */
static bool is_word(const char *text)
{
    bool good = *text != '\0';
    for (; *text; text++)
        good = good && *text > ' ' && *text <= '~' && !strchr("\"'\\#`", *text);
    return good;
}

/* What srun --mpi=list shows. */
static bool is_name(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";
    return *text != '\0' && *text != '-' && strspn(text, letters) == strlen(text);
}

/* No line of a script can hold other texts, quoted or not; what begins with - would be an option. */
static bool is_text(const char *text)
{
    bool good = *text != '\0' && *text != '-';
    for (; *text; text++)
        good = good && (unsigned char)*text >= ' ' && *text != 127;
    return good;
}

/* Seconds of Slurm's minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes and
 * days-hours:minutes:seconds; 0 for what is none. */
static long seconds_of(const char *text)
{
    int days = 0, a = 0, b = 0, c = 0, used = 0;
    const bool has_days = strchr(text, '-') != NULL;
    if (strspn(text, "0123456789-:") != strlen(text) || strlen(text) > 20)
        return 0;
    if (has_days && sscanf(text, "%5d-%n", &days, &used) != 1)
        return 0;
    const int parts = sscanf(text + used, "%6d:%6d:%6d", &a, &b, &c);
    if (parts < 1)
        return 0;
    if (has_days)
        return 86400L * days + 3600L * a + 60L * b + c;
    return parts == 3 ? 3600L * a + 60L * b + c : 60L * a + b;
}

static kt_status read_texts(const json_t *root, const char *file, const char *key, bool words,
                            const json_t **to, kt_error *error)
{
    json_t *list, *element;
    size_t i;
    kt_status status = kti_json_array(root, file, key, &list, error);
    if (status != KT_OK)
        return status;
    json_array_foreach(list, i, element)
    {
        const char *text = json_string_value(element);
        if (words && !(text && is_word(text) && strncmp(text, "--", 2) == 0))
            return kti_fail_file(error, KT_BAD_FORMAT, file,
                                 "`%s` must be a list of options of sbatch, [\"--qos=long\"], without blanks "
                                 "and quotes",
                                 key);
        if (!words && (!text || !is_text(text)))
            return kti_fail_file(error, KT_BAD_FORMAT, file,
                                 "`%s` must be a list of strings, none of which begins with -", key);
    }
    *to = list;
    return KT_OK;
}

/* One string, as its key wants it. */
static kt_status check_string(const char *file, int index, const char *text, kt_error *error)
{
    const char *name = keys[index].name;
    const char *const *device = kti_cluster_devices;
    switch (keys[index].kind) {
    case TIME:
        if (seconds_of(text) == 0)
            return kti_fail_file(
                error, KT_BAD_FORMAT, file,
                "`%s` is \"%s\"; a wall-time is minutes, hours:minutes:seconds or days-hours, \"04:00:00\"",
                name, text);
        return KT_OK;
    case NAME:
        if (!is_name(text))
            return kti_fail_file(
                error, KT_BAD_FORMAT, file,
                "`%s` is \"%s\"; it is a name of letters, digits, _, ., + and -, as srun --mpi=list shows",
                name, text);
        return KT_OK;
    case DEVICE:
        while (*device && strcmp(*device, text) != 0)
            device++;
        if (!*device)
            return kti_fail_file(error, KT_BAD_FORMAT, file,
                                 "`%s` is \"%s\"; it can be cpu, cuda, cuda-cublas, cuda-cudnn or cuda-auto",
                                 name, text);
        return KT_OK;
    default: break;
    }
    if (keys[index].kind == TEXT ? !is_text(text) : !is_word(text))
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`%s` is \"%s\", which no line of a script can hold",
                             name, text);
    return KT_OK;
}

static kt_status read_key(const json_t *root, const char *file, int index, kti_cluster *cluster,
                          kt_error *error)
{
    const char *name = keys[index].name, *text = NULL;
    void *to = (char *)cluster + keys[index].offset;
    int64_t integer;
    kt_status status;
    switch (keys[index].kind) {
    case INTEGER:
        status = kti_json_integer(root, file, name, keys[index].min, keys[index].max, &integer, error);
        if (status == KT_OK)
            *(int *)to = (int)integer;
        return status;
    case WORDS:
    case TEXTS: return read_texts(root, file, name, keys[index].kind == WORDS, to, error);
    default: break;
    }
    status = kti_json_string(root, file, name, &text, error);
    if (status == KT_OK)
        status = check_string(file, index, text, error);
    if (status != KT_OK)
        return status;
    *(const char **)to = text;
    return KT_OK;
}

/* What goes together. */
static kt_status check(const kti_cluster *c, const char *file, kt_error *error)
{
    if (c->time && seconds_of(c->time) <= c->notice)
        return kti_fail_file(
            error, KT_BAD_FORMAT, file,
            "`time` is %s, but a job stops `notice` = %d seconds before: it would never train", c->time,
            c->notice);
    if (c->nodes > 1 && c->ranks == 0)
        return kti_fail_file(error, KT_BAD_FORMAT, file,
                             "`nodes` is %d, but one process runs on one node: leave it out, or set `ranks`",
                             c->nodes);
    if (c->gpus > 0 && strncmp(c->device, "cuda", 4) != 0)
        return kti_fail_file(error, KT_BAD_FORMAT, file,
                             "`gpus` is %d, but `device` is \"%s\": set it to \"cuda\"", c->gpus, c->device);
    if (c->mpi && c->ranks == 0)
        return kti_fail_file(error, KT_BAD_FORMAT, file, "`mpi` is of the processes that `ranks` asks for");
    if (c->ranks > 0 && strcmp(c->device, "cuda-auto") == 0)
        return kti_fail_file(
            error, KT_BAD_FORMAT, file,
            "`device` is \"cuda-auto\", but each of the `ranks` would choose its own kernels: use \"cuda\"");
    return KT_OK;
}

static kt_status read(const char *path, kti_cluster *cluster, kt_error *error)
{
    const char *names[KEYS];
    for (int i = 0; i < KEYS; i++)
        names[i] = keys[i].name;
    kt_status status = kti_json_read(path, LIMIT, &cluster->root, error);
    if (status == KT_OK && !json_is_object(cluster->root))
        status = kti_fail_file(error, KT_BAD_FORMAT, path, "is not a JSON object of settings");
    if (status == KT_OK)
        status = kti_json_known_keys(cluster->root, path, names, KEYS, error);
    for (int i = 0; i < KEYS && status == KT_OK; i++)
        if (json_object_get(cluster->root, names[i]))
            status = read_key(cluster->root, path, i, cluster, error);
    return status;
}

kt_status kti_cluster_read(const char *path, const char *device, kti_cluster *cluster, kt_error *error)
{
    *cluster = (kti_cluster){.device = "cpu", .notice = 120, .restarts = 100};
    kt_status status = path ? read(path, cluster, error) : KT_OK;
    if (device)
        cluster->device = device;
    if (status == KT_OK && path)
        status = check(cluster, path, error);
    if (status != KT_OK)
        kti_cluster_destroy(cluster);
    return status;
}

void kti_cluster_destroy(kti_cluster *cluster)
{
    json_decref(cluster->root);
    *cluster = (kti_cluster){0};
}
