/* Chemical formulae, a term at a time. */
#ifndef KTI_DATA_FORMULA_H
#define KTI_DATA_FORMULA_H

#include <stdbool.h>

/* Reads one element and its count ("O3", "Na", "Se12"; at most 9999) at *cursor and moves it on; false if none stands
 * there. */
bool kti_formula_term(const char **cursor, int *atomic_number, int *count);

#endif
