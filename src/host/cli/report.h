/* kappatune report */
#ifndef KTI_CLI_REPORT_H
#define KTI_CLI_REPORT_H

#include "cli/command.h"

extern const kti_command kti_report_command;

#endif
