/* What the tables of options tell other programs and readers: completion for a shell, and docs/options.md. */
#ifndef KTI_CLI_DESCRIBE_H
#define KTI_CLI_DESCRIBE_H

#include "cli/command.h"

/* A script for bash: commands, their actions, options, choices and files. `commands` ends with NULL. */
void kti_print_completion(const kti_command *const *commands, FILE *out);

/* Every command's options, and the keys of a recipe, as Markdown. */
void kti_print_options(const kti_command *const *commands, FILE *out);

#endif
