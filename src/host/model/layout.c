#include "model/layout.h"

kti_layout kti_layout_create(void)
{
    kti_layout layout = {0};
    int size;
    const kti_parameter *spec = kti_spec(&size);
    for (int i = 0; i < size; i++) {
        if (spec[i].part == KTI_PART_BODY)
            layout.body_size = layout.size + (int64_t)spec[i].rows * kti_round_up16(spec[i].columns);
        if (spec[i].part != KTI_PART_HEAD)
            layout.head_offset = layout.size + (int64_t)spec[i].rows * kti_round_up16(spec[i].columns);
        layout.offset[i] = layout.size;
        layout.stride[i] = kti_round_up16(spec[i].columns);
        layout.size += (int64_t)spec[i].rows * layout.stride[i];
    }
    return layout;
}
