#ifndef KTI_CLI_STATUS_H
#define KTI_CLI_STATUS_H

#include "cli/command.h"

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
extern const kti_command kti_status_command;

#endif
