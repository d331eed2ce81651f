/* SPDX-License-Identifier: MIT
 *
 * A session: OpenSSL between a wire and plain bytes. It reads what the wire has, writes through
 * put(), and never waits.
 *
 * Keys: TLS 1.3 protects a bounded number of records under one key (RFC 8446, 5.5: some 2^24), and
 * OpenSSL leaves it to us to renew it. A link to a cache lives for months, so after REKEY_RECORDS
 * of either direction both sides are asked to.
 * Tickets: the latest one of a server is kept for the next connection (session.ticket).
 * Errors: OpenSSL's queue is the thread's; it is emptied before each call and after a failed one.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openssl_inside.h"

#define REKEY_RECORDS (UINT64_C(1) << 22)
#define RECORD_BYTES  16384u

/* ---- what OpenSSL calls ---- */

static struct sta_tls_session *session_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* 1: the ticket is ours now. */
int sta_openssl_session_new_ticket(SSL *ssl, SSL_SESSION *ticket)
{
    struct sta_tls_session *session = session_of(ssl);
    if (session->ticket == NULL)
        return 0;
    sta_openssl_session_drop_ticket(session->ticket);
    *session->ticket = (struct sta_tls_ticket *)ticket;
    return 1;
}

int sta_openssl_session_cert_wanted(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
    (void)certificate;
    (void)key;
    session_of(ssl)->cert_wanted = true;
    return 0; /* none */
}

void sta_openssl_session_drop_ticket(struct sta_tls_ticket **ticket)
{
    SSL_SESSION_free((SSL_SESSION *)*ticket);
    *ticket = NULL;
}

/* ---- calls ---- */

static void session_enter(struct sta_tls_session *session, struct sta_tls_wire *wire)
{
    session->wire = wire;
    session->put_status = STRATA_OK;
    ERR_clear_error();
}

/* What a call that did not answer 1 means; leaves. */
static int session_judge(struct sta_tls_session *session, int result, char *reason)
{
    int status;
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        status = STA_TLS_MORE;
        break;
    case SSL_ERROR_ZERO_RETURN:
        status = STA_TLS_END;
        break;
    default:
        reason[0] = '\0';
        status =
            session->put_status < 0 ? session->put_status : sta_openssl_reason(session, reason);
        ERR_clear_error();
        break;
    }
    session->wire = NULL;
    return status;
}

int sta_openssl_session_handshake(struct sta_tls_session *session, struct sta_tls_wire *wire,
                                  char *reason)
{
    session_enter(session, wire);
    int result = SSL_do_handshake(session->ssl);
    if (result != 1) {
        int status = session_judge(session, result, reason);
        if (status != STA_TLS_END)
            return status;
        (void)snprintf(reason, STA_TLS_REASON_CAP, "closed by the peer during the TLS handshake");
        return STRATA_ERR_LOST;
    }
    session->wire = NULL;
    return STRATA_OK;
}

/* Counts, and asks for new keys when it is time; the message leaves with the next record. */
static void session_count(struct sta_tls_session *session, size_t bytes)
{
    session->records += bytes / RECORD_BYTES + 1;
    if (session->records < REKEY_RECORDS)
        return;
    session->records = 0;
    if (SSL_version(session->ssl) == TLS1_3_VERSION &&
        SSL_key_update(session->ssl, SSL_KEY_UPDATE_REQUESTED) != 1)
        ERR_clear_error(); /* another one is on its way */
}

int sta_openssl_session_decrypt(struct sta_tls_session *session, struct sta_tls_wire *wire,
                                uint8_t *area, size_t cap, size_t *len, char *reason)
{
    session_enter(session, wire);
    *len = 0;
    while (*len < cap) {
        size_t count = 0;
        int result = SSL_read_ex(session->ssl, area + *len, cap - *len, &count);
        if (result != 1)
            return session_judge(session, result, reason);
        *len += count;
        session_count(session, count);
    }
    session->wire = NULL;
    return STRATA_OK;
}

