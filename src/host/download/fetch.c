#include "download/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "download/sha256.h"

enum {
    REDIRECTIONS = 5,
    /* Without a network a user should not wait through all attempts: a server that never answered gets two. */
    UNREACHED_ATTEMPTS = 2
};

struct kti_fetcher {
    kti_fetch_options options;
    CURL *curl; /* owned */
    char reason[CURL_ERROR_SIZE];
    bool reached;        /* some server has answered */
    int answer;          /* HTTP status of the last attempt; 0 for none */
    int64_t requests;    /* attempts so far */
    double last_request; /* when the last one ended, s */
};

/* One download over all its attempts. The content goes to a file, or to memory if there is none. */
typedef struct transfer {
    kti_fetcher *fetcher;
    const char *url;
    size_t limit;
    int file; /* -1: memory */
    const char *path;
    char *memory; /* owned until it is handed out */
    size_t capacity;
    size_t stored; /* bytes that are here */
    kt_error *error;

    char validator[256]; /* ETag or date of what is stored; "" if there is none */
    bool may_resume;     /* what is stored is known to belong to the file, or a fingerprint will tell */
    char etag[256];      /* of this answer */
    char date[64];       /* Last-Modified of this answer */
    int64_t range_start; /* of this answer's Content-Range; -1 for none */
    size_t start;        /* offset that this attempt asked for */
    bool begun;          /* the answer's content has begun */
    bool discard;        /* it is an error page */
    kt_status failed;    /* a fault of ours or of the file, which no further attempt mends */
} transfer;

kti_fetch_options kti_fetch_options_default(void)
{
    return (kti_fetch_options){
        .agent = "libkappatune",
        .attempts = 6,
        .first_wait = 1,
        .longest_wait = 300,
        .connect_seconds = 20,
        .stall_seconds = 120,
        .pause = 0.2,
    };
}

static CURLcode global_state;

