#ifndef KTI_CLI_BENCH_H
#define KTI_CLI_BENCH_H

#include "cli/command.h"

extern const kti_command kti_bench_command;

#endif
