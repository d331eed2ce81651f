/* SPDX-License-Identifier: MIT
 *
 * The simulated network, under the headers of src/net: loops (sim_loop.c) and streams
 * (sim_stream.c) over virtual time, and links to modelled servers (sim_link.c).
 *
 *     sta_stream --> chunks on their way --> sim_peer      a link: two pipes, each of which
 *                <-- chunks on their way <--               keeps its order
 *
 * A link may be slow, split what it carries at any byte, freeze either way (nothing is lost, it
 * comes later), and be cut, of which both ends hear later, each in its own time.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "core/list.h"
#include "net/loop.h"
#include "net/stream.h"
#include "sim/sim.h"

struct sim_link;
struct sim_net;

/* ---- loops ---- */

struct sta_loop {
    struct sim *sim;
    struct sta_task *tasks; /* oldest first */
    struct sta_task **last_task;
    struct sta_list timers;
    struct sta_list flushes;
    struct sta_list streams;   /* on which something has come */
    uint64_t turn_ns;          /* when it turns next; STA_NEVER: not asked for */
    uint64_t stalled_until_ns; /* its thread does not run before */
    bool turning;
};

void sim_loop_wake(struct sta_loop *loop, uint64_t at_ns);

/* Its thread is not run for a while; callers are. */
void sim_loop_stall(struct sta_loop *loop, uint64_t until_ns);

/* sim_stream.c: what has come is shown to the stream's owner. Last thing that is done with it. */
void sim_stream_turn(struct sta_list *node);

/* ---- what a link tells its stream ---- */

void sim_stream_opened(struct sta_stream *stream, int status);
void sim_stream_arrived(struct sta_stream *stream, const uint8_t *bytes, size_t len);
void sim_stream_lost(struct sta_stream *stream);
bool sim_stream_is_of(const struct sta_stream *stream, const struct sta_loop *loop);

/* ---- links ---- */

/* The modelled end. arg is what accepted() returned for the link. */
struct sim_peer_events {
    void *(*accepted)(void *server, struct sim_link *link); /* NULL: refused */
    void (*received)(void *arg, const uint8_t *bytes, size_t len);
    void (*closed)(void *arg);
    /* So many bytes of all that were sent to the client have been dealt with by it. */
    void (*consumed)(void *arg, uint64_t total);
};

enum sim_way { SIM_TO_SERVER, SIM_TO_CLIENT };

struct sim_net_config {
    uint64_t latency_ns;
    uint64_t jitter_ns; /* more, at most */
    unsigned split;     /* per mille of sends that come in pieces */
};

struct sim_net *sim_net_create(struct sim *sim, const struct sim_net_config *config,
                               const struct sim_peer_events *events);
void sim_net_destroy(struct sim_net **net);

/* The one net of the world: where streams connect. */
struct sim_net *sim_net_current(void);

void sim_net_listen(struct sim_net *net, uint16_t port, void *server);

/* Knocks; the stream hears what came of it. */
struct sim_link *sim_link_open(struct sim_net *net, uint16_t port, struct sta_stream *stream);

void sim_link_send(struct sim_link *link, enum sim_way way, const void *bytes, size_t len);

/* The client has gone: the server hears of it some time. */
void sim_link_leave(struct sim_link *link);

/* The server closes it: the client hears of it some time. */
void sim_link_close(struct sim_link *link);

/* Both hear of it, each in its own time, `most_ns` at most. */
void sim_link_cut(struct sim_link *link, uint64_t most_ns);

void sim_link_freeze(struct sim_link *link, enum sim_way way, uint64_t until_ns);
void sim_link_consumed(struct sim_link *link, uint64_t total);

/* All that there are to a port of the clients on this loop. */
void sim_net_freeze(struct sim_net *net, const struct sta_loop *loop, uint16_t port,
                    enum sim_way way, uint64_t until_ns);

/* `pick` counts from 0; NULL: there are not so many that are open. */
struct sim_link *sim_net_link(struct sim_net *net, uint64_t pick);
unsigned sim_link_id(const struct sim_link *link);
bool sim_link_is_open(const struct sim_link *link);

/* Freezes end, and connections can be had. */
void sim_net_heal(struct sim_net *net);

#endif
