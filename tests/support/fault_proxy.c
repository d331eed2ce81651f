/* SPDX-License-Identifier: MIT
 *
 * The fault proxy: a thread around ppoll(). Callers never touch what the thread works with; they
 * leave an order under the lock, wake the thread and wait until it has carried it out. So closing a
 * connection cannot race with its being polled.
 */
#include "support/fault_proxy.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "support/fault_stream.h"
#include "support/port.h"

#define LINKS_MOST   2048u
#define BACKLOG      1024
#define ADDRESS_CAP  128
#define LISTEN_TRIES 20

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* A client's connection, and ours to the server on its behalf. */
struct link {
    int fds[2]; /* of the client, of the server (-1: none) */
    bool abandoned;
    bool shut[2]; /* the end of a direction was passed on */
    struct fault_stream streams[2];
};

struct order {
    enum {
        ORDER_WAY,
        ORDER_TARGET,
        ORDER_ARRIVAL,
        ORDER_HEAL,
        ORDER_CUT,
        ORDER_RESET,
        ORDER_ABANDON,
        ORDER_END
    } kind;
    enum fault_direction direction;
    struct fault_way way;
    bool has_target;
    struct address target;
    enum fault_arrival arrival;
};

struct fault_proxy {
    /* fixed at the start */
    pthread_t thread;
    int wake;
    char text[ADDRESS_CAP];
    struct address listen;

    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t carried_out;
    const struct order *order; /* NULL: none waits */
    struct fault_statistics statistics;

    /* the thread's */
    int listener; /* -1 while connections are refused */
    bool ending;
    bool has_target;
    struct address target;
    enum fault_arrival arrival;
    struct fault_way ways[2];
    uint32_t draw;
    unsigned count;
    struct link links[LINKS_MOST];
    struct pollfd polled[2 * LINKS_MOST + 2];
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "fault proxy: %s: %s\n", what, strerror(errno));
    abort();
}

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- addresses ---- */

static void parse_unix(struct address *address, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    memcpy(&address->storage, &un, sizeof un);
    address->len = sizeof un;
}

static void parse(struct address *address, const char *text)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[ADDRESS_CAP];
    if (strncmp(text, "unix:", 5) == 0) {
        parse_unix(address, text + 5);
        return;
    }
    const char *colon = strrchr(text, ':');
    bool brackets = *text == '[' && colon != NULL;
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        fail(text);
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * brackets, text + brackets);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        fail(text);
    memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
    address->len = found->ai_addrlen;
    freeaddrinfo(found);
}

