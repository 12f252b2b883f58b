/* Downloads: retries, resumption, fingerprints and limits, against a server on 127.0.0.1. */
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "data/folder.h"
#include "download/fetch.h"
#include "download/sha256.h"
#include "http.h"
#include "support.h"

enum { LIMIT = 1 << 20, SIZE = 100000 };

static folder place;
static http_server server;

typedef struct seen {
    int waits, stop_after_bytes;
    double longest_wait;
    int64_t max;
} seen;

static int watch(void *user, const kti_fetch_progress *now)
{
    seen *s = user;
    s->waits += now->reason != NULL;
    if (now->reason && now->waiting > s->longest_wait)
        s->longest_wait = now->waiting;
    if (now->received > s->max)
        s->max = now->received;
    return s->stop_after_bytes > 0 && now->received >= s->stop_after_bytes;
}

/* Quick ones: the waits of the defaults would be minutes. */
static kti_fetcher *fetcher_of(seen *s)
{
    kt_error error = KT_ERROR_NONE;
    kti_fetcher *fetcher;
    kti_fetch_options options = kti_fetch_options_default();
    options.agent = "test/1.0";
    options.attempts = 4;
    options.first_wait = 0.01;
    options.longest_wait = 5;
    options.stall_seconds = 1;
    options.pause = 0;
    options.progress = s ? watch : NULL;
    options.user = s;
    assert_ok(kti_fetcher_create(&options, &fetcher, &error), &error);
    return fetcher;
}

static const char *url_of(const char *path)
{
    static char text[512];
    snprintf(text, sizeof text, "%s%s", server.url, path);
    return text;
}

static void assert_content(const char *data, size_t size, size_t wanted)
{
    assert_int_equal(size, wanted);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)data[i] != (7 * i + i / 251) % 256)
            fail_msg("byte %zu is wrong", i);
}

static void assert_file(const char *path, size_t wanted)
{
    kt_error error = KT_ERROR_NONE;
    char *data;
    size_t size;
    assert_ok(kti_file_read(path, LIMIT, &data, &size, &error), &error);
    assert_content(data, size, wanted);
    free(data);
}

static void assert_memory(const char *path, size_t wanted)
{
    kt_error error = KT_ERROR_NONE;
    kti_fetcher *fetcher = fetcher_of(NULL);
    char *data;
    size_t size;
    assert_ok(kti_fetch_memory(fetcher, url_of(path), LIMIT, &data, &size, &error), &error);
    assert_content(data, size, wanted);
    assert_int_equal(data[size], 0);
    free(data);
    kti_fetcher_destroy(fetcher);
}

/* `path` as the target of a redirection. */
static const char *through_redirection(const char *path)
{
    static char text[512];
    snprintf(text, sizeof text, "/to?%s%s", server.url, path);
    return text;
}

static void assert_refused(const char *path, kt_status wanted, const char *says, int requests)
{
    kt_error error = KT_ERROR_NONE;
    kti_fetcher *fetcher = fetcher_of(NULL);
    char *data;
    size_t size;
    assert_int_equal(kti_fetch_memory(fetcher, url_of(path), LIMIT, &data, &size, &error), wanted);
    assert_null(data);
    if (!strstr(error.message, says))
        fail_msg("'%s' does not say '%s'", error.message, says);
    assert_int_equal(kti_fetcher_requests(fetcher), requests);
    kti_fetcher_destroy(fetcher);
}

static void sha256_of_known_files(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    char path[256], text[KTI_SHA256_TEXT];
    folder_write(&place, "abc", "abc"); /* the example of FIPS 180-4 */
    assert_ok(kti_sha256_file(folder_path(&place, "abc", path), text, &error), &error);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    folder_write(&place, "empty", "");
    assert_ok(kti_sha256_file(folder_path(&place, "empty", path), text, &error), &error);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(kti_sha256_file(folder_path(&place, "none", path), text, &error), KT_IO);
    assert_int_equal(kti_sha256_file(place.path, text, NULL), KT_IO);
}

static void plain_downloads(void **state)
{
    (void)state;
    assert_memory("/bytes?n=100000", SIZE);
    assert_memory("/bytes?n=0", 0);
    assert_memory("/bytes?n=1", 1);
    assert_memory(through_redirection("/bytes%3Fn=77"), 77);
    assert_true(http_count(&server, " test/1.0 /bytes?n=0") == 1);
}

static void passing_troubles_pass(void **state)
{
    (void)state;
    assert_memory("/bytes?n=100&fail=503:2", 100);
    assert_int_equal(http_count(&server, "/bytes?n=100&fail=503:2"), 3);
    assert_memory("/bytes?n=100&fail=500:1", 100);
    assert_memory("/bytes?n=100000&cut=5000:1", SIZE);
    assert_int_equal(http_count(&server, "/bytes?n=100000&cut=5000:1"), 2);
    assert_memory("/bytes?n=100&stall=1", 100);
    assert_int_equal(http_count(&server, "/bytes?n=100&stall=1"), 1 + 1);
}

