/* Modules: libraries that are loaded when they are asked for, of the CUDA device and of MPI. */
#ifndef KTI_BASE_MODULE_H
#define KTI_BASE_MODULE_H

/* dlopen of the module `name`, a file's name, with dlopen's `mode`: beside the program or the library that holds this function, or in the
 * library folder beside the program's (bin/../lib). It is looked for nowhere else, neither in LD_LIBRARY_PATH nor in the present
 * folder. NULL where it cannot be loaded, with the reason in *why, valid until the next call; where it is loaded *why says what is wrong
 * if it lacks the symbol that is asked for next. */
void *kti_module_open(const char *name, int mode, const char **why);

#endif
