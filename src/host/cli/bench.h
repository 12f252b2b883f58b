#ifndef KTI_CLI_BENCH_H
#define KTI_CLI_BENCH_H

int kti_cli_bench(int argc, char **argv);

#endif
