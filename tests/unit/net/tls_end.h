/* SPDX-License-Identifier: MIT
 *
 * What the tests of streams with TLS share: an end (end.h) that connects to a unix listener of the
 * test's, behind which a TLS server in memory sits. Waiting for something also carries bytes
 * between that server and the socket.
 */
#ifndef TEST_TLS_END_H
#define TEST_TLS_END_H

#include "end.h"
#include "net/tls.h"
#include "support/tls_peer.h"

struct tls_end {
    struct end end;
    struct certificate_folder *files;
    struct sta_tls *tls;
    struct sta_tls_ticket *ticket;
    struct sta_endpoint endpoint;
    int listener;
    struct tls_peer peer;
    size_t step;       /* the most bytes that the wire carries at a time; 0: all there are */
    bool peer_is_deaf; /* the server's side of the wire is not read */
    bool peer_is_mute; /* the server's words are not sent */
    bool (*until)(struct end *end);
};

/* The server and the listener; begins to connect with connect(). */
void tls_end_init(struct tls_end *at, struct certificate_folder *files,
                  const struct sta_stream_config *config);
void tls_end_init_with(struct tls_end *at, struct certificate_folder *files,
                       const struct sta_stream_config *config,
                       const struct sta_tls_settings *settings, const struct tls_peer_plan *plan);
void tls_end_fini(struct tls_end *at);

/* init, and run until both sides are ready. */
void tls_end_open(struct tls_end *at, struct certificate_folder *files,
                  const struct sta_stream_config *config);

/* As end_run_until(), with the wire carried. */
void tls_end_run_until(struct tls_end *at, bool (*until)(struct end *end));
void tls_end_run_some_ticks(struct tls_end *at);

/* Hangs up without a word. */
void tls_end_cut(struct tls_end *at);

/* The server says so many bytes of the pattern; it has been told as many by us. */
void tls_end_peer_says(struct tls_end *at, size_t len);
bool tls_end_peer_got_wanted(struct end *end);
bool tls_end_peer_ended(struct end *end);

#endif