static void start_curl(void)
{
    global_state = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- what arrives ---- */

static size_t trimmed_copy(char *to, size_t capacity, const char *from, size_t size)
{
    while (size > 0 && (*from == ' ' || *from == '\t'))
        from++, size--;
    while (size > 0 && strchr(" \t\r\n", from[size - 1]))
        size--;
    /* A validator cut short would be another one. */
    if (size >= capacity)
        size = 0;
    memcpy(to, from, size);
    to[size] = '\0';
    return size;
}

static bool header_is(const char *line, size_t size, const char *name)
{
    const size_t length = strlen(name);
    return size > length && line[length] == ':' && strncasecmp(line, name, length) == 0;
}

static size_t take_header(char *line, size_t one, size_t size, void *user)
{
    transfer *t = user;
    char text[64];
    (void)one;
    if (size >= 5 && strncmp(line, "HTTP/", 5) == 0) { /* also after a redirection */
        t->etag[0] = t->date[0] = '\0';
        t->range_start = -1;
    } else if (header_is(line, size, "ETag")) {
        trimmed_copy(t->etag, sizeof t->etag, line + 5, size - 5);
    } else if (header_is(line, size, "Last-Modified")) {
        trimmed_copy(t->date, sizeof t->date, line + 14, size - 14);
    } else if (header_is(line, size, "Content-Range")) {
        long long start;
        trimmed_copy(text, sizeof text, line + 14, size - 14);
        if (sscanf(text, "bytes %18lld-", &start) == 1)
            t->range_start = start;
    }
    return size;
}

static bool set_size(transfer *t, size_t size)
{
    if (t->file >= 0 && (ftruncate(t->file, (off_t)size) != 0 || lseek(t->file, (off_t)size, SEEK_SET) < 0)) {
        t->failed = kti_fail_file(t->error, KT_IO, t->path, "cannot be written: %s", strerror(errno));
        return false;
    }
    t->stored = size;
    return true;
}

/* Where the content of an answer belongs: behind what is stored, or in its place. */
static bool begin_content(transfer *t)
{
    long code = 0;
    curl_easy_getinfo(t->fetcher->curl, CURLINFO_RESPONSE_CODE, &code);
    t->begun = true;
    t->discard = code != 200 && code != 206;
    if (t->discard)
        return true;
    if (code == 206 && t->range_start != (int64_t)t->start) {
        t->may_resume = false;
        t->validator[0] = '\0';
        return false;
    }
    if (!set_size(t, code == 206 ? t->start : 0))
        return false;
    /* A weak tag tells nothing about bytes. */
    if (t->etag[0] != '\0' && strncmp(t->etag, "W/", 2) != 0)
        memcpy(t->validator, t->etag, sizeof t->etag);
    else
        memcpy(t->validator, t->date, sizeof t->date);
    return true;
}

static bool store_in_file(transfer *t, const char *data, size_t size)
{
    for (size_t written = 0; written < size;) {
        const ssize_t step = write(t->file, data + written, size - written);
        if (step < 0 && errno == EINTR)
            continue;
        if (step < 0) {
            t->failed = kti_fail_file(t->error, KT_IO, t->path, "cannot be written: %s", strerror(errno));
            return false;
        }
        written += (size_t)step;
    }
    return true;
}

static bool store_in_memory(transfer *t, const char *data, size_t size)
{
    void *memory = t->memory;
    if (t->capacity < t->stored + size + 1) {
        const size_t capacity = 2 * (t->stored + size) + 1;
        memory = realloc(t->memory, capacity);
        if (!memory) {
            t->failed = kti_fail_memory(t->error, "a download");
            return false;
        }
        t->memory = memory;
        t->capacity = capacity;
    }
    memcpy(t->memory + t->stored, data, size);
    return true;
}

static size_t take_content(char *data, size_t one, size_t size, void *user)
{
    transfer *t = user;
    (void)one;
    if (!t->begun && !begin_content(t))
        return 0;
    if (t->discard)
        return size;
    if (size > t->limit - t->stored) {
        t->failed = kti_fail_file(t->error, KT_BAD_FORMAT, t->url,
                                  "has more than %zu bytes, which is more than is expected here", t->limit);
        return 0;
    }
    if (!(t->file >= 0 ? store_in_file(t, data, size) : store_in_memory(t, data, size)))
        return 0;
    t->stored += size;
    return size;
}

static bool go_on(const transfer *t, int64_t total, double waiting, const char *reason)
{
    const kti_fetch_options *options = &t->fetcher->options;
    const kti_fetch_progress now = {t->url, (int64_t)t->stored, total, waiting, reason};
    return !options->progress || options->progress(options->user, &now) == 0;
}

static int report(void *user, curl_off_t total, curl_off_t received, curl_off_t up_total, curl_off_t up)
{
    transfer *t = user;
    (void)received;
    (void)up_total;
    (void)up;
    const bool known = total > 0 && t->begun && !t->discard;
    const int64_t offset = t->range_start > 0 ? t->range_start : 0;
    return go_on(t, known ? offset + total : -1, 0, NULL) ? 0 : 1;
}

/* ---- waiting ---- */

static void sleep_for(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL); /* cut short by a signal, the progress is asked earlier */
}

static kt_status wait_for(const transfer *t, double seconds, const char *reason)
{
    const double end = kti_seconds() + seconds;
    double left = seconds;
    while (left > 0) {
        if (!go_on(t, -1, left, reason))
            return kti_fail_file(t->error, KT_INTERRUPTED, t->url, "stopped before it was downloaded");
        sleep_for(left < 0.1 ? left : 0.1);
        left = end - kti_seconds();
    }
    return KT_OK;
}

static double growing_wait(const kti_fetch_options *options, int attempts)
{
    double wait = options->first_wait;
    for (int i = 1; i < attempts && wait < options->longest_wait; i++)
        wait *= 2;
    return wait < options->longest_wait ? wait : options->longest_wait;
}

kt_status kti_fetcher_back_off(kti_fetcher *fetcher, const char *url, int attempts, const char *reason,
                               kt_error *error)
{
    const transfer waiting = {.fetcher = fetcher, .url = url, .file = -1, .error = error};
    return wait_for(&waiting, growing_wait(&fetcher->options, attempts), reason);
}

/* ---- attempts ---- */

