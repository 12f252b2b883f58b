#include "download/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/fail.h"

static kt_status digest_stream(FILE *in, const char *path, EVP_MD_CTX *context, kt_error *error)
{
    char piece[1 << 14];
    for (size_t got; (got = fread(piece, 1, sizeof piece, in)) > 0;)
        if (!EVP_DigestUpdate(context, piece, got))
            return kti_fail_memory(error, "a SHA-256");
    if (ferror(in))
        return kti_fail_file(error, KT_IO, path, "cannot be read: %s", strerror(errno));
    return KT_OK;
}

kt_status kti_sha256_file(const char *path, char text[KTI_SHA256_TEXT], kt_error *error)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_MD_CTX *context = NULL;
    kt_status status = KT_OK;
    text[0] = '\0';
    FILE *in = fopen(path, "rb");
    if (!in)
        return kti_fail_file(error, KT_IO, path, "cannot be opened: %s", strerror(errno));
    context = EVP_MD_CTX_new();
    if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        status = kti_fail_memory(error, "a SHA-256");
    if (status == KT_OK)
        status = digest_stream(in, path, context, error);
    if (status == KT_OK && !EVP_DigestFinal_ex(context, digest, &size))
        status = kti_fail_memory(error, "a SHA-256");
    for (unsigned i = 0; status == KT_OK && i < size && i < (KTI_SHA256_TEXT - 1) / 2; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(context);
    fclose(in);
    return status;
}
