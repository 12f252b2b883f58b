#include "report/html.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <md4c-html.h>

#include "report/plot.h"

/* In light, colours are those of figures; here is what they become in dark. */
static const char style[] =
    ":root{--ground:#ffffff;--ink:" KTI_INK ";--muted:" KTI_MUTED ";--rule:" KTI_RULE ";--soft:#f5f6f8;"
    "--blue:" KTI_BLUE ";--orange:" KTI_ORANGE ";--green:" KTI_GREEN ";--purple:" KTI_PURPLE
    ";--warn:#8a4b00;color-scheme:light dark}\n"
    "@media (prefers-color-scheme:dark){:root{--ground:#16181b;--ink:#e6e7e9;--muted:#a0a6ad;--rule:#363a40;"
    "--soft:#1f2226;--blue:#7db3ea;--orange:#f0a06a;--green:#74c69d;--purple:#b79cf5;--warn:#f2c078}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,'Segoe "
    "UI',Roboto,'DejaVu Sans',sans-serif;overflow-wrap:anywhere}\n"
    "main{max-width:1000px;margin:0 auto;padding:24px 16px 48px}\n"
    "h1{font-size:1.6rem;line-height:1.25;margin:0 0 4px}\n"
    "h2{font-size:1.25rem;margin:40px 0 12px;padding-bottom:4px;border-bottom:1px solid var(--rule)}\n"
    "h3{font-size:1.02rem;margin:26px 0 8px}\n"
    "p{margin:8px 0;max-width:75ch}.subtitle,.note,footer{color:var(--muted)}.note,footer{font-size:.88rem}\n"
    ".warning{border-left:3px solid var(--warn);padding-left:10px;color:var(--warn)}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:20px "
    "28px}\n"
    "figure{margin:8px 0;min-width:0}figure.wide{grid-column:1/-1;overflow-x:auto}\n"
    "figure svg{display:block;width:100%;height:auto;max-width:560px}\n"
    "figure.wide svg{max-width:940px}figure.map svg{max-width:none}\n"
    "figcaption{font-size:.88rem;color:var(--muted);margin-top:6px}\n"
    ".scroll{overflow-x:auto;margin:10px 0}\n"
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:4px 12px 4px 0;text-align:right;vertical-align:top;overflow-wrap:normal}\n"
    "th{font-weight:600;border-bottom:1px solid var(--muted);vertical-align:bottom}\n"
    "td{border-bottom:1px solid var(--rule)}\n"
    "main>table{display:block;overflow-x:auto;margin:10px 0}main>table "
    ":is(th,td):first-child{text-align:left}\n"
    "figure.paper>div{background:#fff}\n"
    "table.t1 :is(th,td):nth-child(-n+1),table.t2 :is(th,td):nth-child(-n+2),table.t3 "
    ":is(th,td):nth-child(-n+3),table.t4 :is(th,td):nth-child(-n+4){text-align:left}\n"
    "td:first-child{min-width:10em;max-width:34em;overflow-wrap:anywhere}\n"
    "table.t4 td:is(:nth-child(2),:nth-child(4)){min-width:16em;max-width:34em;overflow-wrap:anywhere}\n"
    "dl{display:grid;grid-template-columns:minmax(7em,max-content) 1fr;gap:4px 16px;margin:10px 0;"
    "font-size:.92rem}\n"
    "dt{color:var(--muted)}dd{margin:0;min-width:0}\n"
    "pre{background:var(--soft);padding:10px 12px;border-radius:4px;white-space:pre-wrap;font:.86rem/1.5 "
    "ui-monospace,'DejaVu Sans Mono',monospace}\n"
    "details{margin:10px 0}summary{cursor:pointer;color:var(--blue)}\n"
    "footer{margin-top:48px;border-top:1px solid var(--rule);padding-top:10px}\n"
    "@media (max-width:480px){main{padding:16px 12px 32px}h1{font-size:1.35rem}.count{display:none}"
    "dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:6px}}\n"
    "@media print{details>*{display:block}}\n";