static bool is_transient_answer(int code)
{
    return code == 408 || code == 429 || code == 500 || code == 502 || code == 503 || code == 504;
}

static bool is_unreached(CURLcode result)
{
    return result == CURLE_COULDNT_RESOLVE_HOST || result == CURLE_COULDNT_RESOLVE_PROXY ||
           result == CURLE_COULDNT_CONNECT;
}

static bool is_transient_fault(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_BAD_CONTENT_ENCODING: /* a compressed page that was cut */
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
    }
}

/* Sets what is the same in every request. */
static bool prepare(kti_fetcher *fetcher)
{
    CURL *curl = fetcher->curl;
    const kti_fetch_options *o = &fetcher->options;
    bool good = curl_easy_setopt(curl, CURLOPT_USERAGENT, o->agent) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTIONS) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * o->connect_seconds)) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(o->stall_seconds + 0.999)) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fetcher->reason) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, report) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK;
    good &= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_content) == CURLE_OK;
    if (!o->use_environment)
        good &= curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK;
    return good;
}

static CURLcode attempt(transfer *t)
{
    kti_fetcher *fetcher = t->fetcher;
    CURL *curl = fetcher->curl;
    struct curl_slist *headers = NULL;
    char range[32], condition[sizeof t->validator + 16];
    long code = 0;
    if (!t->may_resume && t->validator[0] == '\0' && !set_size(t, 0))
        return CURLE_WRITE_ERROR;
    t->start = t->file >= 0 ? t->stored : 0;
    if (t->start == 0)
        t->stored = 0;
    t->begun = t->discard = false;
    t->range_start = -1;
    fetcher->reason[0] = '\0';
    if (t->start > 0 && t->validator[0] != '\0') {
        snprintf(condition, sizeof condition, "If-Range: %s", t->validator);
        headers = curl_slist_append(NULL, condition);
        if (!headers)
            return CURLE_OUT_OF_MEMORY;
    }
    snprintf(range, sizeof range, "%zu-", t->start);
    curl_easy_setopt(curl, CURLOPT_URL, t->url);
    /* A secure page must not hand on to an insecure one. */
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                     strncasecmp(t->url, "https:", 6) == 0 ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_RANGE, t->start > 0 ? range : NULL);
    /* Ranges of a compressed file would be of its compressed form. */
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, t->file >= 0 ? NULL : "");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    CURLcode result = curl_easy_perform(curl);
    if (result == CURLE_OK && !t->begun && !begin_content(t)) /* an empty answer */
        result = CURLE_WRITE_ERROR;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    fetcher->answer = (int)code;
    fetcher->requests++;
    fetcher->reached |= code > 0;
    fetcher->last_request = kti_seconds();
    return result;
}

static void describe(const transfer *t, CURLcode result, char *text, size_t capacity)
{
    const kti_fetcher *fetcher = t->fetcher;
    const char *reason = fetcher->reason[0] != '\0' ? fetcher->reason : curl_easy_strerror(result);
    if (result == CURLE_OK)
        snprintf(text, capacity, "the server answers with status %d", fetcher->answer);
    else if (is_unreached(result))
        snprintf(text, capacity, "the server cannot be reached: %s", reason);
    else
        snprintf(text, capacity, "the download broke off after %zu bytes: %s", t->stored, reason);
}

typedef enum verdict { WHOLE, AGAIN, GIVE_UP } verdict;

/* What an attempt's end means; fills the error when it is the last. */
static verdict judge(transfer *t, CURLcode result, kt_status *status)
{
    const int code = t->fetcher->answer;
    *status = KT_OK;
    if (t->failed != KT_OK) {
        *status = t->failed;
        return GIVE_UP;
    }
    if (result == CURLE_ABORTED_BY_CALLBACK) {
        *status = kti_fail_file(t->error, KT_INTERRUPTED, t->url, "stopped before it was downloaded");
        return GIVE_UP;
    }
    if (result == CURLE_OUT_OF_MEMORY) {
        *status = kti_fail_memory(t->error, "a download");
        return GIVE_UP;
    }
    if (result == CURLE_OK && (code == 200 || code == 206))
        return WHOLE;
    if (code == 416 && t->start > 0) { /* what is stored is longer than the file: another one */
        t->validator[0] = '\0';
        t->may_resume = false;
        return AGAIN;
    }
    if (result == CURLE_WRITE_ERROR && code == 206) /* a part that was not asked for */
        return AGAIN;
    if (result == CURLE_OK ? is_transient_answer(code) : is_transient_fault(result))
        return AGAIN;
    char reason[512];
    describe(t, result, reason, sizeof reason);
    *status = kti_fail_file(t->error, KT_IO, t->url, "%s", reason);
    return GIVE_UP;
}

