#include "cli/names.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

/* A folder of the search path's folders, the ending of its files, which a name leaves out, and what a folder in it holds if it has a
 * name. */
typedef struct place {
    const char *folder, *ending, *holds;
    bool
        keeps_ending; /* a name may have the ending all the same: it says a file that is found here or there */
} place;

static const struct {
    const char *noun;
    place place[2];
} kinds[] = {
    [KTI_MODEL] = {"model or weights",
                   {{"models", "", "recipe.json", false}, {"weights", ".safetensors", "state.pt", true}}},
    [KTI_RECIPE] = {"recipe", {{"recipes", ".json", NULL, false}, {0}}},
    [KTI_DATA] = {"data set", {{"datasets", ".csv", "id_prop.csv", false}, {0}}},
};

enum { PLACES = 2 };

/* What is downloaded rather than shipped, how, and where it is then. */
static const struct {
    kti_kind kind;
    const char *name, *command, *path;
} fetched[] = {
    {KTI_DATA, "aflow", "kappatune data fetch aflow --out aflow", "aflow"},
    {KTI_MODEL, "megnet-eform", "kappatune weights fetch megnet-eform", "megnet-eform.safetensors"},
    {KTI_MODEL, "megnet-eform.safetensors", "kappatune weights fetch megnet-eform",
     "megnet-eform.safetensors"},
};

/* ---- the search path ---- */

const char *kti_search_path(void)
{
    return getenv("KAPPATUNE_PATH");
}

kt_status kti_program_path(char *path, size_t capacity, kt_error *error)
{
    const ssize_t length = readlink("/proc/self/exe", path, capacity - 1);
    if (length < 0)
        return kti_fail(error, KT_IO, "the path of this program cannot be found: %s", strerror(errno));
    path[length] = '\0';
    return KT_OK;
}

/* Cuts the last part of a path off. */
static void go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
}

/* The next folder of the search path at *at, which is "" behind the last one; NULL at the end. */
static const char *next_entry(const char **at, size_t *length)
{
    while (**at) {
        const char *entry = *at;
        *length = strcspn(entry, ":");
        *at += *length + (entry[*length] == ':');
        if (*length > 0 && *entry == '/')
            return entry;
    }
    return NULL;
}

/* The folders of the search path into *list, each ended by a zero byte. */
static kt_status list_roots(kti_text *list, kt_error *error)
{
    char program[4096];
    size_t length;
    const char *path = kti_search_path(), *at = path ? path : "";
    for (const char *entry; (entry = next_entry(&at, &length));)
        kti_text_add(list, "%.*s%c", (int)length, entry, 0);
    /* A machine that does not tell has no share folder to offer. */
    if (kti_program_path(program, sizeof program, NULL) == KT_OK) {
        go_up(program);
        go_up(program);
        kti_text_add(list, "%s/share/kappatune%c", program, 0);
    }
    return list->failed ? kti_fail_memory(error, "the search path") : KT_OK;
}

/* ---- looking ---- */

static bool exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* A path that was found, kept until the program ends. */
static const char *keep(const char *text)
{
    static struct kept {
        struct kept *next;
        char text[];
    } * first;
    for (const struct kept *k = first; k; k = k->next)
        if (strcmp(k->text, text) == 0)
            return k->text;
    const size_t size = strlen(text) + 1;
    struct kept *added = malloc(sizeof *added + size);
    if (!added)
        return NULL;
    memcpy(added->text, text, size);
    added->next = first;
    first = added;
    return added->text;
}

static bool has_ending(const place *p, const char *name)
{
    return *p->ending && kti_ends_with(name, p->ending);
}

/* What a name is called in a place, "x" of "models/x" and of "x"; NULL if it cannot be there. "togo15.csv" is a file of the present folder
 * or none: were it the shipped table of that name, a missing file would not be noticed. */
static const char *name_in(const place *p, const char *name)
{
    const size_t length = strlen(p->folder);
    if (strncmp(name, p->folder, length) == 0 && name[length] == '/')
        return strstr(name, "..") ? NULL : name + length + 1;
    return strchr(name, '/') || (has_ending(p, name) && !p->keeps_ending) ? NULL : name;
}

/* Whether root/folder/own.tail is there, as `path` then says. */
static bool is_there(const char *root, const place *p, const char *own, const char *tail, kti_text *path)
{
    path->size = 0;
    kti_text_add(path, "%s/%s/%s%s", root, p->folder, own, tail);
    return !path->failed && exists(path->data);
}

/* The path of a name in one folder of the search path into `path`, emptied if it is not there: what "models/x" says, or else a folder that
 * holds what it should, or a file with the ending. */
static void look(const char *root, const place *p, const char *name, kti_text *path)
{
    char inside[64];
    const char *own = name_in(p, name);
    if (own && *own) {
        snprintf(inside, sizeof inside, "/%s", p->holds ? p->holds : "");
        if (own != name && is_there(root, p, own, "", path))
            return;
        if (p->holds && is_there(root, p, own, inside, path) && is_there(root, p, own, "", path))
            return;
        if (*p->ending && is_there(root, p, own, has_ending(p, own) ? "" : p->ending, path))
            return;
    }
    path->size = 0;
}

static bool can_be_named(kti_kind kind, const char *name)
{
    bool can = false;
    for (int i = 0; i < PLACES && kinds[kind].place[i].folder && *name; i++)
        can = can || name_in(&kinds[kind].place[i], name);
    return can;
}

/* ---- what there is instead ---- */

