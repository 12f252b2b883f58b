/* kappatune analyze */
#ifndef KTI_CLI_ANALYZE_H
#define KTI_CLI_ANALYZE_H

#include "cli/command.h"

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
extern const kti_command kti_analyze_command;

#endif
