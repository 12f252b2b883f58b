#include "crystal/elements.h"

#include <string.h>

/* Electronegativity: Pauling's scale as tabulated in the CRC Handbook; 0 where it has no value. Pm, Eu, Tb and Yb,
 * which it leaves out, have the estimates in common use, so that a formula puts them with their neighbours.
 * Mass (u): the abridged standard atomic weights of IUPAC (2021), of the longest-lived isotope where there is none.
 * Radius (pm): the empirical one of Slater (J. Chem. Phys. 41 (1964) 3199); for the noble gases, At and Fr, which
 * he leaves out, the covalent one of Cordero et al. (Dalton Trans. (2008) 2832).
 * Affinity (eV): of the atom for an electron, as reviewed by Ning and Lu (J. Phys. Chem. Ref. Data 51 (2022) 021502); where
 * the anion isn't stable, the estimate of Bratsch and Lagowski (Polyhedron 5 (1986) 1763); 0 where neither has one.
 * d electrons: of the d shell below the outermost shell, in the atom's ground state. Nothing above plutonium. */
static const struct element {
    char symbol[3];
    double electronegativity, mass, radius, affinity;
    int d_electrons;
} elements[KTI_ATOMIC_NUMBERS] = {{"H", 2.20, 1.008, 25, 0.754, 0},
                                  {"He", 0, 4.0026, 28, -0.5, 0},
                                  {"Li", 0.98, 6.94, 145, 0.618, 0},
                                  {"Be", 1.57, 9.0122, 105, -0.5, 0},
                                  {"B", 2.04, 10.81, 85, 0.280, 0},
                                  {"C", 2.55, 12.011, 70, 1.262, 0},
                                  {"N", 3.04, 14.007, 65, -0.07, 0},
                                  {"O", 3.44, 15.999, 60, 1.461, 0},
                                  {"F", 3.98, 18.998, 50, 3.401, 0},
                                  {"Ne", 0, 20.180, 58, -1.2, 0},
                                  {"Na", 0.93, 22.990, 180, 0.548, 0},
                                  {"Mg", 1.31, 24.305, 150, -0.4, 0},
                                  {"Al", 1.61, 26.982, 125, 0.433, 0},
                                  {"Si", 1.90, 28.085, 110, 1.390, 0},
                                  {"P", 2.19, 30.974, 100, 0.747, 0},
                                  {"S", 2.58, 32.06, 100, 2.077, 0},
                                  {"Cl", 3.16, 35.45, 100, 3.613, 0},
                                  {"Ar", 0, 39.95, 106, -1, 0},
                                  {"K", 0.82, 39.098, 220, 0.501, 0},
                                  {"Ca", 1.00, 40.078, 180, 0.025, 0},
                                  {"Sc", 1.36, 44.956, 160, 0.188, 1},
                                  {"Ti", 1.54, 47.867, 140, 0.079, 2},
                                  {"V", 1.63, 50.942, 135, 0.525, 3},
                                  {"Cr", 1.66, 51.996, 140, 0.666, 5},
                                  {"Mn", 1.55, 54.938, 140, -0.5, 5},
                                  {"Fe", 1.83, 55.845, 140, 0.151, 6},
                                  {"Co", 1.88, 58.933, 135, 0.662, 7},
                                  {"Ni", 1.91, 58.693, 135, 1.156, 8},
                                  {"Cu", 1.90, 63.546, 135, 1.235, 10},
                                  {"Zn", 1.65, 65.38, 135, -0.6, 10},
                                  {"Ga", 1.81, 69.723, 130, 0.430, 10},
                                  {"Ge", 2.01, 72.630, 125, 1.233, 10},
                                  {"As", 2.18, 74.922, 115, 0.804, 10},
                                  {"Se", 2.55, 78.971, 115, 2.021, 10},
                                  {"Br", 2.96, 79.904, 115, 3.364, 10},
                                  {"Kr", 3.00, 83.798, 116, -1, 10},
                                  {"Rb", 0.82, 85.468, 235, 0.486, 0},
                                  {"Sr", 0.95, 87.62, 200, 0.048, 0},
                                  {"Y", 1.22, 88.906, 180, 0.307, 1},
                                  {"Zr", 1.33, 91.224, 155, 0.426, 2},
                                  {"Nb", 1.6, 92.906, 145, 0.917, 4},
                                  {"Mo", 2.16, 95.95, 145, 0.748, 5},
                                  {"Tc", 1.9, 97, 135, 0.550, 5},
                                  {"Ru", 2.2, 101.07, 130, 1.050, 7},
                                  {"Rh", 2.28, 102.91, 135, 1.137, 8},
                                  {"Pd", 2.20, 106.42, 140, 0.562, 10},
                                  {"Ag", 1.93, 107.87, 160, 1.302, 10},
                                  {"Cd", 1.69, 112.41, 155, -0.7, 10},
                                  {"In", 1.78, 114.82, 155, 0.300, 10},
                                  {"Sn", 1.96, 118.71, 145, 1.112, 10},
                                  {"Sb", 2.05, 121.76, 145, 1.046, 10},
                                  {"Te", 2.1, 127.60, 140, 1.971, 10},
                                  {"I", 2.66, 126.90, 140, 3.059, 10},
                                  {"Xe", 2.6, 131.29, 140, -0.8, 10},
                                  {"Cs", 0.79, 132.91, 260, 0.472, 0},
                                  {"Ba", 0.89, 137.33, 215, 0.145, 0},
                                  {"La", 1.10, 138.91, 195, 0.558, 1},
                                  {"Ce", 1.12, 140.12, 185, 0.6, 1},
                                  {"Pr", 1.13, 140.91, 185, 0.109, 0},
                                  {"Nd", 1.14, 144.24, 185, 0.097, 0},
                                  {"Pm", 1.13, 145, 185, 0.129, 0},
                                  {"Sm", 1.17, 150.36, 185, 0.162, 0},
                                  {"Eu", 1.2, 151.96, 185, 0.116, 0},
                                  {"Gd", 1.20, 157.25, 180, 0.212, 1},
                                  {"Tb", 1.2, 158.93, 175, 0.131, 0},
                                  {"Dy", 1.22, 162.50, 175, 0.015, 0},
                                  {"Ho", 1.23, 164.93, 175, 0.338, 0},
                                  {"Er", 1.24, 167.26, 175, 0.312, 0},
                                  {"Tm", 1.25, 168.93, 175, 1.029, 0},
                                  {"Yb", 1.1, 173.05, 175, -0.02, 0},
                                  {"Lu", 1.27, 174.97, 175, 0.239, 1},
                                  {"Hf", 1.3, 178.49, 155, 0.178, 2},
                                  {"Ta", 1.5, 180.95, 145, 0.329, 3},
                                  {"W", 2.36, 183.84, 135, 0.816, 4},
                                  {"Re", 1.9, 186.21, 135, 0.06, 5},
                                  {"Os", 2.2, 190.23, 130, 1.078, 6},
                                  {"Ir", 2.20, 192.22, 135, 1.564, 7},
                                  {"Pt", 2.28, 195.08, 135, 2.128, 9},
                                  {"Au", 2.54, 196.97, 135, 2.309, 10},
                                  {"Hg", 2.00, 200.59, 150, -0.5, 10},
                                  {"Tl", 1.62, 204.38, 190, 0.32, 10},
                                  {"Pb", 2.33, 207.2, 180, 0.357, 10},
                                  {"Bi", 2.02, 208.98, 160, 0.942, 10},
                                  {"Po", 2.0, 209, 190, 1.900, 10},
                                  {"At", 2.2, 210, 150, 2.800, 10},
                                  {"Rn", 0, 222, 150, 0.000, 10},
                                  {"Fr", 0.7, 223, 260, 0.486, 0},
                                  {"Ra", 0.9, 226, 215, 0.100, 0},
                                  {"Ac", 1.1, 227, 195, 0.35, 1},
                                  {"Th", 1.3, 232.04, 180, 0.608, 2},
                                  {"Pa", 1.5, 231.04, 180, 0.55, 1},
                                  {"U", 1.38, 238.03, 175, 0.315, 1},
                                  {"Np", 1.36, 237, 175, 0.48, 1},
                                  {"Pu", 1.28, 244, 175, -0.5, 0},
                                  {"Am", 1.3, 0, 0, 0, 0},
                                  {"Cm", 1.3, 0, 0, 0, 0},
                                  {"Bk", 1.3, 0, 0, 0, 0},
                                  {"Cf", 1.3, 0, 0, 0, 0},
                                  {"Es", 1.3, 0, 0, 0, 0},
                                  {"Fm", 1.3, 0, 0, 0, 0},
                                  {"Md", 1.3, 0, 0, 0, 0},
                                  {"No", 1.3, 0, 0, 0, 0},
                                  {"Lr", 1.3, 0, 0, 0, 0},
                                  {"Rf", 0, 0, 0, 0, 0},
                                  {"Db", 0, 0, 0, 0, 0},
                                  {"Sg", 0, 0, 0, 0, 0},
                                  {"Bh", 0, 0, 0, 0, 0},
                                  {"Hs", 0, 0, 0, 0, 0},
                                  {"Mt", 0, 0, 0, 0, 0},
                                  {"Ds", 0, 0, 0, 0, 0},
                                  {"Rg", 0, 0, 0, 0, 0},
                                  {"Cn", 0, 0, 0, 0, 0},
                                  {"Nh", 0, 0, 0, 0, 0},
                                  {"Fl", 0, 0, 0, 0, 0},
                                  {"Mc", 0, 0, 0, 0, 0},
                                  {"Lv", 0, 0, 0, 0, 0},
                                  {"Ts", 0, 0, 0, 0, 0},
                                  {"Og", 0, 0, 0, 0, 0}};

