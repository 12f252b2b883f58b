/* Numbers in text, whatever the locale of the program is (strtod would read "1,5" under a German one). */
#ifndef KTI_CRYSTAL_NUMBER_H
#define KTI_CRYSTAL_NUMBER_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a decimal number at `text`, at most to `end`; a leading '+' is fine, blanks are not. Returns the
 * place after it, NULL if no number starts there. A number too large for a double comes out as an infinity.
 */
const char *kti_number_prefix(const char *text, const char *end, double *value);

/* The whole of [text, end) is one finite number? */
bool kti_number_read(const char *text, const char *end, double *value);

#ifdef __cplusplus
}
#endif
#endif
