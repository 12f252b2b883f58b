/* Extended XYZ: the number of sites, a line of key=value pairs with Lattice and Properties, then the sites.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "crystal/elements.h"
#include "crystal/lattice.h"
#include "crystal/number.h"
#include "crystal/reader.h"
#include "crystal/sites.h"
#include "crystal/text.h"

typedef struct extxyz {
    kti_lines lines;
    const char *file;
    int sites;
    bool has_lattice;
    double lattice[3][3];
    int species_column, number_column, position_column; /* -1 if there is none */
} extxyz;

static kt_status bad(const extxyz *x, kt_error *error, const char *what)
{
    return kti_fail_line(error, KT_BAD_FORMAT, x->file, x->lines.number, "%s", what);
}

static kt_status read_count(extxyz *x, kt_error *error)
{
    kti_slice line, word;
    double count;
    if (!kti_next_line(&x->lines, &line) || !kti_next_number(&line, &count, &word) || count < 0 ||
        count != floor(count) || kti_next_word(&line, &word))
        return kti_fail_line(error, KT_BAD_FORMAT, x->file, 1,
                             "expected the number of sites, alone on its line");
    if (count == 0)
        return kti_fail_line(error, KT_BAD_CRYSTAL, x->file, 1, "the crystal has no site");
    if (count > KTI_MAX_SITES)
        return kti_fail_line(error, KT_BAD_CRYSTAL, x->file, 1, "the crystal has more than %d sites",
                             KTI_MAX_SITES);
    x->sites = (int)count;
    return KT_OK;
}

/* Takes the next `key=value` or bare `key` off the line; a value may stand in quotes, braces or brackets. */
static bool next_pair(kti_slice *line, kti_slice *key, kti_slice *value)
{
    const char *c = line->begin, *end = line->end;
    while (c < end && (*c == ' ' || *c == '\t'))
        c++;
    if (c == end)
        return false;
    key->begin = c;
    while (c < end && *c != '=' && *c != ' ' && *c != '\t')
        c++;
    key->end = c;
    *value = (kti_slice){c, c};
    if (c < end && *c == '=') {
        c++;
        char open = c < end ? *c : '\0';
        char close = open == '"' || open == '\'' ? open : open == '{' ? '}' : '\0';
        if (close != '\0') {
            value->begin = ++c;
            while (c < end && *c != close)
                c++;
            value->end = c;
            c += c < end;
        } else {
            value->begin = c;
            while (c < end && *c != ' ' && *c != '\t')
                c++;
            value->end = c;
        }
    }
    line->begin = c;
    return true;
}

static bool is_key(kti_slice key, const char *name)
{
    size_t length = strlen(name);
    return (size_t)(key.end - key.begin) == length && strncasecmp(key.begin, name, length) == 0;
}

static kt_status read_lattice(extxyz *x, kti_slice value, kt_error *error)
{
    kti_slice word;
    for (int i = 0; i < 9; i++)
        if (!kti_next_number(&value, &x->lattice[i / 3][i % 3], &word))
            return bad(x, error, "Lattice needs nine numbers in quotes: the vectors a, b and c");
    if (kti_next_word(&value, &word))
        return bad(x, error, "Lattice has more than nine numbers");
    x->has_lattice = true;
    return KT_OK;
}

static kti_slice next_field(kti_slice *value)
{
    kti_slice field = {value->begin, value->begin};
    while (field.end < value->end && *field.end != ':')
        field.end++;
    value->begin = field.end + (field.end < value->end);
    return field;
}

/* "species:S:1:pos:R:3:forces:R:3": names, types and numbers of columns. */
static kt_status read_properties(extxyz *x, kti_slice value, kt_error *error)
{
    int column = 0;
    x->species_column = x->number_column = x->position_column = -1;
    while (value.begin < value.end) {
        kti_slice name = next_field(&value), type = next_field(&value), number = next_field(&value);
        kti_slice word;
        double count;
        if (!kti_next_number(&number, &count, &word) || count < 1 || count > 1000 || count != floor(count) ||
            type.end - type.begin != 1 || column > 1000000)
            return bad(x, error, "Properties must be made of name:type:columns, as in species:S:1:pos:R:3");
        if (is_key(name, "species") && *type.begin == 'S')
            x->species_column = column;
        else if (is_key(name, "Z") || is_key(name, "numbers"))
            x->number_column = column;
        else if (is_key(name, "pos") && count == 3)
            x->position_column = column;
        column += (int)count;
    }
    if (x->species_column < 0 && x->number_column < 0)
        return bad(x, error, "Properties has no species:S:1");
    if (x->position_column < 0)
        return bad(x, error, "Properties has no pos:R:3");
    return KT_OK;
}

