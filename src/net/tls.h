/* SPDX-License-Identifier: MIT
 *
 * TLS, as streams see it: what is loaded once and used by many streams (struct sta_tls), and the
 * table of functions behind which a TLS library stands (struct strata_tls_provider).
 *
 * libstrata itself links no TLS library. libstrata_tls (src/tls/, include/strata/tls.h) fills the
 * table with OpenSSL; a program hands it to its options. Why: docs/design/0007.
 *
 *     options, URL -> sta_tls_open() -> struct sta_tls    files are read here, and only here
 *                                           |  many streams, any thread
 *     stream -> session_create() -> handshake() ... decrypt(), encrypt() ... session_destroy()
 *
 * A session does no I/O: bytes of the socket go in as a slice and come out through put(). So the
 * stream keeps its own system calls, and whatever stands in the table can be tested without one.
 *
 * Threads: a struct sta_tls does not change and may be used by any number of threads; a session
 * and a ticket belong to the loop of their stream.
 */
#ifndef STA_TLS_H
#define STA_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"
#include "strata/options.h"
#include "strata/status.h"

/* Room for the text of a failure, its zero byte included. */
#define STA_TLS_REASON_CAP 256

/* Strings are borrowed; NULL where there is none. */
struct sta_tls_settings {
    const char *ca_file;      /* PEM: who may sign servers */
    const char *ca_dir;       /* the same, as `openssl rehash` names files; neither: the system's */
    const char *crl_file;     /* PEM: what they have revoked; NULL: nobody is asked */
    const char *cert_file;    /* PEM: our certificate and its chain */
    const char *key_file;     /* PEM: its key; NULL: it is in cert_file */
    const char *key_password; /* of the key */
    const char *server_name;  /* what the server is asked for, and what its certificate must name;
                                 NULL: the host or address that we connect to */
    enum strata_tls_verify verify;
};

/* ---- what stands behind the table ---- */

struct sta_tls_context; /* settings, loaded */
struct sta_tls_session; /* one connection */
struct sta_tls_ticket;  /* what a server gave us to come back with */

/* The socket's side of a session, lent for one call. */
struct sta_tls_wire {
    struct strata_bytes in; /* from the socket; what was taken is gone from its front */
    void *arg;
    /* To the socket: all of it or a negative status. Never called but from within a call. */
    int (*put)(void *arg, struct strata_bytes bytes);
};

/* What handshake() and decrypt() answer besides STRATA_OK and errors. */
enum sta_tls_outcome {
    STA_TLS_MORE = STRATA_MORE, /* all input was taken; more is needed */
    STA_TLS_END                 /* the peer said that it sends no more (close_notify) */
};

/* Of this layout; another one has another number. */
#define STA_TLS_ABI 1u

/* Errors are STRATA_ERR_UNTRUSTED (we refuse the server), STRATA_ERR_DENIED (it refuses us),
 * STRATA_ERR_PROTOCOL, STRATA_ERR_NOMEM or what put() answered; `reason` (STA_TLS_REASON_CAP) then
 * says why, for a log line. What was put() before an error is still worth sending: the alert that
 * tells the peer. After an error only session_destroy() is left. */
struct strata_tls_provider {
    uint32_t abi;     /* STA_TLS_ABI; first in every layout */
    const char *name; /* "OpenSSL 3.0.19 ...", for people */

    /* Reads the files. STRATA_ERR_CONFIG with file and reason, STRATA_ERR_NOMEM. */
    int (*context_open)(struct sta_tls_context **out, const struct sta_tls_settings *settings,
                        struct strata_error *error);
    void (*context_close)(struct sta_tls_context **context); /* after its sessions */

    /* `host`: see server_name. `ticket` (may be NULL) is where the latest ticket is kept, to be
     * used by this session and replaced when the server sends another; it outlives the session.
     * STRATA_ERR_NOMEM; STRATA_ERR_INVALID for a host that no certificate can name. */
    int (*session_create)(struct sta_tls_session **out, struct sta_tls_context *context,
                          const char *host, struct sta_tls_ticket **ticket);
    void (*session_destroy)(struct sta_tls_session **session);

    /* Goes on with the handshake; STRATA_OK once it is complete, with what follows it still in
     * wire->in. The first call has no input and says the first word. */
    int (*handshake)(struct sta_tls_session *session, struct sta_tls_wire *wire, char *reason);

    /* Up to `cap` plain bytes to `area`, *len of them, also where the answer is no STRATA_OK.
     * STRATA_OK: `area` is full, and there may be more. */
    int (*decrypt)(struct sta_tls_session *session, struct sta_tls_wire *wire, uint8_t *area,
                   size_t cap, size_t *len, char *reason);

    /* All of `bytes`, at most 2^30 of them. */
    int (*encrypt)(struct sta_tls_session *session, struct sta_tls_wire *wire,
                   struct strata_bytes bytes, char *reason);

    /* Tells the peer that we send no more. What cannot be told is not. */
    void (*goodbye)(struct sta_tls_session *session, struct sta_tls_wire *wire);

    void (*ticket_destroy)(struct sta_tls_ticket **ticket);
};

/* ---- what streams are given ---- */

struct sta_tls {
    /* Fixed at creation. */
    const struct strata_tls_provider *provider;
    struct sta_tls_context *context;
};

/* Reads all files that the settings name: blocks on the disk, so not on a loop. On failure `error`
 * (may be NULL) names file and reason, or says what to link where `provider` is NULL:
 * STRATA_ERR_UNSUPPORTED, STRATA_ERR_CONFIG, STRATA_ERR_NOMEM. */
int sta_tls_open(struct sta_tls **out, const struct strata_tls_provider *provider,
                 const struct sta_tls_settings *settings, struct strata_error *error);

/* After the streams that use it. Sets the pointer to NULL; NULL is fine. */
void sta_tls_close(struct sta_tls **tls);

/* Forgets a ticket. NULL is fine. */
void sta_tls_drop_ticket(const struct sta_tls *tls, struct sta_tls_ticket **ticket);

#endif
