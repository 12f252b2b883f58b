/* gemmi's tables of space groups behind a C function. */
#include <cctype>
#include <string>

#include <gemmi/symmetry.hpp>

#include "crystal/symmetry.h"

namespace
{

/* Blanks and underscores part nothing that matters in a Hall symbol once they are single. */
std::string plain_hall(const char *text)
{
    std::string plain;
    for (; *text; text++) {
        char c = *text == '_' ? ' ' : *text;
        if (c == ' ' && (plain.empty() || plain.back() == ' '))
            continue;
        plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    if (!plain.empty() && plain.back() == ' ')
        plain.pop_back();
    return plain;
}

const gemmi::SpaceGroup *find_by_hall(const char *hall)
{
    std::string wanted = plain_hall(hall);
    for (const gemmi::SpaceGroup &group : gemmi::spacegroup_tables::main)
        if (plain_hall(group.hall) == wanted)
            return &group;
    return nullptr;
}

/* ICSD writes the setting as a last letter: "F d -3 m Z" (second origin), "F d -3 m S" (first), "R -3 m H".
 */
const gemmi::SpaceGroup *find_by_name(std::string name, double alpha, double gamma, bool *setting_given)
{
    while (!name.empty() && name.back() == ' ')
        name.pop_back();
    *setting_given = name.find(':') != std::string::npos;
    const gemmi::SpaceGroup *group = gemmi::find_spacegroup_by_name(name, alpha, gamma);
    if (group || name.size() < 3)
        return group;
    static const char letters[] = "SZHR", settings[] = "12HR";
    for (int i = 0; i < 4; i++) {
        if (std::toupper(static_cast<unsigned char>(name.back())) != letters[i])
            continue;
        name.pop_back();
        while (!name.empty() && name.back() == ' ')
            name.pop_back();
        *setting_given = true;
        return gemmi::find_spacegroup_by_name(name + ':' + settings[i], alpha, gamma);
    }
    return nullptr;
}

/* By number alone: the standard setting; of a rhombohedral group the one that the angles tell. */
const gemmi::SpaceGroup *find_by_number(int number, double alpha, double gamma)
{
    if (number < 1 || number > 230)
        return nullptr;
    const gemmi::SpaceGroup *group = gemmi::find_spacegroup_by_number(number);
    if (group && group->ext == 'H')
        return gemmi::find_spacegroup_by_name(group->hm, alpha, gamma);
    return group;
}

} // namespace

int kti_spacegroup_operations(const char *hall, const char *name, int number, double alpha, double gamma,
                              kti_operation *operations)
{
    try {
        const gemmi::SpaceGroup *group = hall ? find_by_hall(hall) : nullptr;
        bool setting_given = group != nullptr;
        if (!group && name)
            group = find_by_name(name, alpha, gamma, &setting_given);
        if (!group)
            group = find_by_number(number, alpha, gamma);
        if (!group)
            return 0;
        if (!setting_given && (group->ext == '1' || group->ext == '2'))
            return -1;
        gemmi::GroupOps all = group->operations();
        int count = 0;
        for (const gemmi::Op::Tran &centring : all.cen_ops) {
            for (const gemmi::Op &symmetry : all.sym_ops) {
                gemmi::Op op = symmetry.add_centering(centring);
                if (count == KTI_GROUP_ORDER)
                    return 0;
                for (int i = 0; i < 3; i++) {
                    for (int j = 0; j < 3; j++)
                        operations[count].rotation[i][j] = op.rot[i][j] / gemmi::Op::DEN;
                    operations[count].translation[i] = static_cast<double>(op.tran[i]) / gemmi::Op::DEN;
                }
                count++;
            }
        }
        return count;
    } catch (...) {
        return 0;
    }
}
