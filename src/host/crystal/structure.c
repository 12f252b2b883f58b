#include <kappatune/structure.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/file.h"
#include "crystal/elements.h"
#include "crystal/reader.h"

static const size_t LARGEST_FILE = (size_t)64 << 20;

kti_structure_format kti_structure_format_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    if (dot && strcasecmp(dot, ".cif") == 0)
        return KTI_FORMAT_CIF;
    if (dot && (strcasecmp(dot, ".xyz") == 0 || strcasecmp(dot, ".extxyz") == 0))
        return KTI_FORMAT_EXTXYZ;
    if ((dot && (strcasecmp(dot, ".vasp") == 0 || strcasecmp(dot, ".poscar") == 0)) ||
        strcmp(name, "POSCAR") == 0 || strcmp(name, "CONTCAR") == 0)
        return KTI_FORMAT_POSCAR;
    return KTI_FORMAT_UNKNOWN;
}

kt_status kti_structure_read_text(kti_structure_format format, const char *data, size_t size,
                                  const char *name, kt_structure *structure, kt_error *error)
{
    *structure = (kt_structure){0};
    switch (format) {
    case KTI_FORMAT_CIF: return kti_cif_read(data, size, name, structure, error);
    case KTI_FORMAT_POSCAR: return kti_poscar_read(data, size, name, structure, error);
    case KTI_FORMAT_EXTXYZ: return kti_extxyz_read(data, size, name, structure, error);
    case KTI_FORMAT_UNKNOWN: break;
    }
    return kti_fail_file(
        error, KT_BAD_FORMAT, name,
        "the name does not tell the format; expected .cif, .vasp, .poscar, POSCAR, CONTCAR, .xyz "
        "or .extxyz");
}

kt_status kt_structure_read(const char *path, kt_structure *structure, kt_error *error)
{
    char *data = NULL;
    size_t size = 0;
    *structure = (kt_structure){0};
    kti_structure_format format = kti_structure_format_of(path);
    if (format == KTI_FORMAT_UNKNOWN)
        return kti_structure_read_text(format, NULL, 0, path, structure, error);
    kt_status status = kti_file_read(path, LARGEST_FILE, &data, &size, error);
    if (status == KT_OK)
        status = kti_structure_read_text(format, data, size, path, structure, error);
    free(data);
    return status;
}

/* Elements without a tabulated electronegativity, noble gases above all, come last. */
static int comes_before(int a, int b)
{
    double x = kti_element_electronegativity(a), y = kti_element_electronegativity(b);
    if (x != y)
        return y == 0 || (x != 0 && x < y);
    return a < b;
}

void kt_structure_formula(const kt_structure *structure, char *text, int capacity)
{
    int count[KTI_ATOMIC_NUMBERS + 1] = {0}, order[KTI_ATOMIC_NUMBERS], kinds = 0, divisor = 0;
    if (capacity <= 0)
        return;
    text[0] = '\0';
    for (int s = 0; s < structure->sites; s++)
        if (kti_element_symbol(structure->atomic_number[s]))
            count[structure->atomic_number[s]]++;
    for (int z = 1; z <= KTI_ATOMIC_NUMBERS; z++) {
        if (count[z] == 0)
            continue;
        int place = kinds++;
        for (; place > 0 && comes_before(z, order[place - 1]); place--)
            order[place] = order[place - 1];
        order[place] = z;
        int a = count[z], b = divisor;
        while (b != 0) {
            int rest = a % b;
            a = b;
            b = rest;
        }
        divisor = a;
    }
    int used = 0;
    for (int i = 0; i < kinds && used < capacity; i++) {
        int units = count[order[i]] / divisor;
        if (units == 1)
            used += snprintf(text + used, (size_t)(capacity - used), "%s", kti_element_symbol(order[i]));
        else
            used +=
                snprintf(text + used, (size_t)(capacity - used), "%s%d", kti_element_symbol(order[i]), units);
    }
}
