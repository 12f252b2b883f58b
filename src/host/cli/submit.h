#ifndef KTI_CLI_SUBMIT_H
#define KTI_CLI_SUBMIT_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_submit(int argc, char **argv);

#endif
