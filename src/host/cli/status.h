#ifndef KTI_CLI_STATUS_H
#define KTI_CLI_STATUS_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_status(int argc, char **argv);

#endif