/* The bytes of the UTF-8 character at `text`; 0 if there is none: a lone, overlong or surrogate one. */
static int character_bytes(const unsigned char *text)
{
    const unsigned char c = text[0];
    if (c < 0x80)
        return 1;
    const int more = c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : 0;
    for (int i = 1; i <= more; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    if ((c == 0xE0 && text[1] < 0xA0) || (c == 0xED && text[1] > 0x9F) || (c == 0xF0 && text[1] < 0x90) ||
        (c == 0xF4 && text[1] > 0x8F))
        return 0;
    return more ? more + 1 : 0;
}

void kti_html_text(kti_text *html, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        const int bytes = character_bytes(c);
        if (*c == '&')
            kti_text_add(html, "&amp;");
        else if (*c == '<')
            kti_text_add(html, "&lt;");
        else if (*c == '>')
            kti_text_add(html, "&gt;");
        else if (*c == '"')
            kti_text_add(html, "&quot;");
        else if (*c == '\'')
            kti_text_add(html, "&#39;");
        else if (*c < ' ' || *c == 0x7F || (*c == 0xC2 && bytes == 2 && c[1] < 0xA0))
            kti_text_add(html, " ");
        else if (bytes == 0)
            kti_text_add(html, "\xEF\xBF\xBD");
        else
            kti_text_add(html, "%.*s", bytes, (const char *)c);
        c += bytes ? bytes : 1;
    }
}

static void add_formatted(kti_text *html, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text) {
        vsnprintf(text, (size_t)length + 1, format, again);
        kti_html_text(html, text);
    } else {
        html->failed = true;
    }
    va_end(again);
    free(text);
}

void kti_html_begin(kti_text *html, const char *title, const char *subtitle)
{
    kti_text_add(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                       "'unsafe-inline'\">\n<title>");
    kti_html_text(html, title);
    kti_text_add(html, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>", style);
    kti_html_text(html, title);
    kti_text_add(html, "</h1>\n<p class=\"subtitle\">");
    kti_html_text(html, subtitle);
    kti_text_add(html, "</p>\n");
}

void kti_html_end(kti_text *html, const char *version)
{
    kti_text_add(html, "<footer>Made by kappatune ");
    kti_html_text(html, version);
    kti_text_add(html, ". This file needs no other.</footer>\n</main>\n</body>\n</html>\n");
}

void kti_html_heading(kti_text *html, int level, const char *text)
{
    kti_text_add(html, "<h%d>", level);
    kti_html_text(html, text);
    kti_text_add(html, "</h%d>\n", level);
}

void kti_html_paragraph(kti_text *html, const char *kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    kti_text_add(html, "<p class=\"%s\">", kind);
    add_formatted(html, format, arguments);
    kti_text_add(html, "</p>\n");
    va_end(arguments);
}

void kti_html_table_begin(kti_text *html, int texts, const char *const *header, int columns)
{
    kti_text_add(html, "<div class=\"scroll\"><table class=\"t%d\"><thead><tr>", texts);
    for (int i = 0; i < columns; i++) {
        kti_text_add(html, "<th>");
        kti_html_text(html, header[i]);
        kti_text_add(html, "</th>");
    }
    kti_text_add(html, "</tr></thead><tbody>\n");
}

void kti_html_row_begin(kti_text *html)
{
    kti_text_add(html, "<tr>");
}

void kti_html_cell(kti_text *html, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    kti_text_add(html, "<td>");
    add_formatted(html, format, arguments);
    kti_text_add(html, "</td>");
    va_end(arguments);
}

void kti_html_number(kti_text *html, double value)
{
    if (isfinite(value))
        kti_html_cell(html, "%.4g", value);
    else
        kti_html_cell(html, "\xE2\x80\x93");
}

void kti_html_row_end(kti_text *html)
{
    kti_text_add(html, "</tr>\n");
}

void kti_html_table_end(kti_text *html)
{
    kti_text_add(html, "</tbody></table></div>\n");
}

void kti_html_facts_begin(kti_text *html)
{
    kti_text_add(html, "<dl>\n");
}

void kti_html_fact(kti_text *html, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    kti_text_add(html, "<dt>");
    kti_html_text(html, name);
    kti_text_add(html, "</dt><dd>");
    add_formatted(html, format, arguments);
    kti_text_add(html, "</dd>\n");
    va_end(arguments);
}

void kti_html_facts_end(kti_text *html)
{
    kti_text_add(html, "</dl>\n");
}

void kti_html_details_begin(kti_text *html, const char *summary)
{
    kti_text_add(html, "<details><summary>");
    kti_html_text(html, summary);
    kti_text_add(html, "</summary>\n");
}

void kti_html_details_end(kti_text *html)
{
    kti_text_add(html, "</details>\n");
}

void kti_html_code(kti_text *html, const char *text)
{
    kti_text_add(html, "<pre>");
    kti_html_text(html, text);
    kti_text_add(html, "</pre>\n");
}

static void add_piece(const MD_CHAR *text, MD_SIZE size, void *html)
{
    kti_text_add(html, "%.*s", (int)size, text);
}

int kti_html_markdown(kti_text *html, const char *markdown)
{
    return md_html(markdown, (MD_SIZE)strlen(markdown), add_piece, html, MD_DIALECT_GITHUB | MD_FLAG_NOHTML,
                   0);
}
