/* What of a CIF file makes a crystal, as pieces of its text. */
#ifndef KTI_CRYSTAL_CIF_FIELDS_H
#define KTI_CRYSTAL_CIF_FIELDS_H

#include <stdbool.h>

#include "crystal/text.h"
#include <kappatune/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kti_cif_tag {
    KTI_CIF_LENGTH_A,
    KTI_CIF_LENGTH_B,
    KTI_CIF_LENGTH_C,
    KTI_CIF_ANGLE_ALPHA,
    KTI_CIF_ANGLE_BETA,
    KTI_CIF_ANGLE_GAMMA,
    KTI_CIF_HALL,
    KTI_CIF_HERMANN_MAUGUIN,
    KTI_CIF_GROUP_NUMBER,
    KTI_CIF_OPERATION,
    KTI_CIF_LABEL,
    KTI_CIF_TYPE_SYMBOL,
    KTI_CIF_X,
    KTI_CIF_Y,
    KTI_CIF_Z,
    KTI_CIF_OCCUPANCY,
    KTI_CIF_CALC_FLAG,
    KTI_CIF_TAGS
} kti_cif_tag;

typedef struct kti_cif_value {
    kti_slice text; /* without its quotes; points into the data */
    int64_t line;
    bool missing; /* '?' or '.' */
} kti_cif_value;

/* The column of a loop, or a single value. */
typedef struct kti_cif_column {
    kti_cif_value *values; /* [count]; owned */
    size_t count, capacity;
    int64_t line; /* of the tag; 0 if the block does not have it */
} kti_cif_column;

typedef struct kti_cif_fields {
    kti_cif_column columns[KTI_CIF_TAGS];
} kti_cif_fields;

/* Collects them from the first data block that has _atom_site_fract_x (from the last block if none has). The
 * grammar is gemmi's. A column has at most `limit` values: what is beyond is not kept. KT_BAD_FORMAT with the
 * line where the grammar is broken, a tag has no value or comes twice; KT_OUT_OF_MEMORY. */
kt_status kti_cif_fields_read(const char *data, size_t size, const char *name, size_t limit,
                              kti_cif_fields *fields, kt_error *error);
void kti_cif_fields_destroy(kti_cif_fields *fields);

#ifdef __cplusplus
}
#endif
#endif
