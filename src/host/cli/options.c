#include "cli/options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/json.h"
#include "cli/text.h"

enum { MESSAGE = 2048 };

const char *const kti_output_names[] = {"table", "csv", "json", NULL};
const char *const kti_table_or_json[] = {"table", "json", NULL};
const char *const kti_property_names[] = {"kappa", "eform", NULL};
const char *const kti_device_names[] = {"cpu", "cuda", "cuda-cublas", "cuda-cudnn", NULL};

int kti_cli_processors(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > 1024 ? 1024 : (int)online;
}

static void print_message(const char *begin, const char *format, va_list arguments)
{
    char text[MESSAGE];
    vsnprintf(text, sizeof text, format, arguments);
    fflush(stdout); /* on a terminal both streams are seen in the order of events */
    fprintf(stderr, "kappatune: %s", begin);
    kti_print_clean(stderr, text);
    fputc('\n', stderr);
}

int kti_cli_usage(const char *command, const char *format, ...)
{
    char begin[64];
    va_list arguments;
    va_start(arguments, format);
    snprintf(begin, sizeof begin, "%s: ", command);
    print_message(begin, format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try 'kappatune %s --help'.\n", command);
    return KTI_EXIT_USAGE;
}

void kti_cli_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message("", format, arguments);
    va_end(arguments);
}

int kti_cli_fail(const kt_error *error)
{
    char text[MESSAGE];
    kt_error_format(error, text, sizeof text);
    kti_cli_warn("%s", text);
    return error->status == KT_INTERRUPTED ? KTI_EXIT_STOPPED : KTI_EXIT_FAILED;
}

bool kti_option_integer(const char *option, const char *text, int64_t min, int64_t max, int64_t *value)
{
    char *end;
    errno = 0;
    const long long read = strtoll(text, &end, 10);
    const bool digit =
        (text[0] >= '0' && text[0] <= '9') || (text[0] == '-' && text[1] >= '0' && text[1] <= '9');
    if (digit && *end == '\0' && errno == 0 && read >= min && read <= max) {
        *value = read;
        return true;
    }
    if (max == INT64_MAX)
        kti_cli_warn("%s takes an integer from %lld on, not '%s'", option, (long long)min, text);
    else
        kti_cli_warn("%s takes an integer from %lld to %lld, not '%s'", option, (long long)min,
                     (long long)max, text);
    return false;
}

bool kti_option_number(const char *option, const char *text, double min, double max, double *value)
{
    double read;
    if (kti_number_parse(text, &read) && read >= min && read <= max) {
        *value = read;
        return true;
    }
    if (isfinite(max))
        kti_cli_warn("%s takes a number from %g to %g, not '%s'", option, min, max, text);
    else
        kti_cli_warn("%s takes a number from %g on, not '%s'", option, min, text);
    return false;
}

int kti_option_choice(const char *option, const char *text, const char *const *choices)
{
    char list[256] = "";
    for (int i = 0; choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0)
            return i;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s",
                 !choices[i + 1] && i > 0 ? " or "
                 : i > 0                  ? ", "
                                          : "",
                 choices[i]);
    }
    kti_cli_warn("%s takes %s, not '%s'", option, list, text);
    return -1;
}

bool kti_option_list(const char *option, const char *text, const char *const *names, bool *chosen)
{
    for (int i = 0; names[i]; i++)
        chosen[i] = false;
    for (;;) {
        char word[32];
        const size_t length = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), text);
        const int choice = kti_option_choice(option, word, names);
        if (choice < 0)
            return false;
        chosen[choice] = true;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

bool kti_option_plot_formats(const char *option, const char *list, unsigned *formats)
{
    static const char *const names[] = {"svg", "png", "pdf", NULL}; /* of kti_plot_format, bit by bit */
    bool chosen[3];
    *formats = 0;
    if (!kti_option_list(option, list, names, chosen))
        return false;
    for (unsigned i = 0; i < 3; i++)
        *formats |= (unsigned)chosen[i] << i;
    return true;
}

int kti_cli_output(const char *command, bool csv, bool json, kti_output *format)
{
    if (csv && json)
        return kti_cli_usage(command, "either --csv or --json");
    *format = csv ? KTI_OUTPUT_CSV : json ? KTI_OUTPUT_JSON : KTI_OUTPUT_TABLE;
    return -1;
}

bool kti_option_format(const char *option, const char *text, const char *const *choices, kti_output *format,
                       bool *given)
{
    const int choice = kti_option_choice(option, text, choices);
    if (choice < 0)
        return false;
    *format = (kti_output)kti_option_choice(option, choices[choice], kti_output_names);
    *given = true;
    return true;
}

/* Letters to insert, delete or replace to get from one name to the other (Levenshtein). */
static int spelling_distance(const char *a, const char *b)
{
    enum { LONGEST = 63 };
    int row[LONGEST + 1];
    const size_t length = strlen(b);
    if (length > LONGEST || strlen(a) > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= length; j++)
        row[j] = (int)j;
    for (size_t i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= length; j++) {
            const int replaced = diagonal + (a[i - 1] != b[j - 1]);
            const int other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < other ? replaced : other;
        }
    }
    return row[length];
}

const char *kti_cli_nearest(const char *text, const char *const *choices)
{
    const char *nearest = NULL;
    int min = 3; /* three letters apart is another word */
    for (int i = 0; choices[i]; i++) {
        const int distance = spelling_distance(text, choices[i]);
        if (distance < min && distance < (int)strlen(choices[i])) {
            min = distance;
            nearest = choices[i];
        }
    }
    return nearest;
}

kt_status kti_cli_spare(const char *path, const char *beginning, kt_error *error)
{
    char begun[64];
    const size_t length = strlen(beginning);
    struct stat about;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size == 0)
        return KT_OK;
    FILE *file = fopen(path, "rb");
    if (!file) /* writing it will say why */
        return KT_OK;
    const size_t found = fread(begun, 1, length < sizeof begun ? length : sizeof begun, file);
    fclose(file);
    return found > 0 && strncmp(begun, beginning, found) == 0
               ? KT_OK
               : kti_fail_file(error, KT_BAD_ARGUMENT, path,
                               "is there already, and is not what this command writes: it is not replaced; "
                               "choose another name or remove it");
}
