#ifndef KTI_CLI_TRAIN_H
#define KTI_CLI_TRAIN_H

#include "cli/command.h"

extern const kti_command kti_train_command;

#endif