static kt_status read_header(extxyz *x, kt_error *error)
{
    kti_slice line, key, value;
    kt_status status = KT_OK;
    if (!kti_next_line(&x->lines, &line))
        return bad(x, error, "the file ends here; expected a line with Lattice=\"...\"");
    while (status == KT_OK && next_pair(&line, &key, &value)) {
        if (is_key(key, "Lattice"))
            status = read_lattice(x, value, error);
        else if (is_key(key, "Properties"))
            status = read_properties(x, value, error);
        else if (is_key(key, "pbc"))
            for (const char *c = value.begin; status == KT_OK && c < value.end; c++)
                if (*c == 'F' || *c == 'f' || *c == '0')
                    status = kti_fail_line(error, KT_BAD_CRYSTAL, x->file, x->lines.number,
                                           "pbc says that it is not periodic in all three directions");
    }
    if (status == KT_OK && !x->has_lattice)
        status =
            kti_fail_line(error, KT_BAD_CRYSTAL, x->file, x->lines.number,
                          "no cell: a crystal needs Lattice=\"ax ay az bx by bz cx cy cz\" in this line");
    return status;
}

static kt_status read_element(const extxyz *x, kti_slice word, bool symbol, int *element, kt_error *error)
{
    double number;
    char shown[32];
    *element = 0;
    if (symbol)
        *element = kti_element_of_symbol(word);
    else if (kti_number_read(word.begin, word.end, &number) && number == floor(number) && number >= 1 &&
             number <= KTI_ATOMIC_NUMBERS)
        *element = (int)number;
    if (*element > 0)
        return KT_OK;
    return kti_fail_line(error, KT_BAD_CRYSTAL, x->file, x->lines.number, "unknown element '%s'",
                         kti_slice_copy(word, shown, sizeof shown));
}

static kt_status read_site(extxyz *x, int index, kti_site *site, kt_error *error)
{
    kti_slice line, word;
    double at[3];
    int found = 0, wanted = 4;
    int element_column = x->species_column >= 0 ? x->species_column : x->number_column;
    kt_status status = KT_OK;
    *site = (kti_site){0};
    if (!kti_next_line(&x->lines, &line))
        return kti_fail_line(error, KT_BAD_FORMAT, x->file, x->lines.number,
                             "the file ends after %d of %d sites", index, x->sites);
    for (int column = 0; status == KT_OK && found < wanted && kti_next_word(&line, &word); column++) {
        int axis = column - x->position_column;
        if (column == element_column) {
            status = read_element(x, word, x->species_column >= 0, &site->atomic_number, error);
            found++;
        } else if (axis >= 0 && axis < 3) {
            kti_slice rest = word;
            if (!kti_next_number(&rest, &at[axis], &word))
                status = bad(x, error, "a coordinate is not a finite number");
            found++;
        }
    }
    if (status == KT_OK && found < wanted)
        status = bad(x, error, "the line has too few columns for a site");
    if (status != KT_OK)
        return status;
    site->line = x->lines.number;
    snprintf(site->label, sizeof site->label, "%s%d", kti_element_symbol(site->atomic_number), index + 1);
    kti_fractional(x->lattice, at, site->fractional);
    return KT_OK;
}

kt_status kti_extxyz_read(const char *data, size_t size, const char *name, kt_structure *structure,
                          kt_error *error)
{
    extxyz x = {.lines = kti_lines_of(data, size),
                .file = name,
                .species_column = 0,
                .number_column = -1,
                .position_column = 1};
    kti_sites sites = {0};
    kti_lattice usable;
    kt_status status = read_count(&x, error);
    if (status == KT_OK)
        status = read_header(&x, error);
    if (status == KT_OK) /* before coordinates are divided by it */
        status = kti_lattice_create(x.lattice, name, &usable, error);
    for (int s = 0; status == KT_OK && s < x.sites; s++) {
        kti_site site;
        status = read_site(&x, s, &site, error);
        if (status == KT_OK)
            status = kti_sites_add(&sites, &site, name, error);
    }
    if (status == KT_OK)
        status = kti_structure_make(x.lattice, &sites, name, structure, error);
    kti_sites_destroy(&sites);
    return status;
}
