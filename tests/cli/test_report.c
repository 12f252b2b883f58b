/* kappatune report: each of the three pages, whole and by itself, hostile names, however many rows, what is wrong said plainly, and
 * what a browser makes of it in light and dark, on a screen and on a phone. */
#include <stdbool.h>

#include "cli/program.h"

static const char hostile[] = "id,formula,prototype,a,kappa\n"
                              "\"<script>x&\"\"'\xff\",MgO,rocksalt,4.21,50\n"
                              "second<b>,MgO,rocksalt,4.21,60\n"
                              "salt,NaCl,rocksalt,5.6,7\n"
                              "a/b<i>,NaCl,rocksalt,5.7,7\n";

/* Interval, warnings and features as a scan may have them; the middle row has no prediction. */
static const char rows[] = "id,formula,atoms,kappa_mean,kappa_std,kappa_low_90,kappa_high_90,"
                           "fold_1,warnings,density\n"
                           "<img src=x>,MgO,2,50,10,20,90,50,element:Xx;far,3.5\n"
                           "b,NaCl,2,7,5,1,20,7,,2.1\n"
                           "c,KCl,2,nan,nan,,,nan,far,2.0\n"
                           "d,KBr,2,3,0.3,1,9,3,far,2.7\n"
                           "e,LiF,4,14,2,7,30,14,,2.6\n";

static int have_gnuplot(void)
{
    return system("command -v gnuplot >/dev/null") == 0;
}

/* Nothing is loaded, nothing runs, and the page is whole. */
static char *read_page(const char *folder, const char *name)
{
    char *page = read_text(in(folder, name), NULL);
    assert_int_equal(strncmp(page, "<!DOCTYPE html>", 15), 0);
    assert_non_null(strstr(page, "</html>"));
    assert_null(strstr(page, "http://"));
    assert_null(strstr(page, "https://"));
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "<img"));
    assert_null(strstr(page, "url("));
    assert_null(strstr(page, "href=\"h"));
    return page;
}

static void assert_page_says(const char *page, const char *text)
{
    if (!strstr(page, text))
        fail_msg("the page does not say: %s", text);
}

static void assert_begins(const char *folder, const char *name, const char *magic)
{
    size_t size;
    char *content = read_text(in(folder, name), &size);
    assert_true(size > 1000 && memcmp(content, magic, strlen(magic)) == 0);
    free(content);
}

static void train(outcome *r, const char *folder)
{
    run(r, folder,
        "$KT train --data datasets/togo15.csv --folds 2 --epochs 3 --out $D/run --quiet >/dev/null");
    assert_status(r, 0);
}

static void a_run_is_reported(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    train(&r, folder);
    run(&r, folder, "$KT report $D/run --out $D/run.html --figures $D/f --format png,pdf,svg");
    assert_status(&r, 0);
    char *page = read_page(folder, "run.html");
    assert_page_says(page, "togo15, 95 crystals");
    assert_page_says(page, "<dd>sound</dd>");
    assert_page_says(page, "inner: the epoch is chosen on a part of the training rows");
    assert_page_says(page, "Largest residuals");
    assert_page_says(page, "worker thread");
    assert_page_says(page, "kappatune train &#39;");
    assert_page_says(page, "<dt>learning_rate</dt><dd>0.001</dd>");
    if (have_gnuplot()) {
        assert_says(&r, "5 figures");
        assert_page_says(page, "FEAFTG15"); /* the published ones of the same set */
        assert_page_says(page, "aria-label=\"Parity");
        assert_begins(folder, "f/parity.png", "\x89PNG");
        assert_begins(folder, "f/parity.pdf", "%PDF");
        assert_begins(folder, "f/parity.svg", "<?xml");
        assert_begins(folder, "f/loss.gp", "# Drawn");
    }
    free(page);

    run(&r, folder, "rm $D/run/metrics.json $D/run/predictions.csv && $KT report $D/run --out $D/run.html");
    assert_status(&r, 0);
    page = read_page(folder, "run.html");
    assert_page_says(page, "has not finished");
    free(page);

    run(&r, folder, "echo '1,x' >>$D/run/epochs.csv; $KT report $D/run --out $D/run.html");
    assert_status(&r, 1);
    assert_complains(&r, "epochs.csv:8: is no line of a run's epochs");
    run(&r, folder, "$KT report models/togo15 --out $D/model.html");
    assert_status(&r, 0);
    page = read_page(folder, "model.html");
    assert_page_says(page, "no predictions.csv and no epochs.csv");
    free(page);
    outcome_destroy(&r);
}