static void a_server_is_waited_for_as_it_asks(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    seen s = {0};
    kti_fetcher *fetcher = fetcher_of(&s);
    char *data;
    size_t size;
    const double began = kti_seconds();
    assert_ok(
        kti_fetch_memory(fetcher, url_of("/bytes?n=100&fail=429:1&retry=1"), LIMIT, &data, &size, &error),
        &error);
    free(data);
    assert_true(kti_seconds() - began >= 1);
    assert_true(s.waits > 1);
    assert_true(is_close(s.longest_wait, 1, 0, 0.05));
    kti_fetcher_destroy(fetcher);
    assert_refused("/bytes?n=100&fail=429:9&retry=86400", KT_IO, "asks to wait for 86400 s", 1);
}

static void lasting_troubles_are_named(void **state)
{
    (void)state;
    assert_refused("/none", KT_IO, "status 404", 1);
    assert_refused("/bytes?n=100&fail=503:99", KT_IO, "status 503 (tried 4 times)", 4);
    assert_refused("/bytes?n=100000&cut=10:99", KT_IO, "broke off", 4);
    assert_refused("/bytes?n=1048577", KT_BAD_FORMAT, "more than 1048576 bytes", 1);
    assert_refused(through_redirection("/none"), KT_IO, "status 404", 1);
    assert_refused("/to?file:///etc/passwd", KT_IO, "rotocol", 1);
}

static void no_server_is_told_at_once(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    http_server gone;
    kti_fetcher *fetcher = fetcher_of(NULL);
    char *data;
    size_t size;
    http_start(&gone, place.path);
    http_stop(&gone); /* nobody listens there now */
    assert_int_equal(kti_fetch_memory(fetcher, gone.url, LIMIT, &data, &size, &error), KT_IO);
    assert_non_null(strstr(error.message, "cannot be reached"));
    assert_non_null(strstr(error.file, "127.0.0.1"));
    assert_int_equal(kti_fetcher_requests(fetcher), 2);
    assert_int_equal(kti_fetcher_answer(fetcher), 0);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kti_fetch_memory(fetcher, "file:///etc/passwd", LIMIT, &data, &size, &error), KT_IO);
    assert_null(data);
    kti_fetcher_destroy(fetcher);
}

/* The bytes that the server was asked for behind the first, over the address's requests. */
static void fetch_file(const char *path, const char *name, const char *sha256, kt_status wanted,
                       const char *says)
{
    kt_error error = KT_ERROR_NONE;
    char file[256];
    kti_fetcher *fetcher = fetcher_of(NULL);
    const kt_status status =
        kti_fetch_file(fetcher, url_of(path), folder_path(&place, name, file), sha256, LIMIT, &error);
    if (wanted == KT_OK)
        assert_ok(status, &error);
    assert_int_equal(status, wanted);
    if (!strstr(error.message, says))
        fail_msg("'%s' does not say '%s'", error.message, says);
    kti_fetcher_destroy(fetcher);
}

static bool is_there(const char *name)
{
    char path[256];
    return kti_file_exists(folder_path(&place, name, path));
}

static void a_cut_file_goes_on(void **state)
{
    (void)state;
    char path[256];
    fetch_file("/bytes?n=100000&cut=30000:1", "a", NULL, KT_OK, "");
    assert_file(folder_path(&place, "a", path), SIZE);
    assert_int_equal(http_count(&server, "206 bytes=30000- test/1.0 /bytes?n=100000&cut=30000:1"), 1);
    assert_false(is_there("a.download"));

    /* Each attempt brings something, so there may be more of them than without. */
    fetch_file("/bytes?n=100000&cut=12000:8", "b", NULL, KT_OK, "");
    assert_file(folder_path(&place, "b", path), SIZE);
    assert_int_equal(http_count(&server, "/bytes?n=100000&cut=12000:8"), 9);

    /* What cannot be told to be the same file is begun again. */
    fetch_file("/bytes?n=100000&cut=30000:1&tag=no", "c", NULL, KT_OK, "");
    assert_file(folder_path(&place, "c", path), SIZE);
    assert_int_equal(http_count(&server, "200 - test/1.0 /bytes?n=100000&cut=30000:1&tag=no"), 2);
    fetch_file("/bytes?n=100000&cut=30000:1&tag=weak", "d", NULL, KT_OK, "");
    assert_int_equal(http_count(&server, "200 - test/1.0 /bytes?n=100000&cut=30000:1&tag=weak"), 2);
    fetch_file("/bytes?n=100000&cut=30000:1&tag=changing", "e", NULL, KT_OK, "");
    assert_file(folder_path(&place, "e", path), SIZE);
    assert_int_equal(
        http_count(&server, "200 bytes=30000- test/1.0 /bytes?n=100000&cut=30000:1&tag=changing"), 1);

    /* A server without ranges, and one that gives another part than was asked for. */
    fetch_file("/bytes?n=100000&cut=30000:1&ranges=no", "f", NULL, KT_OK, "");
    assert_file(folder_path(&place, "f", path), SIZE);
    fetch_file("/bytes?n=100000&cut=30000:1&wrong_range=1", "g", NULL, KT_OK, "");
    assert_file(folder_path(&place, "g", path), SIZE);

    fetch_file("/bytes?n=100000&cut=30000:99&tag=no", "h", NULL, KT_IO, "broke off after 30000 bytes");
    assert_false(is_there("h"));
    assert_false(is_there("h.download"));
}

