/* kappatune reproduce */
#ifndef KTI_CLI_REPRODUCE_H
#define KTI_CLI_REPRODUCE_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_reproduce(int argc, char **argv);

#endif
