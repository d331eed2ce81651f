/* SPDX-License-Identifier: MIT
 *
 * Links between streams and modelled servers. A link and what it carries live as long as the net,
 * so that nothing has to be called off; what comes for a side that has gone is dropped.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "sim/sim_net.h"
#include "strata/status.h"

#define PORTS_MOST  16u
#define PIECES_MOST 4u
#define LARGE_BYTES ((size_t)32 << 10)
#define LINGERS_NS                                                                                 \
    (900 * STA_NS_MS)  /* for so long what was sent may come after its sender has gone */
#define LARGE_TIMES 8u /* a piece as large as that may take so much longer */

struct chunk {
    struct chunk *next;
    uint64_t at_ns;
    size_t len;
    uint8_t bytes[];
};

struct pipe {
    struct sim_link *link;
    enum sim_way way;
    struct chunk *first, **last;
    uint64_t last_ns; /* when the last one comes: order is kept */
    uint64_t frozen_until_ns;
};

struct sim_link {
    struct sta_list node;
    struct sim_net *net;
    unsigned id;
    uint16_t port;
    struct sta_stream *stream; /* NULL: it has gone, or has been told of the end */
    void *peer;                /* likewise; or not come yet */
    bool open;                 /* accepted, and neither cut nor left */
    struct pipe pipes[2];
};

struct port {
    uint16_t number;
    void *server;
};

struct sim_net {
    struct sim *sim;
    struct sim_net_config config;
    const struct sim_peer_events *events;
    struct sta_list links; /* newest first */
    unsigned links_made;
    struct port ports[PORTS_MOST];
    unsigned port_count;
};

static struct sim_net *current;

/* ---- pipes ---- */

static uint64_t latency_ns(struct sim_net *net)
{
    return net->config.latency_ns + sim_below(net->sim, net->config.jitter_ns + 1);
}

static void deliver(struct sim_link *link, enum sim_way way, const struct chunk *chunk)
{
    if (way == SIM_TO_SERVER && link->peer != NULL)
        link->net->events->received(link->peer, chunk->bytes, chunk->len);
    else if (way == SIM_TO_CLIENT && link->stream != NULL)
        sim_stream_arrived(link->stream, chunk->bytes, chunk->len);
}

static void on_chunk(void *arg)
{
    struct pipe *pipe = arg;
    struct sim *sim = pipe->link->net->sim;
    struct chunk *chunk = pipe->first;
    if (chunk == NULL)
        return; /* dropped */
    if (sim_now_ns(sim) < pipe->frozen_until_ns) {
        sim_at(sim, pipe->frozen_until_ns, on_chunk, pipe);
        return;
    }
    pipe->first = chunk->next;
    if (pipe->first == NULL)
        pipe->last = &pipe->first;
    deliver(pipe->link, pipe->way, chunk);
    free(chunk);
}

static void pipe_send_piece(struct pipe *pipe, const uint8_t *bytes, size_t len)
{
    struct sim_net *net = pipe->link->net;
    struct chunk *chunk = malloc(sizeof *chunk + len);
    assert(chunk != NULL);
    uint64_t times = len < LARGE_BYTES ? 1 : sim_between(net->sim, 1, LARGE_TIMES);
    uint64_t at_ns = sim_now_ns(net->sim) + times * latency_ns(net);
    chunk->next = NULL;
    chunk->at_ns = at_ns < pipe->last_ns ? pipe->last_ns : at_ns;
    chunk->len = len;
    memcpy(chunk->bytes, bytes, len);
    pipe->last_ns = chunk->at_ns;
    *pipe->last = chunk;
    pipe->last = &chunk->next;
    sim_at(net->sim, chunk->at_ns, on_chunk, pipe);
}

static void pipe_drop(struct pipe *pipe)
{
    while (pipe->first != NULL) {
        struct chunk *chunk = pipe->first;
        pipe->first = chunk->next;
        free(chunk);
    }
    pipe->last = &pipe->first;
}

