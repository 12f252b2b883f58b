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

/* Row 0..88 of the embedding (H .. Pu without Po At Rn Fr Ra; docs/method.md, section 1); -1 if the network does not know it. */
int kti_element_type(int atomic_number);

/* Pauling electronegativity; 0 where none is tabulated. */
double kti_element_electronegativity(int atomic_number);

/* Row (period) 1..7 and group 1..18 of the periodic table; all lanthanides and actinides are in group 3, helium in
 * 18. 0 for what is no element. */
int kti_element_row(int atomic_number);
int kti_element_group(int atomic_number);

/* Electrons (or holes) of an atom that bond: its s and p electrons; in the d block those that fill the bonding half of
 * the band, 3 4 5 6 5 4 3 2 1 2 from scandium's group to zinc's (Friedel's model); 3 for lanthanides and actinides,
 * but 2 for Eu and Yb; 0 for noble gases. */
int kti_element_valence(int atomic_number);

/* Atomic weight, u, and atomic radius, pm; 0 above plutonium. */
double kti_element_mass(int atomic_number);
double kti_element_radius(int atomic_number);

/* What an atom's binding of one more electron releases, eV; 0 above plutonium. */
double kti_element_electron_affinity(int atomic_number);

/* Electrons of the d shell below the outermost shell, in the ground state: 10 for Cu, Zn and Ga, 0 for Ca. */
int kti_element_d_electrons(int atomic_number);

/* Electrons outside the closed shells, as one counts them for half-Heusler compounds: the group in the d block, 3 for
 * lanthanides and actinides, the s and p electrons elsewhere. */
int kti_element_outer_electrons(int atomic_number);

#ifdef __cplusplus
}
#endif
#endif
