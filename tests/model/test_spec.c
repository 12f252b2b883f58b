#include "support.h"

#include <stdio.h>
#include <string.h>

#include "crystal/elements.h"
#include "model/safetensors.h"
#include "model/spec.h"

static void the_sums_are_the_published_ones(void **state)
{
    (void)state;
    int size = 0;
    long long parameters[3] = {0};
    const kti_parameter *table = kti_spec(&size);
    for (int i = 0; i < size; i++)
        parameters[table[i].part] += (long long)table[i].rows * table[i].columns;
    assert_int_equal(parameters[KTI_PART_BODY], KTI_BODY_PARAMETERS);
    assert_int_equal(parameters[KTI_PART_EFORM], KTI_READOUT + 1);
    assert_int_equal(parameters[KTI_PART_HEAD], KTI_HEAD_PARAMETERS);
    assert_int_equal(KTI_BODY_PARAMETERS + KTI_HEAD_PARAMETERS, 478205);
}

static void rows_are_well_formed(void **state)
{
    (void)state;
    int size = 0;
    const kti_parameter *table = kti_spec(&size);
    for (int i = 0; i < size; i++) {
        const kti_parameter *row = &table[i];
        assert_int_equal(kti_spec_find(row->name), i); /* also: no name twice */
        assert_true(row->rank == 2 || (row->rank == 1 && row->rows == 1));
        assert_true(row->fan > 0);
        if (i > 0)
            assert_true(row->part >= table[i - 1].part); /* body, formation energy, head */
        bool lstm = strstr(row->name, ".lstm.") != NULL;
        if (row->initialiser == KTI_INIT_NORMAL)
            assert_int_equal(row->rows, KTI_ELEMENT_TYPES);
        else if (lstm)
            assert_int_equal(row->fan, KTI_FEATURES);
        else if (row->rank == 2)
            assert_int_equal(row->fan, row->columns);
        else
            assert_int_equal(row->fan, table[i - 1].columns); /* a bias follows its weight */
    }
    assert_int_equal(kti_spec_find("no.such.parameter"), -1);
    assert_int_equal(kti_spec_find(""), -1);
}

/* Name of the table's parameter in the reference files. */
static void reference_name(const kti_parameter *row, char *name, size_t capacity)
{
    static const char *const layers[] = {"IL", "HL2", "HL3", "FL"};
    int layer = 0, length = 0;
    if (sscanf(row->name, "head.layers.%d.%n", &layer, &length) == 1)
        snprintf(name, capacity, "myMLP.%s.%s", layers[layer], row->name + length);
    else
        snprintf(name, capacity, "pretrained.%s", row->name);
}

static void the_table_is_that_of_the_reference(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_tensors reference = {0};
    int size = 0;
    size_t matched = 0;
    const kti_parameter *table = kti_spec(&size);
    assert_int_equal(kti_safetensors_read(golden_path("transfer_init.safetensors"), &reference, &error),
                     KT_OK);
    for (int i = 0; i < size; i++) {
        char name[96];
        if (table[i].part == KTI_PART_EFORM)
            continue;
        reference_name(&table[i], name, sizeof name);
        const kti_tensor *found = kti_tensors_find(&reference, name);
        if (!found)
            fail_msg("the reference has no %s", name);
        assert_int_equal(found->rank, table[i].rank);
        assert_int_equal(found->shape[found->rank - 1], table[i].columns);
        if (found->rank == 2)
            assert_int_equal(found->shape[0], table[i].rows);
        matched++;
    }
    assert_int_equal(matched + 1, reference.size); /* the Gaussian centres are no parameter */
    kti_tensors_destroy(&reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sums_are_the_published_ones),
        cmocka_unit_test(rows_are_well_formed),
        cmocka_unit_test(the_table_is_that_of_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
