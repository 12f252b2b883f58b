/* CIF: cell, symmetry and sites to a crystal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/memory.h"
#include "crystal/cif_fields.h"
#include "crystal/lattice.h"
#include "crystal/number.h"
#include "crystal/reader.h"
#include "crystal/sites.h"
#include "crystal/symmetry.h"

/* A cell has 192 operations at most; a supercell may list more. */
enum { MAX_OPERATIONS = 4096 };

typedef struct cif {
    const char *file;
    kti_cif_fields fields;
    double lattice[3][3];
    double alpha, gamma; /* degrees */
    kti_operation *operations;
    int operation_count;
    kti_sites unit;  /* as listed */
    kti_sites whole; /* expanded */
} cif;

/* The value of a column at a row; NULL if it is not there, '?' or '.'. */
static const kti_cif_value *value_of(const cif *c, kti_cif_tag tag, size_t row)
{
    const kti_cif_column *column = &c->fields.columns[tag];
    return row < column->count && !column->values[row].missing ? &column->values[row] : NULL;
}

/* What a tag says that may stand in the block under an old and a new name, one of them perhaps '?'. */
static const kti_cif_value *given_value(const cif *c, kti_cif_tag tag)
{
    for (size_t row = 0; row < c->fields.columns[tag].count; row++)
        if (value_of(c, tag, row))
            return value_of(c, tag, row);
    return NULL;
}

/* A number, perhaps with its uncertainty: 1.234(5). */
static bool read_number(kti_slice text, double *value)
{
    const char *after = kti_number_prefix(text.begin, text.end, value);
    if (!after || !isfinite(*value))
        return false;
    if (after < text.end && *after == '(') {
        for (after++; after < text.end && ((*after >= '0' && *after <= '9') || *after == '.');)
            after++;
        if (after == text.end || *after != ')')
            return false;
        after++;
    }
    return after == text.end;
}

static kt_status read_cell(cif *c, kt_error *error)
{
    static const char *const names[6] = {"length_a",    "length_b",   "length_c",
                                         "angle_alpha", "angle_beta", "angle_gamma"};
    double cell[6];
    char shown[40];
    for (int i = 0; i < 6; i++) {
        const kti_cif_value *value = value_of(c, (kti_cif_tag)(KTI_CIF_LENGTH_A + i), 0);
        if (!value)
            return kti_fail_file(error, KT_BAD_CRYSTAL, c->file, "no cell: _cell_%s is missing", names[i]);
        if (!read_number(value->text, &cell[i]))
            return kti_fail_line(error, KT_BAD_FORMAT, c->file, value->line,
                                 "_cell_%s is '%s', not a finite number", names[i],
                                 kti_slice_copy(value->text, shown, sizeof shown));
    }
    c->alpha = cell[3];
    c->gamma = cell[5];
    return kti_lattice_from_cell(cell, cell + 3, c->file, c->lattice, error);
}

static kt_status read_listed_operations(cif *c, kt_error *error)
{
    const kti_cif_column *column = &c->fields.columns[KTI_CIF_OPERATION];
    char shown[60];
    if (column->count > MAX_OPERATIONS)
        return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, column->line, "more than %d symmetry operations",
                             MAX_OPERATIONS);
    for (size_t i = 0; i < column->count; i++) {
        const kti_cif_value *value = &column->values[i];
        kti_operation *operation = &c->operations[c->operation_count];
        if (!kti_operation_read(value->text, operation))
            return kti_fail_line(error, KT_BAD_FORMAT, c->file, value->line,
                                 "'%s' is not a symmetry operation such as 'x+1/2, -y, z'",
                                 kti_slice_copy(value->text, shown, sizeof shown));
        if (!kti_operation_fits(operation, c->lattice))
            return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, value->line,
                                 "the symmetry operation '%s' does not fit the cell",
                                 kti_slice_copy(value->text, shown, sizeof shown));
        c->operation_count++;
    }
    return KT_OK;
}

static kt_status read_group(cif *c, kt_error *error)
{
    const kti_cif_value *hall = given_value(c, KTI_CIF_HALL), *name = given_value(c, KTI_CIF_HERMANN_MAUGUIN),
                        *number = given_value(c, KTI_CIF_GROUP_NUMBER);
    char hall_text[60], name_text[60];
    double group = 0;
    if (!hall && !name && !number)
        return KT_OK; /* says nothing: the sites are all there are */
    if (hall)
        kti_slice_copy(hall->text, hall_text, sizeof hall_text);
    if (name)
        kti_slice_copy(name->text, name_text, sizeof name_text);
    if (number && !(read_number(number->text, &group) && group >= 1 && group <= 230))
        group = 0;
    int64_t line = name ? name->line : number ? number->line : hall->line;
    c->operation_count = kti_spacegroup_operations(hall ? hall_text : NULL, name ? name_text : NULL,
                                                   (int)group, c->alpha, c->gamma, c->operations);
    if (c->operation_count == 0)
        return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, line,
                             "the space group is unknown and no symmetry operations are listed");
    if (c->operation_count < 0)
        return kti_fail_line(
            error, KT_BAD_CRYSTAL, c->file, line,
            "the space group has two choices of origin: name one (\":1\" or \":2\" after the "
            "symbol) or list the symmetry operations");
    for (int i = 0; i < c->operation_count; i++)
        if (!kti_operation_fits(&c->operations[i], c->lattice))
            return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, line,
                                 "the space group does not fit the cell");
    return KT_OK;
}

static kt_status read_symmetry(cif *c, kt_error *error)
{
    c->operations = kti_allocate(MAX_OPERATIONS, sizeof *c->operations);
    if (!c->operations)
        return kti_fail_memory(error, "symmetry operations");
    return value_of(c, KTI_CIF_OPERATION, 0) ? read_listed_operations(c, error) : read_group(c, error);
}

