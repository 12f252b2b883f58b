/* kappatune calibrate */
#ifndef KTI_CLI_CALIBRATE_H
#define KTI_CLI_CALIBRATE_H

#include "cli/command.h"

extern const kti_command kti_calibrate_command;

#endif
