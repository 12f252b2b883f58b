#ifndef KTI_CLI_COMPARE_H
#define KTI_CLI_COMPARE_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_compare(int argc, char **argv);

#endif