static int open_socket(const struct address *address)
{
    int on = 1;
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        fail("socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* no matter for unix */
    return fd;
}

/* A listening socket, or -1 where the address is taken. */
static int try_listen(const struct address *address)
{
    int fd = open_socket(address);
    if (address->storage.ss_family == AF_UNIX)
        (void)unlink(((const struct sockaddr_un *)&address->storage)->sun_path);
    if (bind(fd, (const struct sockaddr *)&address->storage, address->len) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* ---- links ---- */

static void close_fd(int *fd, bool reset)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (*fd < 0)
        return;
    if (reset)
        (void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(*fd);
    *fd = -1;
}

static void end_link(struct fault_proxy *proxy, unsigned i, bool reset)
{
    struct link *link = &proxy->links[i];
    for (int side = 0; side < 2; side++) {
        close_fd(&link->fds[side], reset);
        fault_stream_fini(&link->streams[side]);
    }
    *link = proxy->links[--proxy->count];
}

static void end_links(struct fault_proxy *proxy, bool reset)
{
    while (proxy->count > 0)
        end_link(proxy, proxy->count - 1, reset);
}

/* Loopback connects at once, or within the kernel's doing; a refusal hangs the client up. */
static int connect_target(const struct fault_proxy *proxy)
{
    if (!proxy->has_target)
        return -1;
    int fd = open_socket(&proxy->target);
    if (connect(fd, (const struct sockaddr *)&proxy->target.storage, proxy->target.len) == 0 ||
        errno == EINPROGRESS)
        return fd;
    (void)close(fd);
    return -1;
}

static void accept_one(struct fault_proxy *proxy, int client)
{
    int on = 1;
    int server = -1;
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (proxy->arrival == FAULT_PASS)
        server = connect_target(proxy);
    bool stays = server >= 0 || proxy->arrival == FAULT_SILENT;
    if (!stays || proxy->count == LINKS_MOST) {
        close_fd(&server, false);
        (void)close(client);
        return;
    }
    proxy->links[proxy->count++] = (struct link){
        .fds = {client, server},
        .abandoned = server < 0,
    };
}

static void accept_all(struct fault_proxy *proxy)
{
    for (;;) {
        int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0)
            return;
        (void)pthread_mutex_lock(&proxy->lock);
        proxy->statistics.accepted++;
        (void)pthread_mutex_unlock(&proxy->lock);
        accept_one(proxy, client);
    }
}

/* ---- the thread: what to wait for ---- */

/* A stream reads from the side of its own number (up from the client) and sends to the other. */
static short events_of(const struct fault_proxy *proxy, const struct link *link, int side,
                       int64_t now)
{
    const struct fault_stream *in = &link->streams[side];
    const struct fault_stream *out = &link->streams[!side];
    short events = 0;
    if (link->abandoned)
        return 0;
    if (fault_stream_wants(in, &proxy->ways[side]))
        events |= POLLIN;
    if (fault_stream_due(out, &proxy->ways[!side]) <= now)
        events |= POLLOUT;
    return events;
}

static void list_polled(struct fault_proxy *proxy, int64_t now)
{
    struct pollfd *entry = proxy->polled;
    *entry++ = (struct pollfd){.fd = proxy->wake, .events = POLLIN};
    *entry++ = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
    for (unsigned i = 0; i < proxy->count; i++)
        for (int side = 0; side < 2; side++, entry++) {
            entry->events = events_of(proxy, &proxy->links[i], side, now);
            /* Without a wish ppoll() would still report, again and again, that it has ended. */
            entry->fd = entry->events != 0 ? proxy->links[i].fds[side] : -1;
            entry->revents = 0;
        }
}

static int64_t next_due(const struct fault_proxy *proxy, int64_t now)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < proxy->count; i++)
        for (int side = 0; side < 2 && !proxy->links[i].abandoned; side++) {
            int64_t due = fault_stream_due(&proxy->links[i].streams[side], &proxy->ways[side]);
            if (due > now && due < next) /* what is due waits for its socket */
                next = due;
        }
    return next;
}

static void wait_for_work(struct fault_proxy *proxy)
{
    int64_t now = now_ns();
    int64_t next = next_due(proxy, now);
    struct timespec pause = {0};
    list_polled(proxy, now);
    if (next != INT64_MAX) {
        pause.tv_sec = (next - now) / 1000000000;
        pause.tv_nsec = (next - now) % 1000000000;
    }
    if (ppoll(proxy->polled, 2 + 2 * (nfds_t)proxy->count, next != INT64_MAX ? &pause : NULL,
              NULL) < 0 &&
        errno != EINTR)
        fail("ppoll");
}

/* ---- the thread: what to do ---- */

/* Passes the end of a direction on once all of it was sent. */
static void pass_end(struct link *link, int side, const struct fault_way *way)
{
    struct fault_stream *stream = &link->streams[side];
    bool silent = way->drop || way->freeze;
    if (stream->ended && stream->first == NULL && !link->shut[side] && !silent) {
        link->shut[side] = true;
        (void)shutdown(link->fds[!side], SHUT_WR);
    }
}

static void count_bytes(struct fault_proxy *proxy, struct link *link)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->statistics.up_bytes += link->streams[FAULT_UP].sent_bytes;
    proxy->statistics.down_bytes += link->streams[FAULT_DOWN].sent_bytes;
    for (int side = 0; side < 2; side++) {
        proxy->statistics.dropped_bytes += link->streams[side].dropped_bytes;
        link->streams[side].sent_bytes = 0;
        link->streams[side].dropped_bytes = 0;
    }
    (void)pthread_mutex_unlock(&proxy->lock);
}

/* Where break_at was reached, and what came before has been sent. */
static void break_off(struct fault_proxy *proxy, struct link *link, int side)
{
    struct fault_stream *stream = &link->streams[side];
    if (!stream->cut_short || stream->first != NULL)
        return;
    if (proxy->ways[side].break_silently)
        link->abandoned = true;
    else
        stream->broken = true;
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->statistics.broken++;
    (void)pthread_mutex_unlock(&proxy->lock);
}

