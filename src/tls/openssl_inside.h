/* SPDX-License-Identifier: MIT
 *
 * What the files of this room share. The room is libstrata_tls: the table of net/tls.h, filled
 * with OpenSSL 3. Nothing of libstrata is linked but what is compiled into both (core/error.c).
 */
#ifndef STA_OPENSSL_INSIDE_H
#define STA_OPENSSL_INSIDE_H

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#include "net/tls.h"

struct sta_tls_context {
    /* Fixed at creation; OpenSSL locks what it counts in there. */
    SSL_CTX *ssl;
    BIO_METHOD *wire;  /* how sessions reach their struct sta_tls_wire */
    char *server_name; /* NULL: the host that a session is for */
    enum strata_tls_verify verify;
};

struct sta_tls_session {
    /* Fixed at creation. */
    SSL *ssl;
    struct sta_tls_ticket **ticket; /* NULL: none is kept */
    char host[256];                 /* what the certificate must name */

    struct sta_tls_wire *wire;        /* during a call, else NULL */
    int put_status;                   /* of the latest put() that failed */
    bool cert_wanted;                 /* the server asked for a certificate, and we have none */
    uint64_t records;                 /* since the keys were new */
    char refusal[STA_TLS_REASON_CAP]; /* why the server's certificate is refused; "": it is not */
};

/* openssl_context.c: the table's functions of these names. */
int sta_openssl_context_open(struct sta_tls_context **out, const struct sta_tls_settings *settings,
                             struct strata_error *error);
void sta_openssl_context_close(struct sta_tls_context **context);

/* openssl_trust.c: loads those who may sign servers, and what they have revoked, for good: nothing
 * is read later. STRATA_OK; STRATA_ERR_CONFIG with file and reason. */
int sta_openssl_trust_load(SSL_CTX *ssl, const struct sta_tls_settings *settings,
                           struct strata_error *error);

/* Whether `path` can be read; otherwise STRATA_ERR_CONFIG naming the option and why. */
int sta_openssl_trust_check_file(const char *option, const char *path, struct strata_error *error);

/* openssl_session.c: the table's functions of these names. */
int sta_openssl_session_create(struct sta_tls_session **out, struct sta_tls_context *context,
                               const char *host, struct sta_tls_ticket **ticket);
void sta_openssl_session_destroy(struct sta_tls_session **session);
int sta_openssl_session_handshake(struct sta_tls_session *session, struct sta_tls_wire *wire,
                                  char *reason);
int sta_openssl_session_decrypt(struct sta_tls_session *session, struct sta_tls_wire *wire,
                                uint8_t *area, size_t cap, size_t *len, char *reason);
int sta_openssl_session_encrypt(struct sta_tls_session *session, struct sta_tls_wire *wire,
                                struct strata_bytes bytes, char *reason);
void sta_openssl_session_goodbye(struct sta_tls_session *session, struct sta_tls_wire *wire);
void sta_openssl_session_drop_ticket(struct sta_tls_ticket **ticket);

/* For the context: remembers a ticket; the server wants a certificate that is not there. */
int sta_openssl_session_new_ticket(SSL *ssl, SSL_SESSION *ticket);
int sta_openssl_session_cert_wanted(SSL *ssl, X509 **certificate, EVP_PKEY **key);

/* openssl_wire.c: a BIO whose bytes come from, and go to, a session's wire. NULL: no memory. */
BIO_METHOD *sta_openssl_wire_create(void);

/* openssl_refusal.c: of SSL_set_verify(): writes session->refusal. */
int sta_openssl_refusal_note(int good, X509_STORE_CTX *store);

/* openssl_reason.c: takes this thread's queue of errors: their status, and its text. */
int sta_openssl_reason(const struct sta_tls_session *session, char *reason);

/* Whether that queue has a failed allocation in it. Takes it. */
bool sta_openssl_reason_is_memory(void);

/* The text of the first error in that queue: those behind it only say who was told. */
const char *sta_openssl_reason_first(void);

#endif
