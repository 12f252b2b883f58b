#include "base/module.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Whether dlopen failed since the file itself is not there, and not something that it needs: the reason then begins with its path. */
static bool is_missing(const char *why, const char *name)
{
    char path[4096];
    const size_t length = strlen(name);
    const char *at = strstr(why, name);
    if (!at || at[length] != ':')
        return false;
    snprintf(path, sizeof path, "%.*s", (int)(at - why) + (int)length, why);
    return access(path, F_OK) != 0;
}

void *kti_module_open(const char *name, int mode, const char **why)
{
    /* The loader puts the folder of what calls it in $ORIGIN's place. A path with a slash is not searched for. */
    static const char *const folders[] = {"$ORIGIN", "$ORIGIN/../" KTI_LIBDIR};
    *why = "its symbol is missing";
    for (int i = 0; i < 2; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        void *module = dlopen(path, mode);
        if (module)
            return module;
        const char *reason = dlerror();
        *why = reason ? reason : name;
        if (!is_missing(*why, name))
            return NULL;
    }
    *why = "its module is neither beside the program or its library, nor in ../" KTI_LIBDIR;
    return NULL;
}
