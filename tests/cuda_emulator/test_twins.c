#include "cuda_emulator/test_kernels.cu"