/* Seconds before the next attempt: as long as the server asks, else longer each time. */
static double next_wait(const transfer *t, int attempts)
{
    curl_off_t asked = 0;
    curl_easy_getinfo(t->fetcher->curl, CURLINFO_RETRY_AFTER, &asked);
    return asked > 0 ? (double)asked : growing_wait(&t->fetcher->options, attempts);
}

static kt_status keep_pause(const transfer *t)
{
    const kti_fetcher *fetcher = t->fetcher;
    if (fetcher->requests == 0)
        return KT_OK;
    return wait_for(t, fetcher->last_request + fetcher->options.pause - kti_seconds(), NULL);
}

static kt_status run(transfer *t)
{
    const kti_fetch_options *o = &t->fetcher->options;
    char reason[512];
    kt_status status = keep_pause(t);
    size_t max = t->stored;
    if (status != KT_OK)
        return status;
    for (int attempts = 1;; attempts++) {
        const CURLcode result = attempt(t);
        const verdict what = judge(t, result, &status);
        if (what != AGAIN)
            return status;
        /* A server that cuts every long answer still gets to the end. */
        if (t->stored > max && (t->may_resume || t->validator[0] != '\0')) {
            max = t->stored;
            attempts = 1;
        }
        describe(t, result, reason, sizeof reason);
        const bool unreached = is_unreached(result) && !t->fetcher->reached;
        const int allowed = unreached && o->attempts > UNREACHED_ATTEMPTS ? UNREACHED_ATTEMPTS : o->attempts;
        const double wait = next_wait(t, attempts);
        if (attempts >= allowed)
            return kti_fail_file(t->error, KT_IO, t->url, "%s (tried %d times)", reason, attempts);
        if (wait > o->longest_wait)
            return kti_fail_file(t->error, KT_IO, t->url, "%s and asks to wait for %.0f s: try again later",
                                 reason, wait);
        status = wait_for(t, wait, reason);
        if (status != KT_OK)
            return status;
    }
}

/* ---- the three calls ---- */

kt_status kti_fetcher_create(const kti_fetch_options *options, kti_fetcher **fetcher, kt_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *fetcher = NULL;
    pthread_once(&once, start_curl);
    if (global_state != CURLE_OK)
        return kti_fail(error, KT_DEVICE, "libcurl cannot start: %s", curl_easy_strerror(global_state));
    kti_fetcher *made = kti_allocate(1, sizeof *made);
    if (!made)
        return kti_fail_memory(error, "downloads");
    made->options = *options;
    made->curl = curl_easy_init();
    if (!made->curl || !prepare(made)) {
        kti_fetcher_destroy(made);
        return kti_fail(error, KT_DEVICE, "libcurl cannot be set up for downloads over http and https");
    }
    *fetcher = made;
    return KT_OK;
}

void kti_fetcher_destroy(kti_fetcher *fetcher)
{
    if (!fetcher)
        return;
    curl_easy_cleanup(fetcher->curl);
    free(fetcher);
}

int kti_fetcher_answer(const kti_fetcher *fetcher)
{
    return fetcher->answer;
}

int64_t kti_fetcher_requests(const kti_fetcher *fetcher)
{
    return fetcher->requests;
}

kt_status kti_fetch_memory(kti_fetcher *fetcher, const char *url, size_t limit, char **data, size_t *size,
                           kt_error *error)
{
    transfer t = {.fetcher = fetcher, .url = url, .limit = limit, .file = -1, .error = error};
    *data = NULL;
    *size = 0;
    kt_status status = run(&t);
    if (status == KT_OK && !t.memory && !(t.memory = kti_allocate(1, 1)))
        status = kti_fail_memory(error, "a download");
    if (status != KT_OK) {
        free(t.memory);
        return status;
    }
    t.memory[t.stored] = '\0';
    *data = t.memory;
    *size = t.stored;
    return KT_OK;
}