static void every_stage_is_reported(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "recipe.json",
               "{\"data\": \"datasets/togo15.csv\", \"epochs\": 1, \"folds\": 2, \"stages\": ["
               "{\"name\": \"first_one\"}, {\"name\": \"second\", \"from\": {\"stage\": \"first_one\"}}]}");
    run(&r, folder,
        "$KT train $D/recipe.json --out $D/run --quiet >/dev/null && $KT report $D/run --out $D/r.html");
    assert_status(&r, 0);
    char *page = read_page(folder, "r.html");
    assert_page_says(page, "<h2>first_one</h2>");
    assert_page_says(page, "<h2>second</h2>");
    free(page);
    run(&r, folder, "rm $D/run/stages/second/metrics.json && $KT report $D/run --out $D/r.html");
    assert_status(&r, 0);
    assert_complains(&r, "stage second of");
    page = read_page(folder, "r.html");
    assert_page_says(page, "<h2>first_one</h2>");
    assert_null(strstr(page, "<h2>second</h2>"));
    free(page);
    outcome_destroy(&r);
}

static void a_data_set_is_reported(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "<set>&.csv", hostile);
    run(&r, folder, "$KT report \"$D/<set>&.csv\" --out $D/set.html --with datasets/togo15.csv");
    assert_status(&r, 3);
    assert_complains(&r, "1 row of");
    char *page = read_page(folder, "set.html");
    assert_page_says(page, "3 usable, 1 rejected");
    assert_page_says(page, "&lt;set&gt;&amp;.csv");
    assert_page_says(page, "&lt;script&gt;x&amp;&quot;&#39;\xEF\xBF\xBD");
    assert_page_says(page, "second&lt;b&gt;");
    assert_page_says(page, "a/b&lt;i&gt;"); /* a reject */
    assert_null(strstr(page, "second<b>"));
    assert_null(strchr(page, '\xff'));
    assert_page_says(page, "1 crystal looks to the network like an earlier one");
    assert_page_says(page, "<title>Mg: 2</title>");
    assert_page_says(page, "<title>Cl: 1</title>");
    free(page);

    /* A part of another set: every crystal here is there, and as many of those are here. */
    run(&r, folder,
        "grep -v '^#' datasets/togo15.csv | head -21 >$D/part.csv && $KT report $D/part.csv --with "
        "datasets/togo15.csv --out $D/part.html");
    assert_status(&r, 0);
    page = read_page(folder, "part.html");
    assert_page_says(page, "<td>95</td><td>0</td><td>20</td><td>20</td>");
    free(page);
    run(&r, folder, "$KT report datasets/togo15.csv --with datasets/togo15.csv --out $D/part.html");
    assert_status(&r, 1);
    outcome_destroy(&r);
}

static void a_scan_is_reported(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "scan.csv", rows);
    write_text(folder, "scan.rejects.csv", "id,line,reason\n<bad>,3,\"is \"\"no\"\" crystal\"\n");
    run(&r, folder, "$KT report $D/scan.csv --out $D/scan.html");
    assert_status(&r, 0);
    char *page = read_page(folder, "scan.html");
    assert_page_says(page, "&lt;img src=x&gt;");
    assert_page_says(page, "min 3, median 10.5, mean 18.5, max 50 W/(m K)");
    assert_page_says(page, "3 of 5 crystals have one.");
    assert_page_says(page, "<td>far</td><td>3</td><td>60</td>");
    assert_page_says(page, "<td>element</td><td>1</td>");
    assert_page_says(page, "<td>d</td><td>KBr</td><td>3</td><td>0.3</td><td>1</td><td>9</td>");
    assert_page_says(page, "1 crystals (25.0 %) have a standard deviation above half the mean");
    assert_page_says(page, "is &quot;no&quot; crystal");
    assert_page_says(page, "<td>density</td><td>4</td>");
    assert_null(strstr(page, "<td>fold_1</td>"));
    assert_null(strstr(page, "<td>kappa_interval_lower</td>"));
    free(page);
    run(&r, folder, "echo 'x,y' >>$D/scan.csv; $KT report $D/scan.csv --out $D/scan.html");
    assert_status(&r, 1);
    assert_complains(&r, "scan.csv:7: has 2 fields, the header 10");
    outcome_destroy(&r);
}

