#include "experiment/sources.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

void kti_portable_path(const char *path, char *text, size_t capacity)
{
    if (path[0] == '/' || strncmp(path, "../", 3) == 0)
        kti_last_component(path, text, capacity);
    else
        snprintf(text, capacity, "%s", path);
}

static const struct {
    const char *name, *other, *credit; /* `other`: what the commands call it that fetch it */
} known[] = {
    {"togo15", NULL,
     "Togo15: values computed with phono3py by A. Togo, L. Chaput and I. Tanaka, Phys. Rev. B 91, 094306 "
     "(2015), and A. Seko et al., Phys. Rev. Lett. 115, 205901 (2015); structures of the Materials Project, "
     "CC BY 4.0."},
    {"hh143", NULL,
     "HH143: first-principles values of half-Heusler compounds from the literature, as the authors of "
     "ParAIsite used them (L. Klochko, M. d'Aquin, Phys. Chem. Chem. Phys. 28 (2026) 8146); structures of "
     "the Materials Project, CC BY 4.0."},
    {"aflow_agl", "aflow",
     "AFLOW: structures and AGL estimates of the AFLOW consortium, CC BY 4.0; the method (a quasi-harmonic "
     "Debye-Grueneisen model) is that of C. Toher et al., Phys. Rev. B 90, 174107 (2014). AGL is another "
     "quantity than a first-principles kappa, for some crystals many times lower: a model of it is a start "
     "for fine-tuning."},
    {"megnet-mp-2018.6.1-eform", "megnet-eform",
     "MEGNet-MP-2018.6.1-Eform as matgl packages it, BSD 3-Clause: C. Chen et al., Chem. Mater. 31 (2019) "
     "3564."},
    {"aflow-agl", NULL,
     "aflow-agl, a model that kappatune ships: trained on AFLOW's AGL estimates (AFLOW consortium, CC BY 4.0; "
     "C. Toher et al., Phys. Rev. B 90, 174107 (2014)) from MEGNet-MP-2018.6.1-Eform of matgl (BSD 3-Clause; "
     "C. Chen et al., Chem. Mater. 31 (2019) 3564)."},
};

static int is_name(const char *text, const char *name)
{
    const size_t length = strlen(name);
    return strncasecmp(text, name, length) == 0 &&
           (text[length] == '\0' || strcmp(text + length, ".csv") == 0 ||
            strcmp(text + length, ".safetensors") == 0);
}

const char *kti_source_credit(const char *path)
{
    char name[256];
    kti_last_component(path, name, sizeof name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is_name(name, known[i].name) || (known[i].other && is_name(name, known[i].other)))
            return known[i].credit;
    return NULL;
}
