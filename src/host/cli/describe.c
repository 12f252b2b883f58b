#include "cli/describe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/options.h"
#include "train/keys.h"

/* Calls `visit` with each row of a command that has a flag. */
static void for_each_flag(const kti_command *command, void (*visit)(const kti_option *, FILE *), FILE *out)
{
    for (int t = 0; t < KTI_COMMAND_TABLES && command->options[t]; t++)
        for (const kti_option *row = command->options[t]; row->kind != KTI_OPTION_END; row++)
            if (row->flag)
                visit(row, out);
}

static void print_words(const char *const *words, const char *between, FILE *out)
{
    for (int i = 0; words[i]; i++)
        fprintf(out, "%s%s", i ? between : "", words[i]);
}

/* ---- bash ---- */

static void add_flag(const kti_option *row, FILE *out)
{
    fprintf(out, " --%s", row->flag);
}

/* After an option with choices its words are completed, after any other that takes a value a file. */
static void add_values(const kti_option *row, FILE *out)
{
    if (!row->argument)
        return;
    fprintf(out, "            --%s) words=\"", row->flag);
    if (row->choices)
        print_words(row->choices, " ", out);
    fputs("\"; value=yes ;;\n", out);
}

void kti_print_completion(const kti_command *const *commands, FILE *out)
{
    fputs("# Completion of kappatune for bash, by `kappatune completion bash`.\n"
          "_kappatune()\n"
          "{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words= options= "
          "value=no\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"help completion --help --version",
          out);
    for (int i = 0; commands[i]; i++)
        fprintf(out, " %s", commands[i]->name);
    fputs("\" -- \"$current\"))\n"
          "        return\n"
          "    fi\n"
          "    case ${COMP_WORDS[1]} in\n",
          out);
    for (int i = 0; commands[i]; i++) {
        fprintf(out, "    %s)\n        options=\"--help", commands[i]->name);
        for_each_flag(commands[i], add_flag, out);
        fputs("\"\n        case $before in\n", out);
        for_each_flag(commands[i], add_values, out);
        if (commands[i]->actions) {
            fprintf(out, "            %s) words=\"", commands[i]->name);
            print_words(commands[i]->actions, " ", out);
            fputs("\"; value=yes ;;\n", out);
        }
        fputs("        esac\n        ;;\n", out);
    }
    fputs("    esac\n"
          "    if [ \"$value\" = no ] && [ \"${current#-}\" != \"$current\" ]; then\n"
          "        words=$options\n"
          "    fi\n"
          "    if [ -n \"$words\" ]; then\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "    else\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _kappatune kappatune\n",
          out);
}

/* ---- Markdown ---- */

/* A vertical bar would end a cell of a table. */
static void print_cell(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|')
            putc('\\', out);
        putc(*text, out);
    }
}

static void print_bounds(const kti_option *row, FILE *out)
{
    if (row->choices)
        print_words(row->choices, ", ", out);
    else if (row->kind == KTI_OPTION_BOOLEAN && row->key)
        fputs("true, false", out);
    else if ((row->kind == KTI_OPTION_INTEGER || row->kind == KTI_OPTION_LONG ||
              row->kind == KTI_OPTION_NUMBER) &&
             isfinite(row->min))
        fprintf(out, isfinite(row->max) && row->max < 9e18 ? "%.10g to %.10g" : "from %.10g", row->min,
                row->max);
}

static void print_flag(const kti_option *row, FILE *out)
{
    fputs("| `", out);
    if (row->letter)
        fprintf(out, "-%c`, `", row->letter);
    fprintf(out, "--%s%s%s` | ", row->flag, row->argument ? " " : "", row->argument ? row->argument : "");
    if (row->argument)
        print_bounds(row, out);
    fputs(" | ", out);
    print_cell(row->help, out);
    fputs(" |\n", out);
}

static void print_key(const kti_option *row, const json_t *defaults, FILE *out)
{
    char *value = json_dumps(json_object_get(defaults, row->key), JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    fprintf(out, "| `%s` | ", row->key);
    print_bounds(row, out);
    fprintf(out, " | %s | ", value ? value : "");
    /* "no-quotient" says the opposite of `quotient`. */
    const bool opposite = row->flag && strncmp(row->flag, "no-", 3) == 0;
    fputs(opposite ? "false: " : "", out);
    print_cell(row->help, out);
    fputs(" |\n", out);
    free(value);
}

void kti_print_options(const kti_command *const *commands, FILE *out)
{
    const kt_train_options sound = kt_train_options_default(KT_SOUND);
    json_t *defaults = kti_keys_to_json(&sound);
    fputs(
        "# Options\n\n"
        "Every command's options and the keys of a recipe, from the tables that the program reads them by:\n"
        "`kappatune help --markdown` writes this file, and a test holds it to them.\n\n"
        "## A recipe's keys\n\n"
        "Of a stage, or of a recipe without stages. Defaults are those of the protocol `sound`; `protocol`\n"
        "`published` has others for `select`, `load_weights`, `fit_target_on_all`, `target_per_data_set` "
        "and\n"
        "`restore_target`.\n\n"
        "| key | values | default | what |\n| --- | --- | --- | --- |\n",
        out);
    for (const kti_option *row = kti_keys; row->kind != KTI_OPTION_END; row++)
        print_key(row, defaults, out);
    for (int i = 0; commands[i]; i++) {
        fprintf(out, "\n## kappatune %s\n\n%c%s.\n\n| option | values | what |\n| --- | --- | --- |\n",
                commands[i]->name, commands[i]->summary[0] - 'a' + 'A', commands[i]->summary + 1);
        for_each_flag(commands[i], print_flag, out);
    }
    json_decref(defaults);
}
