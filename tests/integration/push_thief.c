/* SPDX-License-Identifier: MIT
 *
 * See push_thief.h.
 */
#include "integration/push_thief.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buffer.h"
#include "resp/resp.h"
#include "strata/status.h"

#define PAIRS   32u
#define CHUNK   65536u
#define LOOK_MS 20
#define LIMIT   ((size_t)64 << 20)

struct pair {
    int client; /* -1: the place is free */
    int server;
    struct sta_buffer down; /* what the server sent and is no whole frame yet */
    struct sta_resp_framer framer;
    bool robbed;            /* it has lost pushes, and loses all that come */
    struct sta_buffer kept; /* whole frames that are to wait */
    _Atomic bool held;
    _Atomic unsigned kept_frames;
};

struct push_thief {
    int listener;
    int port;
    int target;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic bool steals;
    _Atomic uint64_t stolen;
    struct pair pairs[PAIRS];
};

static void must(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    abort();
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static bool send_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static void pair_end(struct pair *pair)
{
    close(pair->client);
    if (pair->server >= 0)
        close(pair->server);
    sta_buffer_fini(&pair->down);
    sta_buffer_fini(&pair->kept);
    pair->client = -1;
}

static void thief_accept(struct push_thief *thief)
{
    struct sockaddr_in address = loopback(thief->target);
    const int on = 1;
    int client = accept(thief->listener, NULL, NULL);
    for (unsigned i = 0; i < PAIRS && client >= 0; i++) {
        struct pair *pair = &thief->pairs[i];
        if (pair->client >= 0)
            continue;
        *pair = (struct pair){.client = client, .server = socket(AF_INET, SOCK_STREAM, 0)};
        sta_buffer_init(&pair->down, LIMIT);
        sta_buffer_init(&pair->kept, LIMIT);
        (void)setsockopt(pair->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(pair->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connect(pair->server, (struct sockaddr *)&address, sizeof address) != 0)
            pair_end(pair);
        return;
    }
    must(client < 0, "push thief: too many connections");
}

static bool pair_up(struct pair *pair)
{
    uint8_t chunk[CHUNK];
    ssize_t got = recv(pair->client, chunk, sizeof chunk, 0);
    return got > 0 && send_all(pair->server, chunk, (size_t)got);
}

/* Behind what is kept already. */
static bool pair_pass(struct pair *pair, const uint8_t *bytes, size_t len)
{
    if (!atomic_load(&pair->held) && sta_buffer_len(&pair->kept) == 0)
        return send_all(pair->client, bytes, len);
    must(sta_buffer_append(&pair->kept, strata_bytes(bytes, len)) == STRATA_OK,
         "push thief: memory");
    atomic_fetch_add(&pair->kept_frames, 1);
    return true;
}

static void pair_let_go(struct pair *pair)
{
    struct strata_bytes kept = sta_buffer_bytes(&pair->kept);
    if (atomic_load(&pair->held) || kept.len == 0)
        return;
    atomic_store(&pair->kept_frames, 0); /* before anybody can have seen what they bring */
    if (!send_all(pair->client, kept.data, kept.len)) {
        pair_end(pair);
        return;
    }
    sta_buffer_consume(&pair->kept, kept.len);
}

static bool pair_down(struct push_thief *thief, struct pair *pair)
{
    must(sta_buffer_reserve(&pair->down, CHUNK) == STRATA_OK, "push thief: memory");
    ssize_t got = recv(pair->server, sta_buffer_end(&pair->down), CHUNK, 0);
    if (got <= 0)
        return false;
    sta_buffer_advance(&pair->down, (size_t)got);
    for (;;) {
        struct strata_bytes rest = sta_buffer_bytes(&pair->down);
        const uint8_t *bytes = rest.data;
        const char *reason;
        size_t len;
        if (rest.len == 0 ||
            sta_resp_frame(&pair->framer, &sta_resp_reply_limits, rest, &len, &reason) != STRATA_OK)
            return true;
        pair->robbed = pair->robbed || (bytes[0] == '>' && atomic_load(&thief->steals));
        if (bytes[0] == '>' && pair->robbed)
            atomic_fetch_add(&thief->stolen, 1);
        else if (!pair_pass(pair, bytes, len))
            return false;
        sta_buffer_consume(&pair->down, len);
    }
}

static void pair_serve(struct push_thief *thief, struct pair *pair, short up, short down)
{
    if ((up != 0 && !pair_up(pair)) || (down != 0 && !pair_down(thief, pair)))
        pair_end(pair);
}

static void *thief_run(void *arg)
{
    struct push_thief *thief = arg;
    while (!atomic_load(&thief->stopping)) {
        struct pollfd fds[1 + 2 * PAIRS];
        fds[0] = (struct pollfd){.fd = thief->listener, .events = POLLIN};
        for (unsigned i = 0; i < PAIRS; i++) {
            const struct pair *pair = &thief->pairs[i];
            int server = pair->client >= 0 ? pair->server : -1;
            fds[1 + 2 * i] = (struct pollfd){.fd = pair->client, .events = POLLIN};
            fds[2 + 2 * i] = (struct pollfd){.fd = server, .events = POLLIN};
        }
        int ready = poll(fds, 1 + 2 * PAIRS, LOOK_MS);
        for (unsigned i = 0; i < PAIRS; i++)
            if (thief->pairs[i].client >= 0)
                pair_let_go(&thief->pairs[i]);
        if (ready <= 0)
            continue;
        for (unsigned i = 0; i < PAIRS; i++)
            if (thief->pairs[i].client >= 0)
                pair_serve(thief, &thief->pairs[i], fds[1 + 2 * i].revents, fds[2 + 2 * i].revents);
        if (fds[0].revents != 0)
            thief_accept(thief);
    }
    return NULL;
}

struct push_thief *push_thief_start(int port)
{
    struct push_thief *thief = calloc(1, sizeof *thief);
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    must(thief != NULL, "push thief: memory");
    for (unsigned i = 0; i < PAIRS; i++)
        thief->pairs[i].client = -1;
    thief->target = port;
    thief->listener = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(thief->listener, (struct sockaddr *)&address, len) == 0 &&
             listen(thief->listener, (int)PAIRS) == 0 &&
             getsockname(thief->listener, (struct sockaddr *)&address, &len) == 0,
         "push thief: listen");
    thief->port = ntohs(address.sin_port);
    must(pthread_create(&thief->thread, NULL, thief_run, thief) == 0, "push thief: thread");
    return thief;
}

void push_thief_stop(struct push_thief **at)
{
    struct push_thief *thief = *at;
    atomic_store(&thief->stopping, true);
    pthread_join(thief->thread, NULL);
    for (unsigned i = 0; i < PAIRS; i++)
        if (thief->pairs[i].client >= 0)
            pair_end(&thief->pairs[i]);
    close(thief->listener);
    free(thief);
    *at = NULL;
}

int push_thief_port(const struct push_thief *thief)
{
    return thief->port;
}

void push_thief_steal(struct push_thief *thief, bool steal)
{
    atomic_store(&thief->steals, steal);
}

uint64_t push_thief_stolen(struct push_thief *thief)
{
    return atomic_load(&thief->stolen);
}

void push_thief_hold(struct push_thief *thief, unsigned connection, bool hold)
{
    atomic_store(&thief->pairs[connection].held, hold);
}

unsigned push_thief_held(const struct push_thief *thief, unsigned connection)
{
    return atomic_load(&thief->pairs[connection].kept_frames);
}
