/* Which elements a data set holds, on the periodic table. */
#ifndef KTI_REPORT_PERIODIC_H
#define KTI_REPORT_PERIODIC_H

#include "base/text.h"
#include "crystal/elements.h"

/* Adds the table as SVG: count[1 .. KTI_ATOMIC_NUMBERS] is how many crystals hold the element, and colours its cell; a cell with a
 * dashed edge is of an element that the network does not know. */
void kti_periodic_add(kti_text *html, const int count[KTI_ATOMIC_NUMBERS + 1], const char *caption);

#endif
