/* SPDX-License-Identifier: MIT
 *
 * A proxy between a client and a server that behaves as badly as the test wants: slow, cut into
 * pieces, silent, frozen, lying, gone. It knows bytes and nothing of what they mean.
 *
 *     client  --up-->  proxy  --up-->  server
 *             <-down-         <-down-
 *
 * It runs on a thread of its own. What a call switches is in force when the call returns, for all
 * connections, those that are open included. Calls fail the process where the system fails.
 *
 * Threads: calls from one thread at a time; statistics from any.
 */
#ifndef TEST_FAULT_PROXY_H
#define TEST_FAULT_PROXY_H

#include <stdbool.h>
#include <stdint.h>

struct fault_proxy;

enum fault_direction {
    FAULT_UP,  /* from the client to the server */
    FAULT_DOWN /* from the server to the client */
};

/* What is done to the bytes of a direction. Zeroed: they pass. */
struct fault_way {
    unsigned delay_ms;         /* each byte arrives so much later; what is under way as well */
    unsigned chunk_bytes;      /* so many bytes in one send at most; 0: as they come */
    bool chunk_random;         /* 1 to chunk_bytes of them, drawn each time */
    unsigned gap_us;           /* between two sends, so that the reader sees the pieces */
    uint64_t bytes_per_second; /* 0: no limit */
    bool freeze;               /* nothing is read or sent; connections stay open */
    bool drop; /* what is read is thrown away, and nobody is told; abandon() before it passes again:
                  TCP knows no gaps */
    uint64_t corrupt_at; /* flips the top bit of the n-th byte that is read from now on */
    /* Before the n-th byte that is read from now on, once those before it have passed, its
     * connection is reset; with break_silently it is abandoned instead. */
    uint64_t break_at;
    bool break_silently;
};

/* What is done to connections that come. */
enum fault_arrival {
    FAULT_PASS,    /* they are led to the target */
    FAULT_SILENT,  /* accepted, and then nothing, for ever */
    FAULT_HANG_UP, /* accepted and closed */
    FAULT_REFUSE   /* refused: nobody listens (for a unix socket: its file stays) */
};

/* Listens on `listen` and leads to `target`; both "host:port" with a numeric host, "[host]:port",
 * or "unix:/path". Port 0 of `listen`: a free one. NULL for `listen`: 127.0.0.1:0. The target is
 * connected to when a client comes; NULL: there is none yet, and clients are hung up on. */
struct fault_proxy *fault_proxy_start(const char *listen, const char *target);

/* Ends all connections. NULL is fine. */
void fault_proxy_stop(struct fault_proxy **proxy);

const char *fault_proxy_address(const struct fault_proxy *proxy); /* as "host:port", unix:... */
int fault_proxy_port(const struct fault_proxy *proxy);            /* 0 for a unix socket */

/* For connections that come from now on. */
void fault_proxy_set_target(struct fault_proxy *proxy, const char *target);
void fault_proxy_set_arrival(struct fault_proxy *proxy, enum fault_arrival arrival);

void fault_proxy_set_way(struct fault_proxy *proxy, enum fault_direction direction,
                         struct fault_way way);

/* Both directions, and arrivals, pass again. Connections that were abandoned stay so. */
void fault_proxy_heal(struct fault_proxy *proxy);

/* Ends all open connections: by FIN to both sides, or by RST. */
void fault_proxy_cut(struct fault_proxy *proxy);
void fault_proxy_reset(struct fault_proxy *proxy);

/* From now on nothing passes on the connections that are open, as when a box in between has
 * forgotten them; later ones are served. */
void fault_proxy_abandon(struct fault_proxy *proxy);

struct fault_statistics {
    uint64_t accepted;   /* connections, ever; hung up ones too */
    uint64_t open;       /* now */
    uint64_t up_bytes;   /* sent to the server */
    uint64_t down_bytes; /* sent to the client */
    uint64_t dropped_bytes;
    uint64_t broken; /* connections, by break_at */
};

struct fault_statistics fault_proxy_statistics(const struct fault_proxy *proxy);

#endif
