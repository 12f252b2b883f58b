/* The list of prediction columns: every header of it is read back, a name that is not in it is the user's own, and docs/columns.md says what
 * the list says. KAPPATUNE_WRITE_DOCS=1 writes that page anew. */
#include "support.h"

#include "base/file.h"
#include "predictor/prediction_table.h"

static const char page_path[] = "docs/columns.md";

static void names_are_found_again(void **state)
{
    (void)state;
    int size;
    const kti_prediction_column *columns = kti_prediction_columns(&size);
    for (int i = 0; i < size; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", columns[i].name[0] == '_' ? "kappa" : "",
                 columns[i].role == KTI_ROLE_MEMBER ? "fold_12" : columns[i].name);
        assert_ptr_equal(kti_prediction_column_find(name, "kappa"), &columns[i]);
        assert_int_equal(kti_is_prediction(name, "kappa"), columns[i].role != KTI_ROLE_CRYSTAL);
    }
}

static void other_names_are_the_users(void **state)
{
    (void)state;
    static const char *const names[] = {"kappa_measured", "kappa", "kappa_", "_mean", "fold_",    "fold_1a",
                                        "folds",          "mean",  "bulk",   "",      "distance "};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(kti_is_prediction(names[i], "kappa"));
    assert_false(kti_is_prediction("kappa_mean", "eform"));
    assert_true(kti_is_prediction("eform_mean", "eform"));
}

static void headers_are_read(void **state)
{
    (void)state;
    static const char *const names[] = {"id",           "x_mean",     "kappa_mean", "formula",
                                        "kappa_std",    "kappa_low",  "kappa_high", "warnings",
                                        "kappa_low_90", "eform_mean", "eform_std",  "kappa_high_90"};
    kti_prediction_header h;
    assert_true(kti_prediction_header_read(names, 12, NULL, &h));
    assert_string_equal(h.quantity, "kappa"); /* x_mean has no x_std */
    assert_int_equal(h.mean, 2);
    assert_int_equal(h.sd, 4);
    assert_int_equal(h.formula, 3);
    assert_int_equal(h.warnings, 7);
    assert_int_equal(h.low, 8);
    assert_int_equal(h.high, 11);
    assert_int_equal(h.level, 90);
    assert_true(kti_prediction_header_read(names, 11, NULL, &h)); /* half an interval is none */
    assert_int_equal(h.low, 5);
    assert_int_equal(h.high, 6);
    assert_int_equal(h.level, 68);
    assert_true(kti_prediction_header_read(names, 12, "eform", &h));
    assert_int_equal(h.mean, 9);
    assert_int_equal(h.low, -1);
    assert_int_equal(h.level, 0);
    assert_false(kti_prediction_header_read(names, 4, NULL, &h));
    assert_false(kti_prediction_header_read(names, 12, "x", &h));
}

/* ---- the page ---- */

static void add_name(kti_text *text, const kti_prediction_column *column)
{
    if (column->role == KTI_ROLE_MEMBER)
        kti_text_add(text, "`fold_1` ...");
    else
        kti_text_add(text, "`%s%s`", column->name[0] == '_' ? "kappa" : "", column->name);
}

static void add_writers(kti_text *text, int writers)
{
    static const char *const names[] = {"csv", "json", "scan"};
    bool any = false;
    for (int i = 0; i < 3; i++)
        if (writers >> i & 1) {
            kti_text_add(text, "%s%s", any ? ", " : "", names[i]);
            any = true;
        }
}

static void add_needs(kti_text *text, int needs)
{
    static const char *const names[] = {"kappa is predicted", "every member is a Gaussian process",
                                        "the model has a calibration", "there are several members",
                                        "`--features`"};
    for (int i = 0; i < 5; i++)
        if (needs >> i & 1)
            kti_text_add(text, "%s", names[i]);
}

static void write_page(kti_text *text)
{
    int size;
    const kti_prediction_column *columns = kti_prediction_columns(&size);
    kti_text_add(
        text, "# The columns of predictions\n\n"
              "What `kappatune predict --format csv` (csv) and `--format json` (json) and "
              "`kappatune scan` (scan) write of a crystal,\n"
              "in this order, and what `analyze` and `report` take it for. Of `--property eform` "
              "the names begin with `eform` instead\n"
              "of `kappa`, and the unit is eV/atom. A field without a value is empty; in JSON it "
              "is null.\n"
              "\n"
              "`analyze` and `report` correlate predictions with what is of the crystal, and with "
              "every column that is not in this\n"
              "list: whoever adds columns of their own to such a table may name them as they like, "
              "`kappa_measured` too. How far to\n"
              "trust a prediction is in [uncertainty.md](uncertainty.md).\n"
              "\n"
              "| column | unit | what | role | written by | if |\n| --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < size; i++) {
        kti_text_add(text, "| ");
        add_name(text, &columns[i]);
        kti_text_add(text, " | %s | %s | %s | ", columns[i].unit ? columns[i].unit : "W/(m K)",
                     columns[i].meaning, kti_column_role_name(columns[i].role));
        add_writers(text, columns[i].writers);
        kti_text_add(text, " | ");
        add_needs(text, columns[i].needs);
        kti_text_add(text, " |\n");
    }
    kti_text_add(
        text, "\nThis page is written by `KAPPATUNE_WRITE_DOCS=1 ctest --preset debug -R prediction_table` "
              "from the list in\n"
              "`src/host/predictor/prediction_table.c`\n"
              "([developing/add-a-prediction-column.md](developing/add-a-prediction-column.md)).\n");
}

static void the_page_is_that_of_the_list(void **state)
{
    (void)state;
    kti_text text = {0};
    kt_error error = KT_ERROR_NONE;
    char *page = NULL;
    size_t size;
    write_page(&text);
    assert_false(text.failed);
    if (getenv("KAPPATUNE_WRITE_DOCS"))
        assert_ok(kti_file_write(page_path, text.data, text.size, &error), &error);
    assert_ok(kti_file_read(page_path, 1 << 20, &page, &size, &error), &error);
    assert_string_equal(page, text.data);
    free(page);
    kti_text_destroy(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_again),
        cmocka_unit_test(other_names_are_the_users),
        cmocka_unit_test(headers_are_read),
        cmocka_unit_test(the_page_is_that_of_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