/* The name by which an entry of a place can be found; "" if it has none. */
static void name_of(const char *folder, const place *p, const char *entry, char *name, size_t capacity)
{
    kti_text inside = {0};
    const size_t length = strlen(entry), tail = strlen(p->ending);
    const bool ends = has_ending(p, entry);
    kti_text_add(&inside, "%s/%s/%s", folder, entry, p->holds ? p->holds : "");
    const bool is_folder = p->holds && !inside.failed && kti_file_exists(inside.data);
    kti_text_destroy(&inside);
    snprintf(name, capacity, "%.*s", ends ? (int)(length - tail) : is_folder ? (int)length : 0, entry);
}

/* Adds the names of a folder's entries to `names`, ", a, b, ", each once. */
static void add_names(const char *root, const place *p, kti_text *names)
{
    char name[256], listed[264], *folder = kti_path_join(root, p->folder);
    struct dirent **entries = NULL;
    const int found = folder ? scandir(folder, &entries, NULL, alphasort) : 0;
    for (int i = 0; i < found; i++) {
        name_of(folder, p, entries[i]->d_name, name, sizeof name);
        snprintf(listed, sizeof listed, ", %s, ", name);
        if (name[0] && name[0] != '.' && !names->failed && !strstr(names->data, listed))
            kti_text_add(names, "%s, ", name);
        free(entries[i]);
    }
    free(entries);
    free(folder);
}

/* What somebody who wrote a recipe's name may have meant; "" if nothing is known. */
static void add_hint(kti_kind kind, const char *name, const kti_text *roots, kti_text *hint)
{
    kti_text path = {0};
    kti_text_add(&path, "%s.json", name);
    kti_text_add(hint, "%s", "");
    if (kind == KTI_RECIPE && !path.failed && exists(path.data))
        kti_text_add(hint, "; did you mean %s?", path.data);
    path.size = 0;
    for (size_t at = 0; kind == KTI_RECIPE && at < roots->size && path.size == 0 && !path.failed;
         at += strlen(roots->data + at) + 1)
        look(roots->data + at, &kinds[KTI_DATA].place[0], name, &path);
    if (kind == KTI_RECIPE && path.size > 0)
        kti_text_add(hint, "; it is a data set: --data %s", name);
    kti_text_destroy(&path);
    const char *at = kti_search_path();
    while (at && *at) {
        const size_t length = strcspn(at, ":");
        if (length > 0 && *at != '/')
            kti_text_add(hint, "; KAPPATUNE_PATH's %.*s is left out, as it does not begin with a slash",
                         (int)length, at);
        at += length + (at[length] == ':');
    }
}

static kt_status fail(kti_kind kind, const char *name, const kti_text *names, const kti_text *places,
                      const kti_text *hint, kt_error *error)
{
    for (size_t i = 0; i < sizeof fetched / sizeof fetched[0]; i++)
        if (fetched[i].kind == kind && strcmp(fetched[i].name, name) == 0)
            return kti_fail_file(error, KT_IO, name,
                                 "does not come with kappatune; `%s` downloads it as %s into this folder "
                                 "(looked for here%s)",
                                 fetched[i].command, fetched[i].path, places->data);
    const int length = (int)names->size - 4;
    return kti_fail_file(error, KT_IO, name, "there is no such %s; known by name: %.*s (looked for here%s)%s",
                         kinds[kind].noun, length > 0 ? length : 4, length > 0 ? names->data + 2 : "none",
                         places->data, hint->data);
}

/* ---- finding ---- */

/* Looks in one folder of the search path, and notes what there is in case the name is nowhere. */
static void look_in(kti_kind kind, const char *root, const char *name, kti_text *path, kti_text *names,
                    kti_text *places)
{
    for (int i = 0; i < PLACES && kinds[kind].place[i].folder && path->size == 0; i++) {
        const place *p = &kinds[kind].place[i];
        look(root, p, name, path);
        add_names(root, p, names);
        kti_text_add(places, ", %s/%s", root, p->folder);
    }
}

kt_status kti_name_find(kti_kind kind, const char *name, const char **path, kt_error *error)
{
    kti_text roots = {0}, found = {0}, names = {0}, places = {0}, hint = {0};
    *path = name;
    /* No folder is a recipe: after `data fetch aflow --out aflow`, the recipe aflow is the one that has the name. */
    const bool is_path = exists(name) && !(kind == KTI_RECIPE && kti_is_folder(name));
    if (is_path || !can_be_named(kind, name))
        return KT_OK;
    kti_text_add(&names, ", ");
    kti_text_add(&places, "%s", "");
    kt_status status = list_roots(&roots, error);
    for (size_t at = 0; status == KT_OK && at < roots.size && found.size == 0;
         at += strlen(roots.data + at) + 1)
        look_in(kind, roots.data + at, name, &found, &names, &places);
    if (status == KT_OK && found.size == 0)
        add_hint(kind, name, &roots, &hint);
    if (found.failed || names.failed || places.failed || hint.failed)
        status = kti_fail_memory(error, "the search path");
    else if (status == KT_OK && found.size == 0)
        status = fail(kind, name, &names, &places, &hint, error);
    else if (status == KT_OK && !(*path = keep(found.data)))
        status = kti_fail_memory(error, "a path");
    kti_text_destroy(&roots);
    kti_text_destroy(&found);
    kti_text_destroy(&names);
    kti_text_destroy(&places);
    kti_text_destroy(&hint);
    return status;
}

kt_status kti_name_find_named(void *find_user, kt_named kind, const char *name, const char **path,
                              kt_error *error)
{
    (void)find_user;
    return kti_name_find(kind == KT_NAMED_DATA ? KTI_DATA : KTI_MODEL, name, path, error);
}
