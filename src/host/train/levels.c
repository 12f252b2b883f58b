#include "train/levels.h"

#include "kernels/launch.h"
#include "train/backward_joins.h"

kti_group kti_group_of(const kti_entry *entry)
{
    const kti_operation *o = &entry->operation;
    const kt_gemm *product = kti_product_of(o);
    if (entry->size > 1)
        return KTI_NO_GROUP;
    if (o->kind == KTI_OP_LAYER_FORWARD &&
        kt_layer_kernel(&o->arguments.layer_forward) == KT_ID_layer_forward)
        return KTI_GROUP_OF_LAYERS;
    return product && kt_gemm_kernel(product) == KT_ID_gemm ? KTI_GROUP_OF_PRODUCTS : KTI_NO_GROUP;
}

/* How far down operation i may move. */
static int latest_level(const kti_entry *list, int size, int i, int last)
{
    int latest = last;
    for (int k = i + 1; k < size; k++)
        if (!list[k].gone && list[k].level <= latest && kti_chains_conflict(list, i, k))
            latest = list[k].level - 1;
    return latest;
}

int kti_find_levels(kti_entry *list, int size)
{
    int last = 0;
    for (int i = 0; i < size; i++) {
        list[i].level = 1;
        for (int k = 0; k < i; k++)
            if (!list[i].gone && !list[k].gone && list[k].level >= list[i].level &&
                kti_chains_conflict(list, k, i))
                list[i].level = list[k].level + 1;
        if (!list[i].gone && list[i].level > last)
            last = list[i].level;
    }
    return last;
}

void kti_delay_weight_gradients(kti_entry *list, int size, int last, int levels)
{
    for (int i = 0; i < size; i++) {
        if (list[i].gone || !kti_is_weight_gradient(&list[i].operation))
            continue;
        const int latest = latest_level(list, size, i, last),
                  wanted = (list[i].level + levels - 1) / levels * levels;
        list[i].level = wanted < latest ? wanted : latest;
    }
}

static int count_at(const kti_entry *list, int size, kti_group kind, int level)
{
    int count = 0;
    for (int i = 0; i < size; i++)
        count += !list[i].gone && list[i].level == level && kti_group_of(&list[i]) == kind;
    return count;
}

void kti_find_company(kti_entry *list, int size, int last)
{
    for (int i = size - 1; i >= 0; i--) {
        const kti_group kind = kti_group_of(&list[i]);
        if (list[i].gone || kind == KTI_NO_GROUP || count_at(list, size, kind, list[i].level) > 1)
            continue;
        const int latest = latest_level(list, size, i, last);
        for (int level = list[i].level + 1; level <= latest; level++)
            if (count_at(list, size, kind, level) > 0) {
                list[i].level = level;
                break;
            }
    }
}
