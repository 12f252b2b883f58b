#include "cli/command.h"

#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

enum { FIRST_KEY = 256 }; /* argp's key of the first row; smaller ones are letters */

/* ---- tables as argp's ---- */

typedef struct parser {
    const kti_command *command;
    const kti_option *row[KTI_COMMAND_OPTIONS];
    struct argp_option option[2 * KTI_COMMAND_OPTIONS + 2]; /* the rows and the headings of their groups */
    const char *heading[KTI_COMMAND_OPTIONS];
    int rows, options, headings;
    struct argp argp;
    char doc[8192], name[64];
    kti_given_list *list;
    bool help, failed;
} parser;

/* Number of a group, from 1; its heading becomes an option of argp's when it is new. */
static int group_of(parser *p, const char *heading)
{
    for (int i = 0; i < p->headings; i++)
        if (strcmp(p->heading[i], heading) == 0)
            return i + 1;
    p->heading[p->headings++] = heading;
    p->option[p->options++] = (struct argp_option){.doc = heading, .group = p->headings};
    return p->headings;
}

static void add_row(parser *p, const kti_option *row, const char **heading)
{
    *heading = row->group ? row->group : *heading;
    if (!row->flag || p->rows == KTI_COMMAND_OPTIONS)
        return;
    const int group = *heading ? group_of(p, *heading) : 0;
    p->option[p->options++] = (struct argp_option){.name = row->flag,
                                                   .key = row->letter ? row->letter : FIRST_KEY + p->rows,
                                                   .arg = row->argument,
                                                   .doc = row->help,
                                                   .group = group};
    p->row[p->rows++] = row;
}

static const kti_option *row_of(const parser *p, int key)
{
    for (int i = 0; i < p->rows; i++)
        if (key == (p->row[i]->letter ? p->row[i]->letter : FIRST_KEY + i))
            return p->row[i];
    return NULL;
}

/* ---- what is wrong with a command line ---- */

/* The row that `written`, "--name" or "--name=value", means: its name, or the only one that begins so. *begins: how many do. */
static const kti_option *row_named(const parser *p, const char *written, int *begins)
{
    const size_t length = strcspn(written + 2, "=");
    const kti_option *found = NULL;
    *begins = 0;
    for (int i = 0; i < p->rows; i++) {
        if (strncmp(p->row[i]->flag, written + 2, length) != 0)
            continue;
        found = p->row[i];
        ++*begins;
        if (p->row[i]->flag[length] == '\0') {
            *begins = 1;
            break;
        }
    }
    return *begins == 1 ? found : NULL;
}

static void complain(const parser *p, const char *written)
{
    const char *names[KTI_COMMAND_OPTIONS + 2] = {"help"};
    const char *name = p->command->name;
    const int length = (int)strcspn(written, "=");
    int begins = 0;
    if (strncmp(written, "--", 2) != 0) {
        kti_cli_usage(name, "there is no option %.2s", written);
        return;
    }
    const kti_option *row = row_named(p, written, &begins);
    for (int i = 0; i < p->rows; i++)
        names[i + 1] = p->row[i]->flag;
    char word[64];
    snprintf(word, sizeof word, "%.*s", length - 2, written + 2);
    const char *near = kti_cli_nearest(word, names);
    if (row && row->argument)
        kti_cli_usage(name, "--%s needs a value", row->flag);
    else if (row)
        kti_cli_usage(name, "--%s takes no value", row->flag);
    else if (begins > 1)
        kti_cli_usage(name, "%.*s may be one of several options: write it out", length, written);
    else if (near)
        kti_cli_usage(name, "there is no option %.*s; did you mean --%s?", length, written, near);
    else
        kti_cli_usage(name, "there is no option %.*s", length, written);
}