/* Whether the link lives on. */
static bool serve_link(struct fault_proxy *proxy, struct link *link, const struct pollfd *polled)
{
    int64_t now = now_ns();
    for (int side = 0; side < 2; side++)
        if ((polled[side].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
            fault_stream_wants(&link->streams[side], &proxy->ways[side]))
            fault_stream_read(&link->streams[side], &proxy->ways[side], link->fds[side], now);
    for (int side = 0; side < 2; side++) {
        proxy->draw = proxy->draw * 1664525u + 1013904223u;
        if (fault_stream_due(&link->streams[side], &proxy->ways[side]) <= now)
            fault_stream_send(&link->streams[side], &proxy->ways[side], link->fds[!side],
                              proxy->draw, now);
        pass_end(link, side, &proxy->ways[side]);
        break_off(proxy, link, side);
    }
    count_bytes(proxy, link);
    return !link->streams[0].broken && !link->streams[1].broken &&
           !(link->shut[0] && link->shut[1]);
}

/* From behind: a link that ends is replaced by the last one, which has been served. A side that
 * broke is told to the other as a reset, as it came. */
static void serve_links(struct fault_proxy *proxy)
{
    for (unsigned i = proxy->count; i-- > 0;) {
        struct link *link = &proxy->links[i];
        if (!link->abandoned && !serve_link(proxy, link, &proxy->polled[2 + 2 * i]))
            end_link(proxy, i, link->streams[0].broken || link->streams[1].broken);
    }
}

static void set_arrival(struct fault_proxy *proxy, enum fault_arrival arrival)
{
    proxy->arrival = arrival;
    if (arrival == FAULT_REFUSE)
        close_fd(&proxy->listener, false);
    for (int i = 0; proxy->listener < 0 && arrival != FAULT_REFUSE; i++) {
        proxy->listener = try_listen(&proxy->listen);
        if (i == LISTEN_TRIES)
            fail("listening again");
    }
}

static void heal(struct fault_proxy *proxy)
{
    memset(proxy->ways, 0, sizeof proxy->ways);
    set_arrival(proxy, FAULT_PASS);
}

static void carry_out(struct fault_proxy *proxy, const struct order *order)
{
    switch (order->kind) {
    case ORDER_WAY:
        proxy->ways[order->direction] = order->way;
        break;
    case ORDER_TARGET:
        proxy->has_target = order->has_target;
        proxy->target = order->target;
        break;
    case ORDER_ARRIVAL:
        set_arrival(proxy, order->arrival);
        break;
    case ORDER_HEAL:
        heal(proxy);
        break;
    case ORDER_CUT:
    case ORDER_RESET:
        end_links(proxy, order->kind == ORDER_RESET);
        break;
    case ORDER_ABANDON:
        for (unsigned i = 0; i < proxy->count; i++)
            proxy->links[i].abandoned = true;
        break;
    case ORDER_END:
        proxy->ending = true;
        break;
    }
}

static void take_order(struct fault_proxy *proxy)
{
    uint64_t count;
    (void)!read(proxy->wake, &count, sizeof count);
    (void)pthread_mutex_lock(&proxy->lock);
    const struct order *order = proxy->order;
    (void)pthread_mutex_unlock(&proxy->lock);
    if (order == NULL)
        return;
    carry_out(proxy, order);
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->order = NULL;
    proxy->statistics.open = proxy->count;
    (void)pthread_cond_broadcast(&proxy->carried_out);
    (void)pthread_mutex_unlock(&proxy->lock);
}

static void *run(void *arg)
{
    struct fault_proxy *proxy = arg;
    while (!proxy->ending) {
        wait_for_work(proxy);
        serve_links(proxy);
        if (proxy->listener >= 0 && proxy->polled[1].revents != 0)
            accept_all(proxy);
        (void)pthread_mutex_lock(&proxy->lock);
        proxy->statistics.open = proxy->count;
        (void)pthread_mutex_unlock(&proxy->lock);
        take_order(proxy);
    }
    end_links(proxy, false);
    return NULL;
}

/* ---- the caller's side ---- */

static void command(struct fault_proxy *proxy, const struct order *order)
{
    const uint64_t one = 1;
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->order = order;
    if (write(proxy->wake, &one, sizeof one) != sizeof one)
        fail("wake");
    while (proxy->order != NULL)
        (void)pthread_cond_wait(&proxy->carried_out, &proxy->lock);
    (void)pthread_mutex_unlock(&proxy->lock);
}

/* Port 0: one that the kernel will not give to anybody else meanwhile (port.h). */
static void listen_somewhere(struct fault_proxy *proxy, const char *text)
{
    const char *colon = strrchr(text, ':');
    bool any = strncmp(text, "unix:", 5) != 0 && colon != NULL && strcmp(colon, ":0") == 0;
    char host[ADDRESS_CAP];
    (void)snprintf(host, sizeof host, "%.*s", any ? (int)(colon - text) : 0, text);
    for (int i = 0; proxy->listener < 0; i++) {
        if (i == LISTEN_TRIES)
            fail(text);
        if (any)
            (void)snprintf(proxy->text, sizeof proxy->text, "%.100s:%d", host, port_choose(host));
        else
            (void)snprintf(proxy->text, sizeof proxy->text, "%s", text);
        parse(&proxy->listen, proxy->text);
        proxy->listener = try_listen(&proxy->listen);
    }
}

struct fault_proxy *fault_proxy_start(const char *listen, const char *target)
{
    struct fault_proxy *proxy = calloc(1, sizeof *proxy);
    if (proxy == NULL)
        abort();
    proxy->listener = -1;
    proxy->draw = 1;
    proxy->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    listen_somewhere(proxy, listen != NULL ? listen : "127.0.0.1:0");
    proxy->has_target = target != NULL;
    if (target != NULL)
        parse(&proxy->target, target);
    (void)pthread_mutex_init(&proxy->lock, NULL);
    (void)pthread_cond_init(&proxy->carried_out, NULL);
    if (proxy->wake < 0 || pthread_create(&proxy->thread, NULL, run, proxy) != 0)
        fail("start");
    return proxy;
}

void fault_proxy_stop(struct fault_proxy **pointer)
{
    struct fault_proxy *proxy = *pointer;
    if (proxy == NULL)
        return;
    command(proxy, &(struct order){.kind = ORDER_END});
    (void)pthread_join(proxy->thread, NULL);
    close_fd(&proxy->listener, false);
    (void)close(proxy->wake);
    if (proxy->listen.storage.ss_family == AF_UNIX)
        (void)unlink(((const struct sockaddr_un *)&proxy->listen.storage)->sun_path);
    (void)pthread_cond_destroy(&proxy->carried_out);
    (void)pthread_mutex_destroy(&proxy->lock);
    free(proxy);
    *pointer = NULL;
}

const char *fault_proxy_address(const struct fault_proxy *proxy)
{
    return proxy->text;
}

int fault_proxy_port(const struct fault_proxy *proxy)
{
    return proxy->listen.storage.ss_family == AF_UNIX ? 0 : atoi(strrchr(proxy->text, ':') + 1);
}

void fault_proxy_set_target(struct fault_proxy *proxy, const char *target)
{
    struct order order = {.kind = ORDER_TARGET, .has_target = target != NULL};
    if (target != NULL)
        parse(&order.target, target);
    command(proxy, &order);
}

void fault_proxy_set_arrival(struct fault_proxy *proxy, enum fault_arrival arrival)
{
    command(proxy, &(struct order){.kind = ORDER_ARRIVAL, .arrival = arrival});
}

void fault_proxy_set_way(struct fault_proxy *proxy, enum fault_direction direction,
                         struct fault_way way)
{
    command(proxy, &(struct order){.kind = ORDER_WAY, .direction = direction, .way = way});
}

void fault_proxy_heal(struct fault_proxy *proxy)
{
    command(proxy, &(struct order){.kind = ORDER_HEAL});
}

void fault_proxy_cut(struct fault_proxy *proxy)
{
    command(proxy, &(struct order){.kind = ORDER_CUT});
}

void fault_proxy_reset(struct fault_proxy *proxy)
{
    command(proxy, &(struct order){.kind = ORDER_RESET});
}

void fault_proxy_abandon(struct fault_proxy *proxy)
{
    command(proxy, &(struct order){.kind = ORDER_ABANDON});
}

struct fault_statistics fault_proxy_statistics(const struct fault_proxy *proxy)
{
    struct fault_proxy *it = (struct fault_proxy *)(uintptr_t)proxy;
    (void)pthread_mutex_lock(&it->lock);
    struct fault_statistics statistics = it->statistics;
    (void)pthread_mutex_unlock(&it->lock);
    return statistics;
}