static void fingerprints_decide(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    char path[256], right[KTI_SHA256_TEXT], wrong[KTI_SHA256_TEXT];
    fetch_file("/bytes?n=100000", "sample", NULL, KT_OK, "");
    assert_ok(kti_sha256_file(folder_path(&place, "sample", path), right, &error), &error);
    memcpy(wrong, right, sizeof wrong);
    wrong[63] = wrong[63] == '0' ? '1' : '0';

    fetch_file("/bytes?n=100000&case=wrong", "w", wrong, KT_BAD_FORMAT, right);
    fetch_file("/bytes?n=100000&case=wrong", "w", wrong, KT_BAD_FORMAT, wrong);
    assert_false(is_there("w"));
    assert_false(is_there("w.download"));

    /* Left by an earlier call: gone on with, although the server gives no tag. */
    fetch_file("/bytes?n=100000&cut=30000:4&tag=no&ranges=no", "r", right, KT_IO, "broke off");
    assert_true(is_there("r.download"));
    fetch_file("/bytes?n=100000&tag=no&case=rest", "r", right, KT_OK, "");
    assert_file(folder_path(&place, "r", path), SIZE);
    assert_int_equal(http_count(&server, "206 bytes=30000- test/1.0 /bytes?n=100000&tag=no&case=rest"), 1);
    assert_false(is_there("r.download"));
    fetch_file("/bytes?n=100000&case=never", "r", right, KT_OK, "");
    assert_int_equal(http_count(&server, "case=never"), 0);

    /* The part of another file, shorter and longer than this one, and a whole file that was never put in place. */
    folder_write(&place, "o.download", "something else altogether");
    fetch_file("/bytes?n=100000&tag=no&case=other", "o", right, KT_OK, "");
    assert_file(folder_path(&place, "o", path), SIZE);
    char *longer = calloc(1, SIZE + 5);
    assert_non_null(longer);
    folder_write_bytes(&place, "l.download", longer, SIZE + 5);
    free(longer);
    fetch_file("/bytes?n=100000&tag=no&case=longer", "l", right, KT_OK, "");
    assert_file(folder_path(&place, "l", path), SIZE);
    char from[256];
    assert_int_equal(rename(folder_path(&place, "l", from), folder_path(&place, "m.download", path)), 0);
    fetch_file("/bytes?n=100000&case=whole", "m", right, KT_OK, "");
    assert_int_equal(http_count(&server, "case=whole"), 0);
    assert_file(folder_path(&place, "m", path), SIZE);
}

static void a_stop_is_obeyed(void **state)
{
    (void)state;
    kt_error error = KT_ERROR_NONE;
    seen s = {.stop_after_bytes = 1};
    kti_fetcher *fetcher = fetcher_of(&s);
    char path[256], sha256[KTI_SHA256_TEXT] = "00", *data;
    size_t size;
    assert_int_equal(kti_fetch_memory(fetcher, url_of("/bytes?n=1000000"), LIMIT, &data, &size, &error),
                     KT_INTERRUPTED);
    assert_null(data);
    error = (kt_error)KT_ERROR_NONE;
    assert_int_equal(kti_fetch_file(fetcher, url_of("/bytes?n=1000000&case=stop"),
                                    folder_path(&place, "s", path), sha256, LIMIT, &error),
                     KT_INTERRUPTED);
    assert_true(is_there("s.download"));
    assert_false(is_there("s"));
    assert_int_equal(kti_fetcher_requests(fetcher), 2);
    kti_fetcher_destroy(fetcher);
}

static void faults_of_the_disk_are_named(void **state)
{
    (void)state;
    fetch_file("/bytes?n=10", "none/x", NULL, KT_IO, "cannot be created");
    assert_int_equal(symlink("/dev/full", folder_path(&place, "full.download", (char[256]){0})), 0);
    fetch_file("/bytes?n=10&case=full", "full", NULL, KT_IO, "cannot be written");
    assert_false(is_there("full"));
}

static int start(void **state)
{
    (void)state;
    folder_create(&place);
    http_start(&server, place.path);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_stop(&server);
    folder_destroy(&place);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_known_files),      cmocka_unit_test(plain_downloads),
        cmocka_unit_test(passing_troubles_pass),      cmocka_unit_test(a_server_is_waited_for_as_it_asks),
        cmocka_unit_test(lasting_troubles_are_named), cmocka_unit_test(no_server_is_told_at_once),
        cmocka_unit_test(a_cut_file_goes_on),         cmocka_unit_test(fingerprints_decide),
        cmocka_unit_test(a_stop_is_obeyed),           cmocka_unit_test(faults_of_the_disk_are_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