static kt_status has_fingerprint(const char *path, const char *sha256, bool *same, kt_error *error)
{
    char found[KTI_SHA256_TEXT];
    *same = false;
    if (!sha256 || !kti_file_exists(path))
        return KT_OK;
    kt_status status = kti_sha256_file(path, found, error);
    *same = status == KT_OK && strcmp(found, sha256) == 0;
    return status;
}

/* Into `partial`, which is whole on success. */
static kt_status download(kti_fetcher *fetcher, const char *url, const char *partial, bool resume,
                          size_t limit, kt_error *error)
{
    struct stat about;
    transfer t = {.fetcher = fetcher, .url = url, .limit = limit, .path = partial, .error = error};
    t.file = open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (t.file < 0)
        return kti_fail_file(error, KT_IO, partial, "cannot be created: %s", strerror(errno));
    kt_status status = KT_OK;
    t.may_resume = resume;
    if (resume && fstat(t.file, &about) == 0 && about.st_size > 0 && (uintmax_t)about.st_size < limit)
        t.stored = (size_t)about.st_size;
    if (!set_size(&t, t.stored))
        status = t.failed;
    if (status == KT_OK)
        status = run(&t);
    if (status == KT_OK && fsync(t.file) != 0)
        status = kti_fail_file(error, KT_IO, partial, "cannot be flushed to disk: %s", strerror(errno));
    if (close(t.file) != 0 && status == KT_OK)
        status = kti_fail_file(error, KT_IO, partial, "cannot be closed: %s", strerror(errno));
    return status;
}

static kt_status download_checked(kti_fetcher *fetcher, const char *url, const char *partial,
                                  const char *sha256, size_t limit, kt_error *error)
{
    bool same = false, resumed = sha256 && kti_file_exists(partial);
    char found[KTI_SHA256_TEXT];
    kt_status status = has_fingerprint(partial, sha256, &same, error);
    if (status != KT_OK || same)
        return status;
    status = download(fetcher, url, partial, sha256 != NULL, limit, error);
    if (status == KT_OK)
        status = has_fingerprint(partial, sha256, &same, error);
    if (status == KT_OK && sha256 && !same && resumed) {
        /* The earlier call's part may have been of another file. */
        unlink(partial);
        status = download(fetcher, url, partial, true, limit, error);
        if (status == KT_OK)
            status = has_fingerprint(partial, sha256, &same, error);
    }
    if (status != KT_OK || !sha256 || same)
        return status;
    status = kti_sha256_file(partial, found, error);
    return status != KT_OK
               ? status
               : kti_fail_file(error, KT_BAD_FORMAT, url,
                               "is not the file that is expected: its SHA-256 is %s, not %s; it was "
                               "removed",
                               found, sha256);
}

static bool is_empty(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && about.st_size == 0;
}

kt_status kti_fetch_file(kti_fetcher *fetcher, const char *url, const char *path, const char *sha256,
                         size_t limit, kt_error *error)
{
    bool same = false;
    const size_t capacity = strlen(path) + sizeof ".download";
    kt_status status = has_fingerprint(path, sha256, &same, error);
    if (status != KT_OK || same)
        return status;
    char *partial = kti_allocate(capacity, 1);
    if (!partial)
        return kti_fail_memory(error, "a path");
    snprintf(partial, capacity, "%s.download", path);
    status = download_checked(fetcher, url, partial, sha256, limit, error);
    if (status == KT_OK && rename(partial, path) != 0)
        status = kti_fail_file(error, KT_IO, path, "cannot be put in place: %s", strerror(errno));
    /* Without a fingerprint nobody could tell whether the rest still fits. */
    if (status != KT_OK && (!sha256 || status == KT_BAD_FORMAT || is_empty(partial)))
        unlink(partial);
    free(partial);
    return status;
}
