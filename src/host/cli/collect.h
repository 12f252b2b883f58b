#ifndef KTI_CLI_COLLECT_H
#define KTI_CLI_COLLECT_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_collect(int argc, char **argv);

#endif
