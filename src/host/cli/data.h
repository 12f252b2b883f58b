/* kappatune data */
#ifndef KTI_CLI_DATA_H
#define KTI_CLI_DATA_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_data(int argc, char **argv);

#endif
