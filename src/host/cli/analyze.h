/* kappatune analyze */
#ifndef KTI_CLI_ANALYZE_H
#define KTI_CLI_ANALYZE_H

/* argv[0] is the command's name; returns an exit status (cli/options.h). */
int kti_cli_analyze(int argc, char **argv);

#endif