enum { POLONIUM = 84, RADIUM = 88, PLUTONIUM = 94 };

const char *kti_element_symbol(int atomic_number)
{
    return atomic_number >= 1 && atomic_number <= KTI_ATOMIC_NUMBERS ? elements[atomic_number - 1].symbol
                                                                     : NULL;
}

int kti_element_number(const char *symbol)
{
    for (int i = 0; i < KTI_ATOMIC_NUMBERS; i++)
        if (strcmp(elements[i].symbol, symbol) == 0)
            return i + 1;
    return 0;
}

int kti_element_type(int atomic_number)
{
    if (atomic_number < 1 || atomic_number > PLUTONIUM ||
        (atomic_number >= POLONIUM && atomic_number <= RADIUM))
        return -1;
    return atomic_number < POLONIUM ? atomic_number - 1 : atomic_number - 1 - (RADIUM - POLONIUM + 1);
}

double kti_element_electronegativity(int atomic_number)
{
    return kti_element_symbol(atomic_number) ? elements[atomic_number - 1].electronegativity : 0;
}

/* The noble gases that close the rows; row r holds the atomic numbers (closed[r - 1], closed[r]]. */
static const int closed[] = {0, 2, 10, 18, 36, 54, 86, KTI_ATOMIC_NUMBERS};

