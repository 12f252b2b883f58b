/* Chemical elements: symbols, and the fixed list of 89 that the network knows. */
#ifndef KTI_CRYSTAL_ELEMENTS_H
#define KTI_CRYSTAL_ELEMENTS_H

#ifdef __cplusplus
extern "C" {
#endif

enum { KTI_ELEMENT_TYPES = 89, KTI_ATOMIC_NUMBERS = 118 };

/* Symbol of atomic number 1..118; NULL outside. */
const char *kti_element_symbol(int atomic_number);

/* Atomic number of a symbol written exactly ("Na"); 0 if there is none. */
int kti_element_number(const char *symbol);

/* Row 0..88 of the embedding (spec: H .. Pu without Po At Rn Fr Ra); -1 if the network does not know it. */
int kti_element_type(int atomic_number);

/* Pauling electronegativity; 0 where none is tabulated. */
double kti_element_electronegativity(int atomic_number);

#ifdef __cplusplus
}
#endif
#endif
