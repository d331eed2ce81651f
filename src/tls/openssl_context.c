/* SPDX-License-Identifier: MIT
 *
 * A context: settings, loaded. Everything is read and checked here, where the caller may wait and
 * can be told what is wrong; a handshake reads nothing.
 *
 * Threads: a context does not change. OpenSSL lets any number of threads make sessions of one.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "openssl_inside.h"

/* RSA and DH from 2048 bits, no SHA-1 in signatures. Debian's default; not everybody's. */
#define SECURITY_LEVEL 2

static int no_memory(struct strata_error *error)
{
    return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
}

/* ---- our certificate ---- */

struct key_password {
    const char *text; /* NULL: there is none */
    bool asked;
};

/* Without this OpenSSL would ask on the terminal. */
static int give_password(char *area, int cap, int writing, void *arg)
{
    struct key_password *password = arg;
    (void)writing;
    password->asked = true;
    size_t len = password->text != NULL ? strlen(password->text) : 0;
    if (len == 0 || len > (size_t)cap)
        return -1;
    memcpy(area, password->text, len);
    return (int)len;
}

static int refuse_key(const struct sta_tls_settings *settings, const char *option, const char *path,
                      const struct key_password *password, struct strata_error *error)
{
    unsigned long code = ERR_peek_last_error();
    int why = ERR_GET_REASON(code);
    if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
        (why == X509_R_KEY_VALUES_MISMATCH || why == X509_R_KEY_TYPE_MISMATCH))
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "%s=\"%.200s\": the key does not match the certificate in %.200s",
                             option, path, settings->cert_file);
    if (password->asked && password->text == NULL)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "%s=\"%.300s\": the key is encrypted: give tls_key_password", option,
                             path);
    if (password->asked)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "%s=\"%.300s\": tls_key_password does not open the key", option, path);
    return sta_error_set(error, STRATA_ERR_CONFIG,
                         "%s=\"%.300s\": holds no private key in PEM that can be read (%s)", option,
                         path, sta_openssl_reason_first());
}

static int load_key(SSL_CTX *ssl, const struct sta_tls_settings *settings,
                    struct strata_error *error)
{
    struct key_password password = {.text = settings->key_password};
    const char *option = settings->key_file != NULL ? "tls_key_file" : "tls_cert_file";
    const char *path = settings->key_file != NULL ? settings->key_file : settings->cert_file;
    int status = sta_openssl_trust_check_file(option, path, error);
    if (status < 0)
        return status;
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &password);
    bool loaded = SSL_CTX_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    if (!loaded)
        return refuse_key(settings, option, path, &password, error);
    /* A key of another kind goes to a place of its own, where it has no certificate. */
    if (SSL_CTX_check_private_key(ssl) != 1) {
        ERR_raise(ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH);
        return refuse_key(settings, option, path, &password, error);
    }
    return STRATA_OK;
}

static int load_certificate(SSL_CTX *ssl, const struct sta_tls_settings *settings,
                            struct strata_error *error)
{
    const char *path = settings->cert_file;
    struct key_password password = {0};
    if (path == NULL && settings->key_file == NULL)
        return STRATA_OK;
    if (path == NULL)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "tls_key_file=\"%.300s\": a key alone is of no use: give "
                             "tls_cert_file as well",
                             settings->key_file);
    int status = sta_openssl_trust_check_file("tls_cert_file", path, error);
    if (status < 0)
        return status;
    SSL_CTX_set_default_passwd_cb(ssl, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &password);
    if (SSL_CTX_use_certificate_chain_file(ssl, path) != 1)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "tls_cert_file=\"%.300s\": cannot be used as our certificate (%s)",
                             path, sta_openssl_reason_first());
    return load_key(ssl, settings, error);
}

/* ---- the context ---- */

static void set_rules(SSL_CTX *ssl)
{
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    if (SSL_CTX_get_security_level(ssl) < SECURITY_LEVEL)
        SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1); /* a record's head and body in one go */
    SSL_CTX_set_client_cert_cb(ssl, sta_openssl_session_cert_wanted);
    /* Tickets are kept by who connects again, not in a table of OpenSSL's. */
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, sta_openssl_session_new_ticket);
}

static int context_load(struct sta_tls_context *context, const struct sta_tls_settings *settings,
                        struct strata_error *error)
{
    context->verify =
        settings->verify != STRATA_TLS_VERIFY_DEFAULT ? settings->verify : STRATA_TLS_VERIFY_FULL;
    context->wire = sta_openssl_wire_create();
    if (settings->server_name != NULL)
        context->server_name = strdup(settings->server_name);
    if (context->wire == NULL || (settings->server_name != NULL && context->server_name == NULL))
        return no_memory(error);
    context->ssl = SSL_CTX_new(TLS_client_method());
    if (context->ssl == NULL)
        return no_memory(error);
    set_rules(context->ssl);
    int status = STRATA_OK;
    if (context->verify != STRATA_TLS_VERIFY_NONE)
        status = sta_openssl_trust_load(context->ssl, settings, error);
    if (status == STRATA_OK)
        status = load_certificate(context->ssl, settings, error);
    return status;
}

/* The queue of errors is the caller's thread's: what we put there does not stay. A file that could
 * not be read for want of memory is no bad file. */
int sta_openssl_context_open(struct sta_tls_context **out, const struct sta_tls_settings *settings,
                             struct strata_error *error)
{
    struct sta_tls_context *context = calloc(1, sizeof *context);
    if (context == NULL)
        return no_memory(error);
    ERR_clear_error();
    int status = context_load(context, settings, error);
    if (sta_openssl_reason_is_memory() && status < 0)
        status = no_memory(error);
    if (status < 0)
        sta_openssl_context_close(&context);
    else
        *out = context;
    return status;
}

void sta_openssl_context_close(struct sta_tls_context **at)
{
    struct sta_tls_context *context = *at;
    if (context == NULL)
        return;
    *at = NULL;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->wire);
    free(context->server_name);
    free(context);
}
