/* gemmi's CIF grammar with actions of our own: gemmi's document keeps every value of a file as a string,
 * which for a hostile file of 64 MB takes gigabytes and forgets the lines. */
#include "crystal/cif_fields.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include <gemmi/cif.hpp>

#include "base/fail.h"
#include "base/memory.h"

namespace
{

namespace pegtl = tao::pegtl;
namespace rules = gemmi::cif::rules;

struct tag_name {
    const char *name;
    kti_cif_tag tag;
};

/* Lower case, '_' for the '.' of newer dictionaries. */
const tag_name tag_names[] = {
    {"_cell_length_a", KTI_CIF_LENGTH_A},
    {"_cell_length_b", KTI_CIF_LENGTH_B},
    {"_cell_length_c", KTI_CIF_LENGTH_C},
    {"_cell_angle_alpha", KTI_CIF_ANGLE_ALPHA},
    {"_cell_angle_beta", KTI_CIF_ANGLE_BETA},
    {"_cell_angle_gamma", KTI_CIF_ANGLE_GAMMA},
    {"_symmetry_space_group_name_hall", KTI_CIF_HALL},
    {"_space_group_name_hall", KTI_CIF_HALL},
    {"_symmetry_space_group_name_h-m", KTI_CIF_HERMANN_MAUGUIN},
    {"_space_group_name_h-m_alt", KTI_CIF_HERMANN_MAUGUIN},
    {"_space_group_name_h-m", KTI_CIF_HERMANN_MAUGUIN},
    {"_symmetry_int_tables_number", KTI_CIF_GROUP_NUMBER},
    {"_space_group_it_number", KTI_CIF_GROUP_NUMBER},
    {"_symmetry_equiv_pos_as_xyz", KTI_CIF_OPERATION},
    {"_space_group_symop_operation_xyz", KTI_CIF_OPERATION},
    {"_atom_site_label", KTI_CIF_LABEL},
    {"_atom_site_type_symbol", KTI_CIF_TYPE_SYMBOL},
    {"_atom_site_fract_x", KTI_CIF_X},
    {"_atom_site_fract_y", KTI_CIF_Y},
    {"_atom_site_fract_z", KTI_CIF_Z},
    {"_atom_site_occupancy", KTI_CIF_OCCUPANCY},
    {"_atom_site_calc_flag", KTI_CIF_CALC_FLAG},
};

/* The tag, KTI_CIF_TAGS for one that does not matter here. */
kti_cif_tag find_tag(const char *begin, const char *end)
{
    char name[48];
    size_t length = static_cast<size_t>(end - begin);
    if (length >= sizeof name)
        return KTI_CIF_TAGS;
    for (size_t i = 0; i < length; i++)
        name[i] = begin[i] == '.'                      ? '_'
                  : begin[i] >= 'A' && begin[i] <= 'Z' ? begin[i] - 'A' + 'a'
                                                       : begin[i];
    name[length] = '\0';
    for (const tag_name &known : tag_names)
        if (std::strcmp(known.name, name) == 0)
            return known.tag;
    return KTI_CIF_TAGS;
}

/* Why reading stops: not an error of the grammar. */
struct complaint {
    int64_t line;
    std::string message;
};

struct collector {
    kti_cif_fields *fields;
    size_t limit;
    bool complete = false; /* the block that counts is behind us */
    bool in_frame = false;
    kti_cif_tag single = KTI_CIF_TAGS;
    bool single_has_value = false;
    int64_t single_line = 0;
    std::vector<unsigned char> loop{}; /* the tag of each column */
    size_t place = 0;                  /* in the row */

    bool collects() const
    {
        return !complete && !in_frame;
    }

    void open_block()
    {
        if (fields->columns[KTI_CIF_X].line != 0)
            complete = true;
        if (!complete)
            kti_cif_fields_destroy(fields);
    }

    void open_column(kti_cif_tag tag, int64_t line, const std::string &name)
    {
        if (tag == KTI_CIF_TAGS || !collects())
            return;
        kti_cif_column &column = fields->columns[tag];
        if (column.line != 0) {
            /* Old and new names of the same thing may stand side by side; they say the same. */
            if (tag < KTI_CIF_HALL || tag > KTI_CIF_OPERATION)
                throw complaint{line, "the tag " + name + " comes a second time"};
            if (tag == KTI_CIF_OPERATION)
                column.count = 0;
        }
        column.line = line;
    }

    void add(kti_cif_tag tag, const char *begin, const char *end, int64_t line)
    {
        if (tag == KTI_CIF_TAGS || !collects())
            return;
        kti_cif_column &column = fields->columns[tag];
        if (column.count >= limit)
            return;
        kti_cif_value value{{begin, end}, line, end - begin == 1 && (*begin == '?' || *begin == '.')};
        if (end - begin >= 2 && (*begin == '\'' || *begin == '"' || *begin == ';')) {
            value.text.begin++;
            value.text.end--;
        }
        if (kti_grow(reinterpret_cast<void **>(&column.values), column.count, &column.capacity,
                     sizeof *column.values) != 0)
            throw std::bad_alloc();
        column.values[column.count++] = value;
    }

