#include "crystal/features.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/elements.h"

static const double FARTHEST = 12;    /* Å; a site without a neighbour within it has one there */
static const double SHELL = 1.15;     /* bcc's second shell, at 1.155, is outside */
static const double TOLERANCE = 0.01; /* Å; of a translation that leaves the crystal as it is */
static const int64_t MAX_PAIRS = 4000000;

enum { MAX_REDUCED = 512 }; /* sites; the search for translations takes the cube of them at worst */

const char *kti_feature_name(kti_feature feature)
{
    static const char *const names[KTI_FEATURES_OF_CRYSTAL] = {
        "log_mean_mass",
        "log_mass_ratio",
        "log_volume",
        "log_nearest_distance",
        "log_mean_distance",
        "coordination",
        "log_sites",
        "electronegativity_mean",
        "electronegativity_difference",
        "least_electronegativity",
        "least_row",
        "least_group",
        "least_radius",
        "least_log_mass",
        "least_valence",
        "most_electronegativity",
        "most_row",
        "most_group",
        "most_radius",
        "most_log_mass",
        "most_valence",
        "least_d_electrons",
        "least_electron_affinity",
        "most_d_electrons",
        "log_anion_charge",
        "outer_electrons",
        "middle_electronegativity",
        "middle_row",
        "log_bulk_modulus",
        "log_debye_temperature",
        "log_slack_kappa",
    };
    return names[feature];
}

/* Allred and Rochow's where Pauling has none (J. Inorg. Nucl. Chem. 5 (1958) 264). */
static double electronegativity(int atomic_number)
{
    switch (atomic_number) {
    case 2: return 5.50;
    case 10: return 4.84;
    case 18: return 3.20;
    default: return kti_element_electronegativity(atomic_number);
    }
}

/* ---- neighbours ---- */

typedef struct surroundings {
    double min, mean; /* distance to the nearest site, Å */
    double coordination;
} surroundings;

/* Each site's nearest distance; INFINITY where the pairs do not tell. Returns the greatest. */
static double find_nearest(int sites, const kti_pair *pairs, int64_t count, double *nearest)
{
    double max = 0;
    for (int s = 0; s < sites; s++)
        nearest[s] = INFINITY;
    for (int64_t p = 0; p < count; p++) {
        const kti_pair *pair = &pairs[p];
        if (pair->distance < nearest[pair->first])
            nearest[pair->first] = pair->distance;
        if (pair->distance < nearest[pair->second])
            nearest[pair->second] = pair->distance;
    }
    for (int s = 0; s < sites; s++)
        max = fmax(max, nearest[s]);
    return max;
}

static int is_neighbour(double distance, double nearest)
{
    return nearest <= FARTHEST && distance <= SHELL * nearest;
}

static void summarise(int sites, const kti_pair *pairs, int64_t count, const double *nearest,
                      surroundings *out)
{
    int64_t neighbours = 0;
    double sum = 0, min = FARTHEST;
    for (int64_t p = 0; p < count; p++) {
        neighbours += is_neighbour(pairs[p].distance, nearest[pairs[p].first]);
        neighbours += is_neighbour(pairs[p].distance, nearest[pairs[p].second]);
    }
    for (int s = 0; s < sites; s++) {
        min = fmin(min, nearest[s]);
        sum += fmin(nearest[s], FARTHEST);
    }
    *out = (surroundings){min, sum / sites, (double)neighbours / sites};
}

static kt_status survey(const kt_structure *structure, const kti_lattice *lattice, const kti_pair *pairs,
                        int64_t count, double cutoff, surroundings *out, kt_error *error)
{
    kt_status status = KT_OK;
    const int sites = structure->sites;
    kti_pair *wider = NULL;
    int64_t wider_count = 0;
    double *nearest = kti_allocate((size_t)sites, sizeof *nearest);
    if (!nearest)
        return kti_fail_memory(error, "a crystal's features");
    if (SHELL * find_nearest(sites, pairs, count, nearest) > cutoff) {
        status = kti_neighbours_find(lattice, (const double(*)[3])structure->fractional, sites, 1e-8,
                                     SHELL * FARTHEST, MAX_PAIRS, &wider, &wider_count, error);
        if (status != KT_OK)
            goto done;
        if (wider_count <= MAX_PAIRS) { /* else a crystal of many thousand sites keeps what is known */
            pairs = wider;
            count = wider_count;
            find_nearest(sites, pairs, count, nearest);
        }
    }
    summarise(sites, pairs, count, nearest, out);
done:
    free(wider);
    free(nearest);
    return status;
}

