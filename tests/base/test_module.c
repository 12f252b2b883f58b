/* Modules are opened beside the program alone. */
#include <dlfcn.h>
#include <unistd.h>

#include "base/module.h"
#include "support.h"

#define BESIDE "libkappatune_test_module.so"
#define BROKEN "libkappatune_test_broken.so"

static void one_beside_the_program_is_opened(void **state)
{
    const char *why;
    (void)state;
    assert_int_equal(chdir("/"), 0);
    void *module = kti_module_open(BESIDE, RTLD_NOW, &why);
    if (!module)
        fail_msg("%s", why);
    assert_non_null(dlsym(module, "answer"));
    dlclose(module);
}

static void one_of_the_present_folder_is_not(void **state)
{
    const char *why;
    char folder[] = "/tmp/kappatune-module-XXXXXX", command[512];
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    snprintf(command, sizeof command, "cp " FOLDER "/" BESIDE " elsewhere.so");
    assert_int_equal(system(command), 0);
    assert_non_null(dlopen("./elsewhere.so", RTLD_NOW));
    assert_null(kti_module_open("elsewhere.so", RTLD_NOW, &why));
    assert_non_null(strstr(why, "its module is neither beside the program"));
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* One that is there and cannot be loaded is told apart from one that is missing. */
static void a_broken_one_is_named(void **state)
{
    const char *why;
    (void)state;
    FILE *file = fopen(FOLDER "/" BROKEN, "w");
    assert_non_null(file);
    fputs("no library\n", file);
    fclose(file);
    assert_null(kti_module_open(BROKEN, RTLD_NOW, &why));
    assert_non_null(strstr(why, FOLDER "/" BROKEN ": "));
    assert_int_equal(remove(FOLDER "/" BROKEN), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_beside_the_program_is_opened),
        cmocka_unit_test(one_of_the_present_folder_is_not),
        cmocka_unit_test(a_broken_one_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
