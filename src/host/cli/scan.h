/* kappatune scan */
#ifndef KTI_CLI_SCAN_H
#define KTI_CLI_SCAN_H

/* argv[0] is the command's name; returns the program's exit status. */
int kti_cli_scan(int argc, char **argv);

#endif