/* ---- the primitive cell ---- */

/* Sites [0, 1), and how far apart fractional coordinates of one place may be along each vector. */
typedef struct places {
    const kt_structure *structure;
    double (*at)[3];
    double slack[3];
} places;

/* Whether two sites, `shift` apart but for lattice vectors, are one. */
static int coincide(const places *p, int from, const double *shift, int to)
{
    const double(*lattice)[3] = (const double(*)[3])p->structure->lattice;
    double away[3], square = 0;
    for (int k = 0; k < 3; k++) {
        away[k] = p->at[to][k] - p->at[from][k] - shift[k];
        away[k] -= (int)(away[k] + 2.5) - 2; /* of (-2, 1]; to the nearest lattice vector */
        if (fabs(away[k]) > p->slack[k])
            return 0;
    }
    for (int k = 0; k < 3; k++) {
        const double x = away[0] * lattice[0][k] + away[1] * lattice[1][k] + away[2] * lattice[2][k];
        square += x * x;
    }
    return square <= TOLERANCE * TOLERANCE;
}

static int is_translation(const places *p, const double *shift)
{
    const kt_structure *s = p->structure;
    for (int a = 0; a < s->sites; a++) {
        int found = 0;
        for (int b = 0; b < s->sites && !found; b++)
            found = s->atomic_number[a] == s->atomic_number[b] && coincide(p, a, shift, b);
        if (!found)
            return 0;
    }
    return 1;
}

