/* kappatune scan */
#ifndef KTI_CLI_SCAN_H
#define KTI_CLI_SCAN_H

#include "cli/command.h"

extern const kti_command kti_scan_command;

#endif
