#include "model/layout.h"

static void place(kti_layout *layout, kti_part part)
{
    int size;
    const kti_parameter *spec = kti_spec(&size);
    for (int i = 0; i < layout->parameters; i++) {
        if (spec[i].part != part)
            continue;
        layout->offset[i] = layout->size;
        layout->stride[i] = kti_round_up16(spec[i].columns);
        layout->size += (int64_t)spec[i].rows * layout->stride[i];
    }
}

kti_layout kti_layout_create(bool physics)
{
    kti_layout layout = {0};
    kti_spec(&layout.parameters);
    layout.parameters += physics ? KTI_PHYSICS_PARAMETERS : 0;
    place(&layout, KTI_PART_BODY);
    place(&layout, KTI_PART_PHYSICS);
    layout.body_size = layout.size;
    place(&layout, KTI_PART_EFORM);
    layout.head_offset = layout.size;
    place(&layout, KTI_PART_HEAD);
    return layout;
}
