/* kappatune predict */
#ifndef KTI_CLI_PREDICT_H
#define KTI_CLI_PREDICT_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_predict(int argc, char **argv);

#endif