int kti_element_row(int atomic_number)
{
    int row = 0;
    while (kti_element_symbol(atomic_number) && atomic_number > closed[row])
        row++;
    return row;
}

int kti_element_group(int atomic_number)
{
    const int row = kti_element_row(atomic_number);
    if (row == 0)
        return 0;
    const int place = atomic_number - closed[row - 1], length = closed[row] - closed[row - 1];
    if (place <= 2 && atomic_number != 2)
        return place;
    /* From the right the rows agree, up to the d shell; the f shell is before it. */
    const int group = 18 - (length - place);
    return group < 3 ? 3 : group;
}

int kti_element_valence(int atomic_number)
{
    enum { EUROPIUM = 63, YTTERBIUM = 70 };
    const int group = kti_element_group(atomic_number);
    if (atomic_number == EUROPIUM || atomic_number == YTTERBIUM)
        return 2;
    if (group == 18)
        return 0;
    if (group >= 12)
        return group - 10;
    return group > 6 ? 12 - group : group;
}

double kti_element_mass(int atomic_number)
{
    return kti_element_symbol(atomic_number) ? elements[atomic_number - 1].mass : 0;
}

double kti_element_radius(int atomic_number)
{
    return kti_element_symbol(atomic_number) ? elements[atomic_number - 1].radius : 0;
}

double kti_element_electron_affinity(int atomic_number)
{
    return kti_element_symbol(atomic_number) ? elements[atomic_number - 1].affinity : 0;
}

int kti_element_d_electrons(int atomic_number)
{
    return kti_element_symbol(atomic_number) ? elements[atomic_number - 1].d_electrons : 0;
}

int kti_element_outer_electrons(int atomic_number)
{
    const int group = kti_element_group(atomic_number);
    return atomic_number == 2 ? 2 : group > 12 ? group - 10 : group;
}