void sim_link_send(struct sim_link *link, enum sim_way way, const void *bytes, size_t len)
{
    struct sim_net *net = link->net;
    const uint8_t *at = bytes;
    if (!link->open)
        return;
    for (unsigned piece = 1; piece < PIECES_MOST && len > 1; piece++) {
        if (!sim_chance(net->sim, net->config.split))
            break;
        size_t part = 1 + sim_below(net->sim, len - 1);
        pipe_send_piece(&link->pipes[way], at, part);
        at += part;
        len -= part;
    }
    if (len > 0)
        pipe_send_piece(&link->pipes[way], at, len);
}

void sim_link_freeze(struct sim_link *link, enum sim_way way, uint64_t until_ns)
{
    link->pipes[way].frozen_until_ns = until_ns;
}

void sim_net_freeze(struct sim_net *net, const struct sta_loop *loop, uint16_t port,
                    enum sim_way way, uint64_t until_ns)
{
    for (struct sta_list *node = net->links.next; node != &net->links; node = node->next) {
        struct sim_link *link = STA_CONTAINER(node, struct sim_link, node);
        if (link->port == port && link->stream != NULL && sim_stream_is_of(link->stream, loop))
            sim_link_freeze(link, way, until_ns);
    }
}

/* ---- the beginning ---- */

static void on_answered(void *arg)
{
    struct sim_link *link = arg;
    if (link->stream == NULL)
        return;
    sim_stream_opened(link->stream, link->open ? STRATA_OK : STRATA_ERR_UNAVAILABLE);
    if (!link->open)
        link->stream = NULL;
}

static void *server_at(const struct sim_net *net, uint16_t port)
{
    for (unsigned i = 0; i < net->port_count; i++)
        if (net->ports[i].number == port)
            return net->ports[i].server;
    return NULL;
}

static void on_knock(void *arg)
{
    struct sim_link *link = arg;
    struct sim_net *net = link->net;
    void *server = server_at(net, link->port);
    if (link->stream == NULL)
        return;
    if (server != NULL)
        link->peer = net->events->accepted(server, link);
    link->open = link->peer != NULL;
    sim_log(net->sim, "link %u to %u: %s", link->id, link->port, link->open ? "open" : "refused");
    sim_at(net->sim, sim_now_ns(net->sim) + latency_ns(net), on_answered, link);
}

static void pipe_init(struct sim_link *link, enum sim_way way)
{
    struct pipe *pipe = &link->pipes[way];
    pipe->link = link;
    pipe->way = way;
    pipe->last = &pipe->first;
}

struct sim_link *sim_link_open(struct sim_net *net, uint16_t port, struct sta_stream *stream)
{
    struct sim_link *link = calloc(1, sizeof *link);
    assert(link != NULL);
    link->net = net;
    link->id = ++net->links_made;
    link->port = port;
    link->stream = stream;
    pipe_init(link, SIM_TO_SERVER);
    pipe_init(link, SIM_TO_CLIENT);
    sta_list_push_front(&net->links, &link->node);
    sim_at(net->sim, sim_now_ns(net->sim) + latency_ns(net), on_knock, link);
    return link;
}

/* ---- the end ---- */

static void on_server_hears(void *arg)
{
    struct sim_link *link = arg;
    void *peer = link->peer;
    link->peer = NULL;
    if (peer != NULL)
        link->net->events->closed(peer);
}

static void on_client_hears(void *arg)
{
    struct sim_link *link = arg;
    struct sta_stream *stream = link->stream;
    link->stream = NULL;
    if (stream != NULL)
        sim_stream_lost(stream);
}

/* The end comes behind what was sent, if that comes soon. */
static uint64_t end_ns(const struct sim_link *link)
{
    const struct pipe *pipe = &link->pipes[SIM_TO_SERVER];
    uint64_t now_ns = sim_now_ns(link->net->sim);
    uint64_t at_ns = now_ns + latency_ns(link->net);
    at_ns = at_ns < pipe->last_ns ? pipe->last_ns : at_ns;
    at_ns = at_ns < pipe->frozen_until_ns ? pipe->frozen_until_ns : at_ns;
    return (at_ns < now_ns + LINGERS_NS ? at_ns : now_ns + LINGERS_NS) + 1;
}