/* Exact counts of all rows, in a page that does not grow with them. */
static void many_rows_make_a_small_page(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    size_t size;
    run(&r, folder,
        "awk 'BEGIN { print \"id,formula,atoms,kappa_mean,kappa_std,density\"; for (i = 0; i < 120000; i++) "
        "{ m = exp(3 * sin(i)); printf \"c%%d,MgO,%%d,%%.5f,%%.5f,%%.4f\\n\", i, 1 + i %% 40, m, m * (0.1 + "
        "i %% 7), i %% 11 } }' >$D/many.csv && $KT report $D/many.csv --out $D/many.html");
    assert_status(&r, 0);
    char *page = read_page(folder, "many.html");
    free(page);
    page = read_text(in(folder, "many.html"), &size);
    assert_page_says(page, "<dt>rows</dt><dd>120000</dd>");
    assert_page_says(page, "Of 50000 rows that were drawn evenly from all.");
    assert_page_says(page, "approximate median");
    if (have_gnuplot())
        assert_page_says(page, "Cells stand for the points, all of which are counted");
    assert_true(size < 1 << 20);
    free(page);
    outcome_destroy(&r);
}

static void what_is_wrong_is_said(void **state)
{
    const char *folder = *state;
    static const struct {
        const char *command, *error;
        int status;
    } cases[] = {
        {"$KT report", "name one run, data set, scan or reproduction", 2},
        {"$KT report a b", "name one run, data set, scan or reproduction", 2},
        {"$KT report datasets/togo15.csv --format png", "--format is of the files of --figures", 2},
        {"$KT report datasets/togo15.csv --figures $D/f --format png,gif", "not 'gif'", 2},
        {"$KT report datasets/togo15.csv --threads 0", "--threads takes an integer", 2},
        {"$KT report $D/nothing --out $D/x.html", "nothing: cannot be opened", 1},
        {"$KT report $D --out $D/x.html", "neither a run", 1},
        {"$KT report datasets/togo15.csv --rejects $D/scan.csv --out $D/x.html", "is no scan", 1},
        {"$KT report $D/scan.csv --with datasets/togo15.csv --out $D/x.html", "is no data set", 1},
        {"$KT report $D/empty.csv --out $D/x.html", "empty.csv", 1},
        {"$KT report datasets/togo15.csv --out $D/scan.csv", "scan.csv: is there already", 1},
        {"$KT report $D/scan.csv --out $D/no/x.html", "cannot be created", 1},
        {"$KT report $D/scan.csv --rejects $D/nothing.csv --out $D/x.html", "nothing.csv: cannot be opened",
         1},
        {"$KT report $D/none.csv --out $D/x.html", "has no row with a prediction", 1},
    };
    outcome r = {0};
    write_text(folder, "scan.csv", rows);
    write_text(folder, "empty.csv", "");
    write_text(folder, "none.csv", "id,kappa_mean,kappa_std\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(&r, folder, "%s", cases[i].command);
        assert_complains(&r, cases[i].error);
        assert_status(&r, cases[i].status);
    }
    run(&r, folder, "test ! -e $D/x.html");
    assert_status(&r, 0);
    run(&r, folder, "PATH=/nothing-is-here $KT report $D/scan.csv --out $D/x.html");
    assert_status(&r, 0);
    assert_complains(&r, "there is no gnuplot");
    free(read_page(folder, "x.html"));
    outcome_destroy(&r);
}

/* ---- in a browser ---- */

static const char *browser(void)
{
    static const char *const names[] = {"chromium-headless-shell", "chromium", "google-chrome"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char command[96];
        snprintf(command, sizeof command, "command -v %s >/dev/null", names[i]);
        if (system(command) == 0)
            return names[i];
    }
    return NULL;
}

/* A copy of the page with the measuring script in place of its policy, which would not let it run. */
static void add_script(const char *folder, const char *page_name, const char *copy_name)
{
    char *page = read_text(in(folder, page_name), NULL), *script = read_text("tests/cli/measure.js", NULL),
         *policy = strstr(page, "<meta http-equiv"), *after = policy ? strchr(policy, '>') : NULL,
         *end = strstr(page, "</body>");
    assert_true(policy && after && end);
    FILE *out = fopen(in(folder, copy_name), "wb");
    assert_non_null(out);
    fprintf(out, "%.*s%.*s<script>%s</script></body></html>\n", (int)(policy - page), page,
            (int)(end - after - 1), after + 1, script);
    assert_int_equal(fclose(out), 0);
    free(page);
    free(script);
}

