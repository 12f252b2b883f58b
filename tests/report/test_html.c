/* What goes into a page: any bytes as text, gnuplot's figures in the page's colours, and counts in place of too many points. */
#include "support.h"

#include "report/bins.h"
#include "report/html.h"
#include "report/plot.h"

static void assert_text(const char *bytes, const char *expected)
{
    kti_text html = {0};
    kti_html_text(&html, bytes);
    assert_false(html.failed);
    assert_string_equal(html.data ? html.data : "", expected);
    kti_text_destroy(&html);
}

static void any_bytes_are_text(void **state)
{
    (void)state;
    assert_text("", "");
    assert_text("a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;");
    assert_text("1 \xC3\x85, \xE2\x82\xAC, \xF0\x9F\x92\x8E", "1 \xC3\x85, \xE2\x82\xAC, \xF0\x9F\x92\x8E");
    assert_text("a\tb\x01\x7F", "a b  ");
    assert_text("\xC2\x85", " ");                        /* a control character of two bytes */
    assert_text("\xFFz", "\xEF\xBF\xBDz");               /* no UTF-8 at all */
    assert_text("\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"); /* cut short */
    assert_text("\xC0\xBC", "\xEF\xBF\xBD\xEF\xBF\xBD"); /* an overlong < */
    assert_text("\xE0\x80\xBC", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_text("\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* a surrogate */
    assert_text("\xF4\x90\x80\x80<", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD&lt;");
}

static void formatted_texts_are_escaped(void **state)
{
    static const char *const header[] = {"<x>"};
    kti_text html = {0};
    (void)state;
    kti_html_begin(&html, "<t>", "<s>");
    kti_html_paragraph(&html, "note", "%s", "<p>");
    kti_html_table_begin(&html, 1, header, 1);
    kti_html_cell(&html, "%s & %d", "<c>", 1);
    kti_html_number(&html, 0.1234567);
    kti_html_number(&html, 0.0 / 0.0);
    kti_html_fact(&html, "<n>", "%s", "<v>");
    kti_html_code(&html, "<k>");
    static const char *const expected[] = {"<title>&lt;t&gt;</title>",
                                           "&lt;s&gt;",
                                           "<p class=\"note\">&lt;p&gt;</p>",
                                           "<th>&lt;x&gt;</th>",
                                           "<td>&lt;c&gt; &amp; 1</td><td>0.1235</td><td>\xE2\x80\x93</td>",
                                           "<dt>&lt;n&gt;</dt><dd>&lt;v&gt;</dd>",
                                           "<pre>&lt;k&gt;</pre>"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (!strstr(html.data, expected[i]))
            fail_msg("there is no %s", expected[i]);
    kti_text_destroy(&html);
}

static void a_figure_takes_the_pages_colours(void **state)
{
    static const char svg[] =
        "<?xml version=\"1.0\"?>\n<svg \n viewBox=\"0 0 440 340\"\n "
        "xmlns:xlink=\"x\"\n>\n<title>t</title>\n<desc>d</desc>\n"
        "<g id=\"gnuplot_canvas\">\n<defs><circle id='gpDot'/><path id='gpPt0'/><filter "
        "id='f'>x</filter></defs>\n"
        "<g fill=\"none\" color=\"black\">\n</g>\n<use xlink:href='#gpPt0' color='rgb( 43, 108, 176)'/>\n"
        "<g fill=\"rgb(32,33,36)\" font-family=\"Sans\"><text>mean gp rgb(1,2,3)</text></g></g>\n</svg>\n";
    kti_text html = {0};
    (void)state;
    kti_plot_inline(&html, svg, "fig", "a \"label\"");
    assert_string_equal(
        html.data, "<svg viewBox=\"0 0 440 340\" role=\"img\" aria-label=\"a &quot;label&quot;\">\n\n\n\n"
                   "<g>\n"
                   "<defs><circle id='fig-Dot'/><path id='fig-Pt0'/></defs>\n\n"
                   "<use href='#fig-Pt0' color='var(--blue)'/>\n"
                   "<g fill=\"var(--ink)\"><text>mean gp rgb(1,2,3)</text></g></g>\n"
                   "</svg>\n");
    kti_text_destroy(&html);
    kti_plot_inline(&html, "<svg viewBox=\"0 0", "fig", "cut short"); /* adds nothing */
    assert_int_equal(html.size, 0);
    kti_text script = {0};
    kti_plot_quote(&script, "it's\n`x`\xff");
    assert_string_equal(script.data, "'it''s?`x`?'");
    kti_text_destroy(&script);
}

static void values_find_their_bins(void **state)
{
    const kti_axis kappa = kti_axis_of_kappa(), plain = {.low = -1, .step = 0.5, .size = 4};
    (void)state;
    assert_int_equal(kti_axis_bin(&kappa, 1.05), 60);
    assert_int_equal(kti_axis_bin(&kappa, 1e-9), 0);
    assert_int_equal(kti_axis_bin(&kappa, 1e9), 119);
    assert_int_equal(kti_axis_bin(&kappa, 0), -1);
    assert_int_equal(kti_axis_bin(&kappa, -3), -1);
    assert_int_equal(kti_axis_bin(&kappa, 0.0 / 0.0), -1);
    assert_true(is_close(kti_axis_edge(&kappa, 60), 1, 1e-12, 0));
    assert_int_equal(kti_axis_bin(&plain, -0.75), 0);
    assert_int_equal(kti_axis_bin(&plain, 0), 2);
    assert_int_equal(kti_axis_bin(&plain, 1.0 / 0.0), -1);
    assert_true(is_close(kti_axis_edge(&plain, 4), 1, 1e-12, 0));
}

static int count(const char *text, const char *what)
{
    int size = 0;
    for (const char *at = text; at && (at = strstr(at, what)); at++)
        size++;
    return size;
}

static void too_many_points_are_counted(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    kti_cloud cloud;
    kti_text data = {0}, plot = {0};
    assert_ok(kti_cloud_create(kti_axis_of_kappa(), kti_axis_of_kappa(), &cloud, &error), &error);
    for (int i = 0; i < KTI_CLOUD_POINTS; i++)
        kti_cloud_add(&cloud, 1 + i, 2);
    kti_cloud_add(&cloud, -1, 2); /* has no place */
    assert_int_equal(cloud.size, KTI_CLOUD_POINTS);
    kti_cloud_draw(&cloud, KTI_BLUE, &data, &plot);
    assert_int_equal(count(data.data, "\n"), KTI_CLOUD_POINTS + 2);
    assert_string_equal(kti_cloud_remark(&cloud), "");
    assert_true(is_close(cloud.max[0], KTI_CLOUD_POINTS, 0, 0) && is_close(cloud.min[1], 2, 0, 0));
    kti_text_destroy(&data);
    kti_text_destroy(&plot);

    for (int i = 0; i < 1000000; i++) /* fills many more cells than are drawn */
        kti_cloud_add(&cloud, pow(10, -6 + 12 * (i % 1000) / 1000.0), pow(10, -6 + 12 * (i / 1000) / 1000.0));
    kti_cloud_draw(&cloud, KTI_BLUE, &data, &plot);
    assert_int_equal(cloud.size, KTI_CLOUD_POINTS + 1000000);
    assert_true(count(data.data, "\n") <= 2500 + 2 * 5);
    assert_true(count(plot.data, "boxxyerror") >= 1);
    assert_true(strlen(kti_cloud_remark(&cloud)) > 0);
    kti_text_destroy(&data);
    kti_text_destroy(&plot);
    kti_cloud_destroy(&cloud);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_are_text),
        cmocka_unit_test(formatted_texts_are_escaped),
        cmocka_unit_test(a_figure_takes_the_pages_colours),
        cmocka_unit_test(values_find_their_bins),
        cmocka_unit_test(too_many_points_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
