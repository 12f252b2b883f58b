#ifndef KTI_CLI_TRAIN_H
#define KTI_CLI_TRAIN_H

int kti_cli_train(int argc, char **argv);

#endif