    void close_single()
    {
        if (single != KTI_CIF_TAGS && !single_has_value && collects())
            throw complaint{single_line, "a tag has no value"};
        single = KTI_CIF_TAGS;
    }
};

template <typename Rule> struct action : pegtl::nothing<Rule> {
};

template <> struct action<rules::datablockname> {
    template <typename Input> static void apply(const Input &, collector &c)
    {
        c.open_block();
    }
};

template <> struct action<rules::str_global> {
    template <typename Input> static void apply(const Input &, collector &c)
    {
        c.open_block();
    }
};

template <> struct action<rules::framename> {
    template <typename Input> static void apply(const Input &, collector &c)
    {
        c.in_frame = true;
    }
};

template <> struct action<rules::endframe> {
    template <typename Input> static void apply(const Input &, collector &c)
    {
        c.in_frame = false;
    }
};

template <> struct action<rules::item_tag> {
    template <typename Input> static void apply(const Input &in, collector &c)
    {
        c.single = find_tag(in.begin(), in.end());
        c.single_has_value = false;
        c.single_line = static_cast<int64_t>(in.iterator().line);
        if (c.single != KTI_CIF_TAGS)
            c.open_column(c.single, c.single_line, in.string());
    }
};

template <> struct action<rules::item_value> {
    template <typename Input> static void apply(const Input &in, collector &c)
    {
        c.add(c.single, in.begin(), in.end(), static_cast<int64_t>(in.iterator().line));
        c.single_has_value = true;
    }
};

template <> struct action<rules::dataitem> {
    template <typename Input> static void apply(const Input &, collector &c)
    {
        c.close_single();
    }
};

template <> struct action<rules::str_loop> {
    template <typename Input> static void apply(const Input &, collector &c)
    {
        c.loop.clear();
        c.place = 0;
    }
};

template <> struct action<rules::loop_tag> {
    template <typename Input> static void apply(const Input &in, collector &c)
    {
        kti_cif_tag tag = find_tag(in.begin(), in.end());
        if (tag != KTI_CIF_TAGS)
            c.open_column(tag, static_cast<int64_t>(in.iterator().line), in.string());
        c.loop.push_back(static_cast<unsigned char>(tag));
    }
};

template <> struct action<rules::loop_value> {
    template <typename Input> static void apply(const Input &in, collector &c)
    {
        c.add(static_cast<kti_cif_tag>(c.loop[c.place]), in.begin(), in.end(),
              static_cast<int64_t>(in.iterator().line));
        if (++c.place == c.loop.size())
            c.place = 0;
    }
};

template <> struct action<rules::loop> {
    template <typename Input> static void apply(const Input &in, collector &c)
    {
        if (c.place != 0)
            throw complaint{static_cast<int64_t>(in.iterator().line),
                            "the loop_ that begins here has " + std::to_string(c.loop.size()) +
                                " tags, and a number of values that is not a multiple of it"};
    }
};

} // namespace

kt_status kti_cif_fields_read(const char *data, size_t size, const char *name, size_t limit,
                              kti_cif_fields *fields, kt_error *error)
{
    std::memset(fields, 0, sizeof *fields);
    kt_status status = KT_OK;
    try {
        collector c{fields, limit};
        pegtl::memory_input<> in(data, size, "");
        if (pegtl::parse<rules::file, action, gemmi::cif::Errors>(in, c))
            return KT_OK;
        status =
            kti_fail_line(error, KT_BAD_FORMAT, name, 1, "not CIF: there is nothing but blanks and comments");
    } catch (const complaint &e) {
        status = kti_fail_line(error, KT_BAD_FORMAT, name, e.line, "%s", e.message.c_str());
    } catch (const pegtl::parse_error &e) {
        std::string message(e.message());
        int64_t line = e.positions().empty() ? 0 : static_cast<int64_t>(e.positions().front().line);
        status = kti_fail_line(error, KT_BAD_FORMAT, name, line, "not CIF: %s", message.c_str());
    } catch (const std::bad_alloc &) {
        status = kti_fail_memory(error, "a CIF file");
    } catch (const std::exception &e) {
        status = kti_fail_file(error, KT_BAD_FORMAT, name, "not CIF: %s", e.what());
    } catch (...) {
        status = kti_fail_file(error, KT_BAD_FORMAT, name, "not CIF");
    }
    kti_cif_fields_destroy(fields);
    return status;
}

void kti_cif_fields_destroy(kti_cif_fields *fields)
{
    for (kti_cif_column &column : fields->columns) {
        std::free(column.values);
        column = kti_cif_column{};
    }
}
