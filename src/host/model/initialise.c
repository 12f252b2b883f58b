#include "model/initialise.h"

#include <math.h>

#include "base/random.h"

enum { PURPOSE_WEIGHTS = 1 };

void kti_initialise(const kti_layout *layout, kt_real *arena, unsigned parts, uint64_t seed, int fold,
                    int draw)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    for (int i = 0; i < layout->parameters; i++) {
        if (!(parts & 1u << spec[i].part))
            continue;
        kti_random random =
            kti_random_stream(seed, PURPOSE_WEIGHTS, (uint32_t)fold, (uint32_t)draw << 16 | (uint32_t)i);
        const double bound = spec[i].initialiser == KTI_INIT_UNIFORM ? 1 / sqrt(spec[i].fan) : 0;
        for (int row = 0; row < spec[i].rows; row++)
            for (int column = 0; column < spec[i].columns; column++) {
                const double value = spec[i].initialiser == KTI_INIT_ZERO ? 0
                                     : spec[i].initialiser == KTI_INIT_NORMAL
                                         ? kti_random_normal(&random)
                                         : bound * (2 * kti_random_uniform(&random) - 1);
                arena[layout->offset[i] + (int64_t)row * layout->stride[i] + column] = (kt_real)value;
            }
    }
}
