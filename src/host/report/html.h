/* One HTML file that needs nothing else: its style is inside, it has no script, and it follows the reader's light or dark.
 *
 * Every text that comes from a user goes through kti_html_text.
 */
#ifndef KTI_REPORT_HTML_H
#define KTI_REPORT_HTML_H

#include "base/text.h"

/* Adds any bytes as text of an element or of a quoted attribute: markup escaped, what is no UTF-8 as U+FFFD each byte, and control
 * characters as a blank. */
void kti_html_text(kti_text *html, const char *text);

/* Everything up to the first section; `subtitle` is text, too. */
void kti_html_begin(kti_text *html, const char *title, const char *subtitle);
void kti_html_end(kti_text *html, const char *version);

void kti_html_heading(kti_text *html, int level, const char *text);
/* A paragraph of class `kind`: "note", "warning" or "". */
void kti_html_paragraph(kti_text *html, const char *kind, const char *format, ...) KTI_PRINTF(3, 4);

/* Tables, which scroll on their own where the screen is narrow. `texts` is how many of the first columns hold texts, the others
 * numbers. A row takes one cell after another. */
void kti_html_table_begin(kti_text *html, int texts, const char *const *header, int columns);
void kti_html_row_begin(kti_text *html);
void kti_html_cell(kti_text *html, const char *format, ...) KTI_PRINTF(2, 3);
/* With four significant digits; a dash for what is not finite. */
void kti_html_number(kti_text *html, double value);
void kti_html_row_end(kti_text *html);
void kti_html_table_end(kti_text *html);

/* Two columns, a name and what it is. */
void kti_html_facts_begin(kti_text *html);
void kti_html_fact(kti_text *html, const char *name, const char *format, ...) KTI_PRINTF(3, 4);
void kti_html_facts_end(kti_text *html);

/* What is folded away until it is asked for. */
void kti_html_details_begin(kti_text *html, const char *summary);
void kti_html_details_end(kti_text *html);

/* Adds Markdown with GitHub's tables as HTML, raw HTML as text. Non-zero when memory is short. */
int kti_html_markdown(kti_text *html, const char *markdown);

/* A command to copy. */
void kti_html_code(kti_text *html, const char *text);

#endif