static kt_status read_element(const cif *c, size_t row, kti_site *site, kt_error *error)
{
    const kti_cif_value *symbol = value_of(c, KTI_CIF_TYPE_SYMBOL, row),
                        *label = value_of(c, KTI_CIF_LABEL, row);
    char shown[24];
    if (!symbol && !label)
        return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, site->line,
                             "site %zu has no element: neither a label nor a type symbol", row + 1);
    site->atomic_number = symbol ? kti_element_of_symbol(symbol->text) : kti_element_of_label(label->text);
    if (site->atomic_number > 0)
        return KT_OK;
    if (site->atomic_number < 0)
        return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, site->line,
                             "site '%s': the label may mean two elements; add _atom_site_type_symbol",
                             site->label);
    return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, site->line, "site '%s': unknown element '%s'",
                         site->label,
                         kti_slice_copy(symbol ? symbol->text : label->text, shown, sizeof shown));
}

static kt_status read_coordinates(const cif *c, size_t row, kti_site *site, kt_error *error)
{
    char shown[40];
    for (int i = 0; i < 3; i++) {
        const kti_cif_value *value = value_of(c, (kti_cif_tag)(KTI_CIF_X + i), row);
        if (!value)
            return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, site->line,
                                 "site '%s': the coordinate %c is missing", site->label, 'x' + i);
        if (!read_number(value->text, &site->fractional[i]))
            return kti_fail_line(error, KT_BAD_FORMAT, c->file, value->line,
                                 "site '%s': the coordinate %c is '%s', not a finite number", site->label,
                                 'x' + i, kti_slice_copy(value->text, shown, sizeof shown));
    }
    return KT_OK;
}

static kt_status check_occupancy(const cif *c, size_t row, const kti_site *site, kt_error *error)
{
    const kti_cif_value *value = value_of(c, KTI_CIF_OCCUPANCY, row);
    double occupancy;
    char shown[40];
    if (!value)
        return KT_OK; /* by the dictionary: 1 */
    if (!read_number(value->text, &occupancy))
        return kti_fail_line(error, KT_BAD_FORMAT, c->file, value->line,
                             "site '%s': the occupancy is '%s', not a finite number", site->label,
                             kti_slice_copy(value->text, shown, sizeof shown));
    if (!(fabs(occupancy - 1) <= 1e-3))
        return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, value->line,
                             "site '%s' has occupancy %g: a disordered crystal cannot be used", site->label,
                             occupancy);
    return KT_OK;
}

static bool is_dummy(const cif *c, size_t row)
{
    const kti_cif_value *flag = value_of(c, KTI_CIF_CALC_FLAG, row);
    return flag && kti_slice_is(flag->text, "dum");
}

static kt_status read_sites(cif *c, kt_error *error)
{
    const kti_cif_column *x = &c->fields.columns[KTI_CIF_X];
    kt_status status = KT_OK;
    if (x->line == 0)
        return kti_fail_file(error, KT_BAD_CRYSTAL, c->file, "no site: no data block has _atom_site_fract_x");
    if (x->count == 0)
        return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, x->line, "no site: the loop of sites is empty");
    if (x->count > KTI_MAX_SITES)
        return kti_fail_line(error, KT_BAD_CRYSTAL, c->file, x->line, "the crystal has more than %d sites",
                             KTI_MAX_SITES);
    for (int tag = KTI_CIF_LABEL; tag < KTI_CIF_TAGS; tag++) {
        const kti_cif_column *column = &c->fields.columns[tag];
        if (column->line != 0 && column->count != x->count)
            return kti_fail_line(error, KT_BAD_FORMAT, c->file, column->line,
                                 "the sites' data stand in several loops of different lengths");
    }
    for (size_t row = 0; status == KT_OK && row < x->count; row++) {
        if (is_dummy(c, row))
            continue;
        kti_site site = {.line = x->values[row].line};
        const kti_cif_value *label = value_of(c, KTI_CIF_LABEL, row);
        if (label)
            kti_slice_copy(label->text, site.label, sizeof site.label);
        else
            snprintf(site.label, sizeof site.label, "%zu", row + 1);
        status = read_element(c, row, &site, error);
        if (status == KT_OK)
            status = read_coordinates(c, row, &site, error);
        if (status == KT_OK)
            status = check_occupancy(c, row, &site, error);
        if (status == KT_OK)
            status = kti_sites_add(&c->unit, &site, c->file, error);
    }
    return status;
}

kt_status kti_cif_read(const char *data, size_t size, const char *name, kt_structure *structure,
                       kt_error *error)
{
    static const char mark[3] = {'\xEF', '\xBB', '\xBF'}; /* of UTF-8, which some editors put first */
    cif c = {.file = name};
    if (size >= sizeof mark && memcmp(data, mark, sizeof mark) == 0) {
        data += sizeof mark;
        size -= sizeof mark;
    }
    kt_status status = kti_cif_fields_read(data, size, name, KTI_MAX_SITES + 1, &c.fields, error);
    if (status == KT_OK)
        status = read_sites(&c, error);
    if (status == KT_OK)
        status = read_cell(&c, error);
    if (status == KT_OK)
        status = read_symmetry(&c, error);
    if (status == KT_OK)
        status =
            kti_symmetry_expand(&c.unit, c.operations, c.operation_count, c.lattice, name, &c.whole, error);
    if (status == KT_OK)
        status = kti_structure_make(c.lattice, &c.whole, name, structure, error);
    kti_cif_fields_destroy(&c.fields);
    free(c.operations);
    kti_sites_destroy(&c.unit);
    kti_sites_destroy(&c.whole);
    return status;
}