static int greatest_divisor(int a, int b)
{
    while (b != 0) {
        const int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Translations that map the crystal onto itself take a site of the rarest element to others of it; their number divides
 * that of the sites of every element. */
static kt_status count_primitive(const kt_structure *s, double *sites, kt_error *error)
{
    int count[KTI_ATOMIC_NUMBERS + 1] = {0}, rarest = 0, divisor = 0, translations = 1;
    *sites = s->sites;
    for (int a = 0; a < s->sites; a++)
        count[s->atomic_number[a]]++;
    for (int a = 0; a < s->sites; a++) {
        divisor = greatest_divisor(divisor, count[s->atomic_number[a]]);
        if (count[s->atomic_number[a]] < count[s->atomic_number[rarest]])
            rarest = a;
    }
    if (divisor == 1 || s->sites > MAX_REDUCED)
        return KT_OK;
    places p = {.structure = s, .at = kti_allocate((size_t)s->sites, sizeof *p.at)};
    if (!p.at)
        return kti_fail_memory(error, "a crystal's features");
    for (int k = 0; k < 3; k++) {
        const double *u = s->lattice[(k + 1) % 3], *v = s->lattice[(k + 2) % 3];
        const double normal[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2],
                                  u[0] * v[1] - u[1] * v[0]};
        const double area = sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
        p.slack[k] = TOLERANCE * area / fabs(kti_lattice_volume((const double(*)[3])s->lattice));
        for (int a = 0; a < s->sites; a++)
            p.at[a][k] = s->fractional[a][k] - floor(s->fractional[a][k]);
    }
    for (int a = 0; a < s->sites; a++) {
        double shift[3];
        if (a == rarest || s->atomic_number[a] != s->atomic_number[rarest])
            continue;
        for (int k = 0; k < 3; k++) {
            shift[k] = p.at[a][k] - p.at[rarest][k];
            shift[k] += shift[k] < 0; /* [0, 1): so that a difference of sites less it is above -2 */
        }
        translations += is_translation(&p, shift);
    }
    *sites = (double)s->sites / translations;
    free(p.at);
    return KT_OK;
}

/* ---- the features ---- */

static void describe_element(int atomic_number, double *value)
{
    value[0] = electronegativity(atomic_number);
    value[1] = kti_element_row(atomic_number);
    value[2] = kti_element_group(atomic_number);
    value[3] = kti_element_radius(atomic_number);
    value[4] = log(kti_element_mass(atomic_number));
    value[5] = kti_element_valence(atomic_number);
}

/* Whether a is less electronegative than b. */
static int is_less(int a, int b)
{
    const double left = electronegativity(a), right = electronegativity(b);
    return left != right ? left < right : a < b;
}

/* Electrons that an anion lacks of a closed shell. */
static double anion_charge(int atomic_number)
{
    const int group = kti_element_group(atomic_number);
    if (atomic_number == 1)
        return 1;
    return group >= 14 && group <= 17 ? 18 - group : 2;
}

/* The elements in between: `middle` [2] are the two (maybe one and the same) in the middle of the crystal's elements,
 * ordered by electronegativity. */
static void find_middle(const kt_structure *s, int middle[2])
{
    int present[KTI_ATOMIC_NUMBERS], count = 0;
    for (int a = 0; a < s->sites; a++) {
        const int number = s->atomic_number[a];
        int at = 0;
        while (at < count && is_less(present[at], number))
            at++;
        if (at < count && present[at] == number)
            continue;
        for (int i = count++; i > at; i--)
            present[i] = present[i - 1];
        present[at] = number;
    }
    middle[0] = present[(count - 1) / 2];
    middle[1] = present[count / 2];
}

static void describe_elements(const kt_structure *s, double *value)
{
    int min = s->atomic_number[0], max = min, middle[2];
    double mass = 0, sum = 0, electrons = 0, lightest = INFINITY, heaviest = 0;
    for (int a = 0; a < s->sites; a++) {
        const int number = s->atomic_number[a];
        const double own = kti_element_mass(number);
        mass += own;
        sum += electronegativity(number);
        electrons += kti_element_outer_electrons(number);
        lightest = fmin(lightest, own);
        heaviest = fmax(heaviest, own);
        if (is_less(number, min))
            min = number;
        if (is_less(max, number))
            max = number;
    }
    value[KTI_LOG_MEAN_MASS] = log(mass / s->sites);
    value[KTI_LOG_MASS_RATIO] = log(heaviest / lightest);
    value[KTI_ELECTRONEGATIVITY_MEAN] = sum / s->sites;
    value[KTI_ELECTRONEGATIVITY_DIFFERENCE] = electronegativity(max) - electronegativity(min);
    describe_element(min, value + KTI_MIN_ELECTRONEGATIVITY);
    describe_element(max, value + KTI_MAX_ELECTRONEGATIVITY);
    find_middle(s, middle);
    value[KTI_MIN_D_ELECTRONS] = kti_element_d_electrons(min);
    value[KTI_MIN_ELECTRON_AFFINITY] = kti_element_electron_affinity(min);
    value[KTI_MAX_D_ELECTRONS] = kti_element_d_electrons(max);
    value[KTI_LOG_ANION_CHARGE] = log(anion_charge(max));
    value[KTI_OUTER_ELECTRONS] = electrons / s->sites;
    value[KTI_MIDDLE_ELECTRONEGATIVITY] = (electronegativity(middle[0]) + electronegativity(middle[1])) / 2;
    value[KTI_MIDDLE_ROW] = (kti_element_row(middle[0]) + kti_element_row(middle[1])) / 2.0;
}

/* Stiffness, Debye temperature, Slack's kappa, from the others. */
static void estimate(double *value)
{
    const double unit = 1.66053906660e-27, hbar = 1.054571817e-34, boltzmann = 1.380649e-23, pi = acos(-1);
    const double gamma = 2, temperature = 300, slack = 3.1e-6;
    const double volume = exp(value[KTI_LOG_VOLUME]), mass = exp(value[KTI_LOG_MEAN_MASS]);
    const double distance = exp(value[KTI_LOG_MEAN_DISTANCE]);
    const double neighbours = fmin(fmax(value[KTI_COORDINATION], 1), 12);
    const double ionicity = fmin(fabs(value[KTI_MAX_VALENCE] - value[KTI_MIN_VALENCE]) / 2, 3);
    const double modulus = neighbours / 4 * (1971 - 220 * ionicity) * pow(distance, -3.5);
    const double density = mass * unit / (volume * 1e-30), velocity = sqrt(modulus * 1e9 / density);
    const double debye = hbar / boltzmann * cbrt(6 * pi * pi / volume) * 1e10 * velocity;
    const double sites = exp(value[KTI_LOG_SITES]);
    value[KTI_LOG_BULK_MODULUS] = log(modulus);
    value[KTI_LOG_DEBYE_TEMPERATURE] = log(debye);
    value[KTI_LOG_SLACK_KAPPA] = log(slack * mass * pow(debye, 3) * cbrt(volume) /
                                     (gamma * gamma * pow(sites, 2.0 / 3) * temperature));
}

kt_status kti_features_compute(const kt_structure *structure, const kti_lattice *lattice,
                               const kti_pair *pairs, int64_t count, double cutoff, double *value,
                               kt_error *error)
{
    surroundings around = {0};
    double sites = 0;
    kt_status status = survey(structure, lattice, pairs, count, cutoff, &around, error);
    if (status == KT_OK)
        status = count_primitive(structure, &sites, error);
    if (status != KT_OK)
        return status;
    describe_elements(structure, value);
    value[KTI_LOG_VOLUME] =
        log(fabs(kti_lattice_volume((const double(*)[3])structure->lattice)) / structure->sites);
    value[KTI_LOG_NEAREST_DISTANCE] = log(around.min);
    value[KTI_LOG_MEAN_DISTANCE] = log(around.mean);
    value[KTI_COORDINATION] = around.coordination;
    value[KTI_LOG_SITES] = log(sites);
    estimate(value);
    return KT_OK;
}

/* ---- inputs of the network ---- */

void kti_physics_of_crystal(const double *feature, double out[KTI_STATE_PHYSICS])
{
    static const struct {
        kti_feature feature;
        double mean, sd;
    } inputs[KTI_STATE_PHYSICS] = {
        {KTI_LOG_MEAN_MASS, 4.35, 0.6},
        {KTI_LOG_MASS_RATIO, 1.35, 0.9},
        {KTI_LOG_VOLUME, 2.9, 0.35},
        {KTI_LOG_NEAREST_DISTANCE, 0.9, 0.2},
        {KTI_COORDINATION, 6.5, 2.5},
        {KTI_LOG_SITES, 2, 0.8},
        {KTI_ELECTRONEGATIVITY_DIFFERENCE, 1.1, 0.7},
        {KTI_LOG_DEBYE_TEMPERATURE, 6, 0.4},
        {KTI_LOG_SLACK_KAPPA, 2.3, 0.75},
    };
    for (int i = 0; i < KTI_STATE_PHYSICS; i++)
        out[i] = (feature[inputs[i].feature] - inputs[i].mean) / inputs[i].sd;
}

void kti_physics_of_element(int type, double out[KTI_NODE_PHYSICS])
{
    double sum[KTI_NODE_PHYSICS] = {0}, squares[KTI_NODE_PHYSICS] = {0};
    for (int number = 1; number <= KTI_ATOMIC_NUMBERS; number++) {
        double value[KTI_NODE_PHYSICS];
        if (kti_element_type(number) < 0)
            continue;
        describe_element(number, value);
        for (int i = 0; i < KTI_NODE_PHYSICS; i++) {
            sum[i] += value[i];
            squares[i] += value[i] * value[i];
            if (kti_element_type(number) == type)
                out[i] = value[i];
        }
    }
    for (int i = 0; i < KTI_NODE_PHYSICS; i++) {
        const double mean = sum[i] / KTI_ELEMENT_TYPES;
        out[i] = (out[i] - mean) / sqrt(squares[i] / KTI_ELEMENT_TYPES - mean * mean);
    }
}

const char *kti_physics_names(void)
{
    return "log_mean_mass log_mass_ratio log_volume log_nearest_distance coordination log_sites "
           "electronegativity_difference log_debye_temperature log_slack_kappa; electronegativity row group "
           "radius log_mass valence";
}
