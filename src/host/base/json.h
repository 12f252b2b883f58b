/* JSON files over Jansson: reading with the file and line in errors, atomic writing, typed members.
 *
 * Members are looked up in an object that came from `file`; every error names the file and the key. A caller
 * that has a default asks json_object_get() first.
 */
#ifndef KTI_BASE_JSON_H
#define KTI_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <kappatune/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a file of at most `limit` bytes into *root (the caller's: json_decref). A repeated key, text after
 * the value and invalid UTF-8 are KT_BAD_FORMAT with the line. On failure *root is NULL. */
kt_status kti_json_read(const char *path, size_t limit, json_t **root, kt_error *error);

/* Writes `root` atomically: two spaces of indent, members in insertion order, 17 digits, a newline at the
 * end. */
kt_status kti_json_write(const char *path, const json_t *root, kt_error *error);

/* One member each; a missing key or another type is KT_BAD_FORMAT, "`epochs` must be an integer >= 1". What
 * comes out is borrowed from the object. A number may be written as an integer. INT64_MAX and INFINITY mean
 * no upper limit, INT64_MIN and -INFINITY no lower one. */
kt_status kti_json_integer(const json_t *object, const char *file, const char *key, int64_t min, int64_t max,
                           int64_t *value, kt_error *error);
kt_status kti_json_number(const json_t *object, const char *file, const char *key, double min, double max,
                          double *value, kt_error *error);
kt_status kti_json_boolean(const json_t *object, const char *file, const char *key, bool *value,
                           kt_error *error);
kt_status kti_json_string(const json_t *object, const char *file, const char *key, const char **value,
                          kt_error *error);
kt_status kti_json_object(const json_t *object, const char *file, const char *key, json_t **value,
                          kt_error *error);
kt_status kti_json_array(const json_t *object, const char *file, const char *key, json_t **value,
                         kt_error *error);

/* Refuses a key that is not among keys[size], so that a misspelt setting cannot pass unnoticed. */
kt_status kti_json_known_keys(const json_t *object, const char *file, const char *const *keys, size_t size,
                              kt_error *error);

/* The shortest decimal text that reads back as exactly `value`, "0.1", whatever the locale. false when it is
 * not finite or does not fit. */
bool kti_number_text(double value, char *text, size_t capacity);

/* Reads a whole text as one finite JSON number, whatever the locale. */
bool kti_number_parse(const char *text, double *value);
/* The same; NaN for what is none. */
double kti_number_or_nan(const char *text);

#ifdef __cplusplus
}
#endif
#endif
