/* kappatune evaluate */
#ifndef KTI_CLI_EVALUATE_H
#define KTI_CLI_EVALUATE_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_evaluate(int argc, char **argv);

#endif
