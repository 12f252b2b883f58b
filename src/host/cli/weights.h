/* kappatune weights */
#ifndef KTI_CLI_WEIGHTS_H
#define KTI_CLI_WEIGHTS_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_weights(int argc, char **argv);

#endif