int sta_openssl_session_encrypt(struct sta_tls_session *session, struct sta_tls_wire *wire,
                                struct strata_bytes bytes, char *reason)
{
    size_t count = 0;
    session_enter(session, wire);
    session_count(session, bytes.len);
    int result = SSL_write_ex(session->ssl, bytes.data, bytes.len, &count);
    if (result != 1) {
        int status = session_judge(session, result, reason);
        return status < 0 ? status
                          : STRATA_ERR_PROTOCOL; /* the wire takes all, so it cannot wait */
    }
    assert(count == bytes.len);
    session->wire = NULL;
    return STRATA_OK;
}

void sta_openssl_session_goodbye(struct sta_tls_session *session, struct sta_tls_wire *wire)
{
    session_enter(session, wire);
    (void)SSL_shutdown(session->ssl);
    ERR_clear_error();
    session->wire = NULL;
}

/* ---- life ---- */

/* Names of hosts may end with a dot, and link-local addresses with a zone; certificates know
 * neither. */
static int session_set_host(struct sta_tls_session *session, const char *host)
{
    size_t len = strchr(host, ':') != NULL ? strcspn(host, "%") : strlen(host);
    if (len > 1 && host[len - 1] == '.')
        len--;
    if (len == 0 || len >= sizeof session->host)
        return STRATA_ERR_INVALID;
    memcpy(session->host, host, len);
    return STRATA_OK;
}

/* SNI is for names, not for addresses (RFC 6066, 3). A common name is no name of a host, and an
 * asterisk stands for a whole label. */
static int session_expect(const struct sta_tls_session *session, enum strata_tls_verify verify)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(session->ssl);
    uint8_t address[16];
    size_t len = inet_pton(AF_INET, session->host, address) == 1    ? 4
                 : inet_pton(AF_INET6, session->host, address) == 1 ? 16
                                                                    : 0;
    if (len == 0 && SSL_set_tlsext_host_name(session->ssl, session->host) != 1)
        return STRATA_ERR_NOMEM;
    if (verify != STRATA_TLS_VERIFY_FULL)
        return STRATA_OK;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int done = len > 0 ? X509_VERIFY_PARAM_set1_ip(param, address, len)
                       : X509_VERIFY_PARAM_set1_host(param, session->host, 0);
    return done == 1 ? STRATA_OK : STRATA_ERR_NOMEM;
}

static int session_open(struct sta_tls_session *session, struct sta_tls_context *context,
                        const char *host)
{
    int status =
        session_set_host(session, context->server_name != NULL ? context->server_name : host);
    if (status < 0)
        return status;
    session->ssl = SSL_new(context->ssl);
    BIO *bio = BIO_new(context->wire);
    if (session->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        return STRATA_ERR_NOMEM;
    }
    BIO_set_data(bio, session);
    SSL_set_bio(session->ssl, bio, bio);
    SSL_set_connect_state(session->ssl);
    if (SSL_set_app_data(session->ssl, session) != 1)
        return STRATA_ERR_NOMEM;
    bool verified = context->verify != STRATA_TLS_VERIFY_NONE;
    SSL_set_verify(session->ssl, verified ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                   verified ? sta_openssl_refusal_note : NULL);
    if (session->ticket != NULL && *session->ticket != NULL)
        (void)SSL_set_session(session->ssl, (SSL_SESSION *)*session->ticket); /* or it does not */
    return session_expect(session, context->verify);
}

int sta_openssl_session_create(struct sta_tls_session **out, struct sta_tls_context *context,
                               const char *host, struct sta_tls_ticket **ticket)
{
    struct sta_tls_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return STRATA_ERR_NOMEM;
    session->ticket = ticket;
    int status = session_open(session, context, host);
    ERR_clear_error();
    if (status < 0)
        sta_openssl_session_destroy(&session);
    else
        *out = session;
    return status;
}

/* OpenSSL takes a connection that ended without a goodbye for a reason to distrust its ticket. A
 * server that was restarted said none, and that is when tickets are worth most. */
void sta_openssl_session_destroy(struct sta_tls_session **at)
{
    struct sta_tls_session *session = *at;
    if (session == NULL)
        return;
    *at = NULL;
    if (session->ssl != NULL)
        SSL_set_shutdown(session->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(session->ssl);
    free(session);
}
