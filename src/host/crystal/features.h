/* Physical features of a crystal: named numbers for models that are no network, and for the network's inputs.
 *
 * None of them depends on the choice of the cell, on a rotation or on the order of the sites, and all are
 * finite for every crystal of the 89 elements. "log" is the natural logarithm. "Least" and "most" are the least and the
 * most electronegative element of the crystal (of equal ones the lighter is the least; the same one in an element).
 */
#ifndef KTI_CRYSTAL_FEATURES_H
#define KTI_CRYSTAL_FEATURES_H

#include "crystal/neighbours.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kti_feature {
    KTI_LOG_MEAN_MASS,        /* of the sites, u */
    KTI_LOG_MASS_RATIO,       /* heaviest to lightest site */
    KTI_LOG_VOLUME,           /* of the cell a site, Å^3 */
    KTI_LOG_NEAREST_DISTANCE, /* least distance of two sites, Å; at most 12 */
    KTI_LOG_MEAN_DISTANCE,    /* of a site to its nearest one, mean over the sites, Å; at most 12 */
    KTI_COORDINATION, /* neighbours of a site within 1.15 x its nearest one's distance, mean over the sites */
    KTI_LOG_SITES,    /* of the primitive cell; of more than 512 sites, of the cell as given */
    KTI_ELECTRONEGATIVITY_MEAN,       /* of the sites, Pauling's */
    KTI_ELECTRONEGATIVITY_DIFFERENCE, /* most less least */
    KTI_MIN_ELECTRONEGATIVITY, /* He, Ne and Ar, which Pauling's scale leaves out: of Allred and Rochow */
    KTI_MIN_ROW,
    KTI_MIN_GROUP,
    KTI_MIN_RADIUS, /* pm */
    KTI_MIN_LOG_MASS,
    KTI_MIN_VALENCE, /* kti_element_valence */
    KTI_MAX_ELECTRONEGATIVITY,
    KTI_MAX_ROW,
    KTI_MAX_GROUP,
    KTI_MAX_RADIUS,
    KTI_MAX_LOG_MASS,
    KTI_MAX_VALENCE,
    KTI_MIN_D_ELECTRONS,
    KTI_MIN_ELECTRON_AFFINITY, /* eV */
    KTI_MAX_D_ELECTRONS,
    KTI_LOG_ANION_CHARGE, /* electrons that `most` lacks of a closed shell, in groups 14 to 17 and hydrogen; else 2 */
    KTI_OUTER_ELECTRONS, /* kti_element_outer_electrons, mean over the sites: 8 / 3 or 18 / 3 in half-Heuslers */
    KTI_MIDDLE_ELECTRONEGATIVITY, /* of the crystal's elements, each once, the median; of an even number the mean of both */
    KTI_MIDDLE_ROW,
    /* B = (N / 4) (1971 - 220 I) d^-3.5 GPa with N the coordination (1 .. 12), d the mean distance in Å and
     * I = |valence of most - of least| / 2, at most 3, so that IV-IV is 0, III-V 1, II-VI 2 (M. L. Cohen, Phys. Rev. B
     * 32 (1985) 7988, with N / 4 by A. Y. Liu and M. L. Cohen, Science 245 (1989) 841; meant for tetrahedral semiconductors, an order of
     * magnitude elsewhere). */
    KTI_LOG_BULK_MODULUS,
    /* theta = hbar / k_B (6 pi^2 / V)^(1/3) sqrt(B / rho), K, with V the volume a site */
    KTI_LOG_DEBYE_TEMPERATURE,
    /* kappa = A M theta^3 V^(1/3) / (gamma^2 n^(2/3) T), W/(m K), with A = 3.1e-6, M the mean mass in u, V^(1/3) in Å, n the
     * sites of the primitive cell, gamma = 2, T = 300 K (G. A. Slack, Solid State Phys. 34 (1979) 1) */
    KTI_LOG_SLACK_KAPPA,
    KTI_FEATURES_OF_CRYSTAL
} kti_feature;

/* "log_mean_mass", ...: the key in files. */
const char *kti_feature_name(kti_feature feature);

/* Fills `value` [KTI_FEATURES_OF_CRYSTAL]. `pairs` are those of kti_neighbours_find within `cutoff`; where they do not
 * tell a site's neighbours, a wider search does. The structure has passed kti_graph_create's checks. */
kt_status kti_features_compute(const kt_structure *structure, const kti_lattice *lattice,
                               const kti_pair *pairs, int64_t count, double cutoff, double *value,
                               kt_error *error);

/* ---- inputs of the network ---- */

enum { KTI_STATE_PHYSICS = 9, KTI_NODE_PHYSICS = 6 };

/* Of a crystal, for the state: log mean mass, log mass ratio, log volume, log nearest distance, coordination, log sites,
 * electronegativity difference, log Debye temperature, log Slack kappa. Each less a fixed number and over another (about
 * the mean and the standard deviation over 4,800 crystals of the ICSD), so that nothing is fitted to anybody's data. */
void kti_physics_of_crystal(const double *feature, double out[KTI_STATE_PHYSICS]);

/* Of an element, for a node: electronegativity, row, group, radius, log mass, valence, each standardised over the 89
 * elements. `type` is the embedding's row. */
void kti_physics_of_element(int type, double out[KTI_NODE_PHYSICS]);

/* The names of both, "log_mean_mass ... log_slack_kappa; electronegativity ... valence": how files know them. */
const char *kti_physics_names(void);

#ifdef __cplusplus
}
#endif
#endif