/* The first line of what the script measured; `problems`: all of it is shown where it found any. */
static void measure(const char *folder, const char *name, int width, int dark, bool problems, char line[128])
{
    outcome r = {0};
    run(&r, folder,
        "timeout 60 %s --headless --no-sandbox --disable-gpu --user-data-dir=$D/browser "
        "--blink-settings=preferredColorScheme=%d --window-size=%d,800 --dump-dom file://$D/%s >$D/dom "
        "2>/dev/null",
        browser(), dark ? 0 : 1, width, name);
    assert_status(&r, 0);
    char *dom = read_text(in(folder, "dom"), NULL), *found = strstr(dom, "<pre>MEASURED");
    if (!found)
        fail_msg("the browser measured nothing");
    snprintf(line, 128, "%.*s", (int)strcspn(found, "\n"), found);
    if (problems && !strstr(line, "problems:0"))
        print_error("%.*s\n", (int)strcspn(found + 1, "<"), found);
    free(dom);
    outcome_destroy(&r);
}

static void look(const char *folder, const char *page)
{
    static const struct {
        int width, dark;
    } views[] = {{1100, 0}, {1100, 1}, {360, 0}, {360, 1}};
    add_script(folder, page, "measured.html");
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        char line[128], expected[64];
        measure(folder, "measured.html", views[i].width, views[i].dark, true, line);
        snprintf(expected, sizeof expected, "MEASURED %d %s ", views[i].width,
                 views[i].dark ? "dark" : "light");
        assert_non_null(strstr(line, expected));
        assert_null(strstr(line, "svgs:0"));
        assert_non_null(strstr(line, "problems:0"));
    }
}

static void pages_are_clean_in_a_browser(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    if (!browser() || !have_gnuplot()) {
        print_message("no browser (Debian: chromium-headless-shell) or no gnuplot\n");
        skip();
    }
    train(&r, folder);
    run(&r, folder, "$KT report $D/run --out $D/run.html");
    assert_status(&r, 0);
    look(folder, "run.html");
    write_text(folder, "set.csv", hostile);
    run(&r, folder, "$KT report $D/set.csv --with datasets/togo15.csv --out $D/set.html");
    assert_status(&r, 3);
    look(folder, "set.html");
    run(&r, folder,
        "$KT scan models/togo15-hh143 datasets/examples --features --quiet --out $D/s.csv && $KT report "
        "$D/s.csv --out $D/s.html");
    assert_status(&r, 0);
    look(folder, "s.html");
    run(&r, folder,
        "mkdir $D/data && cp datasets/togo15.csv $D/data && $KT reproduce --out $D/paper --steps 1 --sets "
        "togo15 --data-root $D/data --folds 2 --epochs 2 --scan datasets/examples --quiet");
    assert_status(&r, 0);
    look(folder, "paper/report.html");
    run(&r, folder, "$KT report $D/paper --out $D/paper.html && cmp $D/paper.html $D/paper/report.html");
    assert_status(&r, 0);
    assert_says(&r, "the reproduction ");
    run(&r, folder, "$KT report $D/paper --out $D/paper.html --figures $D/figures");
    assert_status(&r, 1);
    assert_complains(&r, "is a reproduction");
    outcome_destroy(&r);
}

/* The measuring finds what it is there for. */
static void a_bad_page_is_found(void **state)
{
    const char *folder = *state;
    char line[128];
    if (!browser()) {
        print_message("no browser (Debian: chromium-headless-shell)\n");
        skip();
    }
    write_text(
        folder, "bad.html",
        "<!DOCTYPE html><html><head><meta "
        "http-equiv=\"x\"><style>body{background:#fff}</style></head><body><svg viewBox=\"0 0 100 50\" "
        "width=\"100\"><text x=\"5\" y=\"20\">one</text><text x=\"9\" y=\"22\">two</text><text x=\"90\" "
        "y=\"40\">clipped</text><text x=\"5\" y=\"40\" fill=\"#eee\">pale</text></svg><div "
        "style=\"width:2000px\">wide</div></body></html>");
    add_script(folder, "bad.html", "measured.html");
    measure(folder, "measured.html", 360, 0, false, line);
    assert_non_null(strstr(line, "problems:4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_reported, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(every_stage_is_reported, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_data_set_is_reported, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_scan_is_reported, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(many_rows_make_a_small_page, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(pages_are_clean_in_a_browser, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_bad_page_is_found, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
