/* SPDX-License-Identifier: MIT
 *
 * A connection to one Redis for somebody who speaks on it himself: it connects once, greets, and
 * then shows each frame that comes, whatever it answers. It knows no requests, and does not come
 * back after its end.
 *
 *   open() --> CONNECTING --> GREETING --> opened() --> frame(), frame(), ... --> ended()
 *                   '------------'------------------------------------------------^
 *
 * After ended() nothing is called any more, and only close() is left. Any callback may close.
 * Threads: the loop's only.
 */
#ifndef STA_RAW_LINK_H
#define STA_RAW_LINK_H

#include <stdint.h>

#include "l2/redis_url.h"
#include "net/loop.h"
#include "strata/bytes.h"

struct sta_raw_link;
struct sta_tls;

struct sta_raw_link_config {
    const struct sta_redis_url *url; /* not looked at after open() */
    const struct sta_tls *tls; /* NULL: plain, and then url->tls is false; outlives the link */
    int protocol;              /* 2 or 3 */
    const char *name;          /* CLIENT SETNAME; NULL: none */
    uint64_t deadline_ns;      /* of connecting and greeting together */
    size_t max_pending_bytes;  /* that may wait unsent */
};

struct sta_raw_link_events {
    void (*opened)(void *arg);
    /* One whole frame, readable until return. */
    void (*frame)(void *arg, struct strata_bytes frame);
    /* `reason` is text for people. */
    void (*ended)(void *arg, int status, const char *reason);
};

/* STRATA_ERR_NOMEM; what sta_stream_connect() returns; STRATA_ERR_UNSUPPORTED for a rediss:// URL
 * without tls. */
int sta_raw_link_open(struct sta_raw_link **out, struct sta_loop *loop,
                      const struct sta_raw_link_config *config,
                      const struct sta_raw_link_events *events, void *arg);

/* Drops what was not sent. NULL is fine. */
void sta_raw_link_close(struct sta_raw_link **link);

/* Once opened. STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG: nothing of it is sent. */
int sta_raw_link_send(struct sta_raw_link *link, struct strata_bytes bytes);

/* Stops and starts reading, once opened. */
void sta_raw_link_pause(struct sta_raw_link *link, bool pause);

#endif