static error_t take(int key, char *value, struct argp_state *state)
{
    parser *p = state->input;
    const kti_option *row = row_of(p, key);
    if (row && p->list->size < (int)(sizeof p->list->given / sizeof p->list->given[0])) {
        p->list->given[p->list->size++] = (kti_given){row, value};
    } else if (row) {
        kti_cli_usage(p->command->name, "there are too many options");
        p->failed = true;
        return EINVAL;
    } else if (key == 'h') {
        p->help = true;
    } else if (key == ARGP_KEY_ARG) {
        /* argp has moved what is no option to the end. */
        if (optind == 0)
            optind = state->next - 1;
    } else if (key == ARGP_KEY_ERROR && !p->failed) {
        /* `next` stands behind the option, but for a cluster of letters that goes on. */
        const int at =
            state->next > 1 && state->argv[state->next - 1][0] == '-' ? state->next - 1 : state->next;
        complain(p, at < state->argc ? state->argv[at] : state->argv[state->argc - 1]);
    } else if (key != ARGP_KEY_ERROR) {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void build(const kti_command *command, parser *p)
{
    const char *heading = NULL;
    *p = (parser){.command = command};
    for (int t = 0; t < KTI_COMMAND_TABLES && command->options[t]; t++)
        for (const kti_option *row = command->options[t]; row->kind != KTI_OPTION_END; row++)
            add_row(p, row, &heading);
    p->option[p->options++] =
        (struct argp_option){.name = "help", .key = 'h', .doc = "show this help", .group = -1};
    snprintf(p->doc, sizeof p->doc, "\n%s\v%s", command->about, command->notes ? command->notes : "");
    snprintf(p->name, sizeof p->name, "kappatune %s", command->name);
    p->argp = (struct argp){p->option, take, command->arguments, p->doc, NULL, NULL, NULL};
}

int kti_command_parse(const kti_command *command, int argc, char **argv, kti_given_list *list)
{
    parser *p = malloc(sizeof *p);
    int status = KTI_EXIT_FAILED;
    list->size = 0;
    optind = 0;
    if (!p) {
        kti_cli_warn("there is no memory for the options");
        return status;
    }
    build(command, p);
    p->list = list;
    const error_t failed =
        argp_parse(&p->argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, p);
    optind = optind == 0 ? argc : optind;
    status = failed ? KTI_EXIT_USAGE : -1;
    if (!failed && p->help) {
        kti_command_help(command, stdout);
        status = KTI_EXIT_DONE;
    }
    free(p);
    return status;
}

bool kti_is_given(const kti_given_list *list, const char *flag)
{
    for (int i = 0; i < list->size; i++)
        if (strcmp(list->given[i].option->flag, flag) == 0)
            return true;
    return false;
}

int kti_command_read(const kti_command *command, int argc, char **argv, void *target)
{
    kti_given_list list;
    const int status = kti_command_parse(command, argc, argv, &list);
    for (int i = 0; i < list.size && status < 0; i++)
        if (!kti_option_set(&list.given[i], target))
            return KTI_EXIT_USAGE;
    return status;
}

/* ---- values ---- */

bool kti_option_set(const kti_given *given, void *target)
{
    const kti_option *o = given->option;
    void *to = (char *)target + o->offset;
    char flag[64];
    int64_t integer = 0;
    int choice = 0;
    bool fine = true;
    snprintf(flag, sizeof flag, "--%s", o->flag);
    switch (o->kind) {
    case KTI_OPTION_BOOLEAN: *(bool *)to = strncmp(o->flag, "no-", 3) != 0; break;
    case KTI_OPTION_TEXT: *(const char **)to = given->value; break;
    case KTI_OPTION_NUMBER: fine = kti_option_number(flag, given->value, o->min, o->max, to); break;
    case KTI_OPTION_WORD:
        fine = kti_option_choice(flag, given->value, o->choices) >= 0;
        *(const char **)to = given->value;
        break;
    case KTI_OPTION_CHOICE:
        choice = kti_option_choice(flag, given->value, o->choices);
        fine = choice >= 0;
        if (fine)
            *(unsigned *)to = (unsigned)choice;
        break;
    case KTI_OPTION_INTEGER:
    case KTI_OPTION_LONG:
        fine = kti_option_integer(flag, given->value, (int64_t)o->min,
                                  o->max < 9.2e18 ? (int64_t)o->max : INT64_MAX, &integer);
        if (fine && o->kind == KTI_OPTION_INTEGER)
            *(int *)to = (int)integer;
        else if (fine)
            *(int64_t *)to = integer;
        break;
    case KTI_OPTION_OTHER: fine = o->take(target, flag, given->value); break;
    case KTI_OPTION_DATA: /* the command that has these reads them itself */
    case KTI_OPTION_WEIGHTS:
    case KTI_OPTION_END: break;
    }
    return fine;
}

/* ---- help ---- */

void kti_command_help(const kti_command *command, FILE *out)
{
    parser *p = malloc(sizeof *p);
    if (!p)
        return;
    build(command, p);
    setenv("ARGP_HELP_FMT", "no-dup-args-note",
           0); /* a remark on short options, beside every help that has one */
    argp_help(&p->argp, out, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC, p->name);
    free(p);
}
