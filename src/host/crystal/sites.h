/* From the sites that a reader found to a checked crystal. */
#ifndef KTI_CRYSTAL_SITES_H
#define KTI_CRYSTAL_SITES_H

#include <stddef.h>
#include <stdint.h>

#include "crystal/text.h"
#include <kappatune/structure.h>

enum { KTI_MAX_SITES = 20000 };

typedef struct kti_site {
    int atomic_number;
    double fractional[3];
    int64_t line;   /* of the file; 0 if not known */
    char label[24]; /* "Na1", or "" */
} kti_site;

typedef struct kti_sites {
    kti_site *sites; /* owned */
    size_t count, capacity;
} kti_sites;

/* Adds a site. KT_BAD_CRYSTAL beyond 20,000 and for coordinates that are not finite or beyond 1e6 cells. */
kt_status kti_sites_add(kti_sites *sites, const kti_site *site, const char *file, kt_error *error);
void kti_sites_destroy(kti_sites *sites);

/* Atomic number of "Na", "na", "NA", "Na1+", "O2-", "D": an element symbol, then nothing but a charge. 0 if
 * it is none. */
int kti_element_of_symbol(kti_slice text);

/* Atomic number of a site's label such as "Na1", "O_2", "OW1". 0 if it is none, -1 if it may be read as two
 * elements
 * ("CA1": C or Ca). */
int kti_element_of_label(kti_slice text);

/* Makes the structure out of the sites: at least one, none closer to another than 0.1 Å, a usable lattice.
 * Errors name `file`, line and sites. The structure is the caller's. */
kt_status kti_structure_make(const double lattice[3][3], const kti_sites *sites, const char *file,
                             kt_structure *structure, kt_error *error);

#endif
