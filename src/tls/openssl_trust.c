/* SPDX-License-Identifier: MIT
 *
 * Whom we trust. OpenSSL would look into a folder of CAs when a handshake needs one, which is on a
 * loop's thread; so everything is read when the context is opened.
 *
 * Of a folder, files are read whose names are those that OpenSSL would look for: HASH.N, as
 * `openssl rehash` makes them. Other files that lie there (a server's own certificate, say) were
 * never trusted by anybody, and are not by us.
 */
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "openssl_inside.h"

#define HASH_DIGITS 8

int sta_openssl_trust_check_file(const char *option, const char *path, struct strata_error *error)
{
    FILE *file = fopen(path, "re");
    int byte = file != NULL ? fgetc(file) : EOF; /* a folder can be opened, but not read */
    int failed = errno;
    ERR_clear_error(); /* what comes now is about this file */
    if (file != NULL && (byte != EOF || !ferror(file))) {
        (void)fclose(file);
        return STRATA_OK;
    }
    if (file != NULL)
        (void)fclose(file);
    char text[128];
    return sta_error_set(error, STRATA_ERR_CONFIG, "%s=\"%.300s\": %s", option, path,
                         strerror_r(failed, text, sizeof text));
}

static int load_file(X509_STORE *store, const char *option, const char *path,
                     struct strata_error *error)
{
    int status = sta_openssl_trust_check_file(option, path, error);
    if (status < 0)
        return status;
    if (X509_STORE_load_file(store, path) == 1)
        return STRATA_OK;
    return sta_error_set(error, STRATA_ERR_CONFIG,
                         "%s=\"%.300s\": holds no certificate in PEM that can be read (%s)", option,
                         path, sta_openssl_reason_first());
}

/* "9d66eef0.0", of which some folders hold several. */
static bool is_hash_name(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdef");
    return digits == HASH_DIGITS && name[digits] == '.' && name[digits + 1] != '\0' &&
           strspn(name + digits + 1, "0123456789") == strlen(name + digits + 1);
}

/* Adds what the folder holds to *found. */
static int load_folder(X509_STORE *store, const char *option, const char *path, unsigned *found,
                       struct strata_error *error)
{
    char name[4096];
    const struct dirent *entry;
    int status = STRATA_OK;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return sta_error_set(error, STRATA_ERR_CONFIG, "%s=\"%.300s\": %s", option, path,
                             strerror_r(errno, name, sizeof name));
    while (status == STRATA_OK && (entry = readdir(folder)) != NULL) {
        if (!is_hash_name(entry->d_name))
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        status = load_file(store, option, name, error);
        *found += status == STRATA_OK;
    }
    (void)closedir(folder);
    return status;
}

/* Where OpenSSL looks by itself: its own places, or those of SSL_CERT_FILE and SSL_CERT_DIR. What
 * is not there is not missed, unless nothing is there at all. */
static int load_system(X509_STORE *store, struct strata_error *error)
{
    const char *file = secure_getenv(X509_get_default_cert_file_env());
    const char *folders = secure_getenv(X509_get_default_cert_dir_env());
    unsigned found = 0;
    file = file != NULL ? file : X509_get_default_cert_file();
    folders = folders != NULL ? folders : X509_get_default_cert_dir();
    if (access(file, R_OK) == 0 && load_file(store, "system CAs", file, NULL) == STRATA_OK)
        found++;
    while (*folders != '\0') {
        char folder[1024];
        size_t len = strcspn(folders, ":");
        (void)snprintf(folder, sizeof folder, "%.*s", (int)len, folders);
        (void)load_folder(store, "system CAs", folder, &found, NULL);
        folders += len + (folders[len] == ':');
    }
    if (found > 0)
        return STRATA_OK;
    return sta_error_set(error, STRATA_ERR_CONFIG,
                         "this system trusts no CA (%s, %s): name one in tls_ca_file",
                         X509_get_default_cert_file(), X509_get_default_cert_dir());
}

static int load_crl(X509_STORE *store, const char *path, struct strata_error *error)
{
    int status = sta_openssl_trust_check_file("tls_crl_file", path, error);
    if (status < 0)
        return status;
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) <= 0)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "tls_crl_file=\"%.300s\": holds no list in PEM that can be read (%s)",
                             path, sta_openssl_reason_first());
    (void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return STRATA_OK;
}

int sta_openssl_trust_load(SSL_CTX *ssl, const struct sta_tls_settings *settings,
                           struct strata_error *error)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    const char *file = settings->ca_file;
    const char *folder = settings->ca_dir;
    unsigned found = 0;
    int status = STRATA_OK;
    if (file != NULL)
        status = load_file(store, "tls_ca_file", file, error);
    if (status == STRATA_OK && folder != NULL)
        status = load_folder(store, "tls_ca_dir", folder, &found, error);
    if (status == STRATA_OK && folder != NULL && found == 0)
        status = sta_error_set(error, STRATA_ERR_CONFIG,
                               "tls_ca_dir=\"%.300s\": holds no certificate under a name of its "
                               "hash; 'openssl rehash' on the folder makes them",
                               folder);
    if (status == STRATA_OK && file == NULL && folder == NULL)
        status = load_system(store, error);
    if (status == STRATA_OK && settings->crl_file != NULL)
        status = load_crl(store, settings->crl_file, error);
    return status;
}
