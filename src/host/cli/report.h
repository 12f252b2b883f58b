/* kappatune report */
#ifndef KTI_CLI_REPORT_H
#define KTI_CLI_REPORT_H

int kti_cli_report(int argc, char **argv);

#endif