void sim_link_leave(struct sim_link *link)
{
    struct sim_net *net = link->net;
    link->stream = NULL;
    pipe_drop(&link->pipes[SIM_TO_CLIENT]);
    link->open = false;
    sim_at(net->sim, end_ns(link), on_server_hears, link);
}

void sim_link_close(struct sim_link *link)
{
    struct sim_net *net = link->net;
    link->peer = NULL;
    link->open = false;
    pipe_drop(&link->pipes[SIM_TO_SERVER]);
    uint64_t at_ns = sim_now_ns(net->sim) + latency_ns(net);
    uint64_t last_ns = link->pipes[SIM_TO_CLIENT].last_ns;
    sim_at(net->sim, at_ns < last_ns ? last_ns : at_ns, on_client_hears, link);
}

void sim_link_cut(struct sim_link *link, uint64_t most_ns)
{
    struct sim *sim = link->net->sim;
    sim_log(sim, "link %u: cut", link->id);
    link->open = false;
    pipe_drop(&link->pipes[SIM_TO_SERVER]);
    pipe_drop(&link->pipes[SIM_TO_CLIENT]);
    sim_at(sim, sim_now_ns(sim) + sim_below(sim, most_ns + 1), on_client_hears, link);
    sim_at(sim, sim_now_ns(sim) + sim_below(sim, most_ns + 1), on_server_hears, link);
}

void sim_link_consumed(struct sim_link *link, uint64_t total)
{
    if (link->peer != NULL)
        link->net->events->consumed(link->peer, total);
}

/* ---- looking ---- */

struct sim_link *sim_net_link(struct sim_net *net, uint64_t pick)
{
    for (struct sta_list *node = net->links.next; node != &net->links; node = node->next) {
        struct sim_link *link = STA_CONTAINER(node, struct sim_link, node);
        if (link->open && pick-- == 0)
            return link;
    }
    return NULL;
}

unsigned sim_link_id(const struct sim_link *link)
{
    return link->id;
}

bool sim_link_is_open(const struct sim_link *link)
{
    return link->open;
}

static void pipe_thaw(struct pipe *pipe)
{
    struct sim *sim = pipe->link->net->sim;
    if (pipe->frozen_until_ns <= sim_now_ns(sim))
        return;
    pipe->frozen_until_ns = 0;
    for (const struct chunk *chunk = pipe->first; chunk != NULL; chunk = chunk->next)
        sim_at(sim, sim_now_ns(sim), on_chunk, pipe);
}

void sim_net_heal(struct sim_net *net)
{
    for (struct sta_list *node = net->links.next; node != &net->links; node = node->next) {
        struct sim_link *link = STA_CONTAINER(node, struct sim_link, node);
        pipe_thaw(&link->pipes[SIM_TO_SERVER]);
        pipe_thaw(&link->pipes[SIM_TO_CLIENT]);
    }
}

/* ---- life ---- */

struct sim_net *sim_net_create(struct sim *sim, const struct sim_net_config *config,
                               const struct sim_peer_events *events)
{
    struct sim_net *net = calloc(1, sizeof *net);
    assert(net != NULL && current == NULL);
    net->sim = sim;
    net->config = *config;
    net->events = events;
    sta_list_init(&net->links);
    current = net;
    return net;
}

struct sim_net *sim_net_current(void)
{
    return current;
}

void sim_net_listen(struct sim_net *net, uint16_t port, void *server)
{
    assert(net->port_count < PORTS_MOST);
    net->ports[net->port_count++] = (struct port){port, server};
}

void sim_net_destroy(struct sim_net **at)
{
    struct sim_net *net = *at;
    struct sta_list *node;
    *at = NULL;
    current = NULL;
    while ((node = sta_list_pop_front(&net->links)) != NULL) {
        struct sim_link *link = STA_CONTAINER(node, struct sim_link, node);
        pipe_drop(&link->pipes[SIM_TO_SERVER]);
        pipe_drop(&link->pipes[SIM_TO_CLIENT]);
        free(link);
    }
    free(net);
}
