/* kappatune calibrate */
#ifndef KTI_CLI_CALIBRATE_H
#define KTI_CLI_CALIBRATE_H

int kti_cli_calibrate(int argc, char **argv);

#endif
