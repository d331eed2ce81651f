/* SPDX-License-Identifier: MIT
 *
 * What the tests of sessions share: a session of ours and a server in memory, with a wire between
 * them that carries as many bytes at a time as a test wants.
 */
#ifndef TEST_TLS_LINK_H
#define TEST_TLS_LINK_H

#include "core/buffer.h"
#include "net/tls.h"
#include "support/certificates.h"
#include "support/tls_peer.h"

struct tls_link {
    const struct strata_tls_provider *tls;
    struct sta_tls_context *context;
    struct sta_tls_session *session;
    struct sta_tls_ticket *ticket;
    struct tls_peer peer;
    struct sta_buffer wire; /* from us to the server */
    struct sta_buffer got;  /* plain, from the server */
    size_t step;            /* the most bytes that travel at a time; 0: all there are */
    int put_status;         /* what put() answers where it is not STRATA_OK */
    bool ready;             /* our handshake is complete */
    int status;             /* of our latest call */
    char reason[STA_TLS_REASON_CAP];
};

/* A context and a session for `host`, and the server; nothing is said yet. */
void tls_link_init(struct tls_link *link, const struct sta_tls_settings *settings,
                   const struct tls_peer_plan *plan, const char *host);

/* A new session of the same context, with the ticket that came, to the same server. */
void tls_link_again(struct tls_link *link, const char *host);
void tls_link_fini(struct tls_link *link);

/* Carries bytes both ways until nobody has any more to say, or our side has failed. */
void tls_link_run(struct tls_link *link);

/* Encrypts; and carries it over. */
int tls_link_try_to_say(struct tls_link *link, struct strata_bytes bytes);
void tls_link_say(struct tls_link *link, struct strata_bytes bytes);

/* Says that we say no more, and carries that over. */
void tls_link_goodbye(struct tls_link *link);

/* Gives our side these bytes as if they came from the server. */
void tls_link_feed(struct tls_link *link, struct strata_bytes bytes);

#endif
