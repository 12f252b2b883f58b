#include "cli/program.h"

#include <sys/wait.h>
#include <unistd.h>

int folder_setup(void **state)
{
    char *path = strdup("/tmp/kappatune-cli-XXXXXX");
    if (!path || !mkdtemp(path))
        return -1;
    *state = path;
    return 0;
}

int folder_teardown(void **state)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    const int failed = system(command);
    free(*state);
    return failed;
}

char *read_text(const char *path, size_t *size)
{
    FILE *in_file = fopen(path, "rb");
    size_t used = 0, capacity = 1 << 16;
    char *text = malloc(capacity + 1);
    assert_non_null(in_file);
    assert_non_null(text);
    for (size_t got; (got = fread(text + used, 1, capacity - used, in_file)) > 0;) {
        used += got;
        if (used == capacity) {
            text = realloc(text, (capacity *= 2) + 1);
            assert_non_null(text);
        }
    }
    fclose(in_file);
    text[used] = '\0';
    if (size)
        *size = used;
    return text;
}

void write_text(const char *folder, const char *name, const char *text)
{
    FILE *out = fopen(in(folder, name), "wb");
    assert_non_null(out);
    assert_int_equal(fputs(text, out) < 0, 0);
    assert_int_equal(fclose(out), 0);
}

const char *in(const char *folder, const char *name)
{
    static char text[4][512];
    static int next;
    char *path = text[next++ % 4];
    snprintf(path, sizeof text[0], "%s/%s", folder, name);
    return path;
}

void outcome_destroy(outcome *result)
{
    free(result->out);
    free(result->err);
    *result = (outcome){0};
}

void run(outcome *result, const char *folder, const char *format, ...)
{
    char command[RUN_TEXT], whole[RUN_TEXT + 1024];
    va_list arguments;
    va_start(arguments, format);
    assert_in_range(vsnprintf(command, sizeof command, format, arguments), 1, sizeof command - 1);
    va_end(arguments);
    snprintf(whole, sizeof whole, "KT='%s'; D='%s'; T='%s'; { %s ; } >\"$D/.out\" 2>\"$D/.err\"",
             KAPPATUNE_PROGRAM, folder, test_data_root(), command);
    outcome_destroy(result);
    const int status = system(whole);
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result->out = read_text(in(folder, ".out"), NULL);
    result->err = read_text(in(folder, ".err"), NULL);
}

static void fail_with(const outcome *result, const char *what)
{
    fail_msg("expected %s\nexit status %d\nstandard output:\n%.1500s\nstandard error:\n%.1500s", what,
             result->status, result->out, result->err);
}

void assert_status(const outcome *result, int status)
{
    char what[64];
    snprintf(what, sizeof what, "exit status %d", status);
    if (result->status != status)
        fail_with(result, what);
}

void assert_says(const outcome *result, const char *out)
{
    if (!strstr(result->out, out))
        fail_with(result, out);
}

void assert_complains(const outcome *result, const char *err)
{
    if (!strstr(result->err, err))
        fail_with(result, err);
}

int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}
