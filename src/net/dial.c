/* SPDX-License-Identifier: MIT
 *
 * Connecting (drawing in dial.h). One timer serves all states: it kicks off the first step, so
 * that done() never comes from within start(), and then bounds the state it is in.
 *
 * Memory: one block, freed when done() has been called or the dial was cancelled, and libuv
 * has let go of what it was lent: the poll handle and the look-up, which cannot be interrupted
 * once it runs. `lent` counts them.
 * Threads: the loop's only; the look-up itself runs on libuv's pool and touches only its request.
 */
#include "net/dial.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "net/loop_inside.h"
#include "strata/status.h"

/* A peer that is gone without a word is noticed within about ten seconds, whether there is
 * something to send or not. The bound on unacknowledged data also ends connections to servers that
 * do not read, so it is for those that we connect to, not for clients. */
#define DIAL_KEEPALIVE_IDLE_S     5
#define DIAL_KEEPALIVE_INTERVAL_S 2
#define DIAL_KEEPALIVE_PROBES     3
#define DIAL_USER_TIMEOUT_MS      10000

/* A unix listener with a full backlog answers EAGAIN, and nothing tells when it has room. */
#define DIAL_BACKLOG_RETRY_NS (10 * STA_NS_MS)

enum dial_state { DIAL_START, DIAL_RESOLVING, DIAL_TRYING, DIAL_ENDED };

struct sta_dial {
    /* Fixed at creation. */
    struct sta_loop *loop;
    struct sta_endpoint endpoint;
    uint64_t deadline_ns;
    sta_dial_done done;
    void *arg;

    enum dial_state state;
    unsigned lent; /* of poll and lookup: how many libuv still holds */
    struct sta_timer timer;
    struct sta_loop_guest guest;
    uv_getaddrinfo_t lookup;
    struct addrinfo *found; /* what lookup brought; freed with the dial */
    struct addrinfo *next;  /* the address to try next */
    uv_poll_t poll;
    int fd;          /* -1: none */
    int last_status; /* of the latest address that failed, with its text */
    char reason[128];
};

static void dial_try_next(struct sta_dial *dial);

/* ---- the end ---- */

static void dial_free_unless_lent(struct sta_dial *dial)
{
    if (dial->state != DIAL_ENDED || dial->lent > 0)
        return;
    if (dial->found != NULL)
        uv_freeaddrinfo(dial->found);
    free(dial);
}

/* After this the dial is only kept for libuv's sake. The socket stays with the caller. */
static void dial_end(struct sta_dial *dial)
{
    dial->state = DIAL_ENDED;
    sta_timer_stop(dial->loop, &dial->timer);
    sta_list_remove(&dial->guest.link);
}

static void dial_fail(struct sta_dial *dial, int status, const char *reason)
{
    dial_end(dial);
    dial->done(dial->arg, status, -1, reason);
    dial_free_unless_lent(dial);
}

static int dial_status(int error)
{
    switch (error) {
    case ENOMEM:
    case ENOBUFS:
        return STRATA_ERR_NOMEM;
    case EMFILE:
    case ENFILE:
        return STRATA_ERR_SYSTEM;
    case ETIMEDOUT:
        return STRATA_ERR_TIMEOUT;
    default:
        return STRATA_ERR_UNAVAILABLE;
    }
}

static void dial_note(struct sta_dial *dial, int error)
{
    dial->last_status = dial_status(error);
    (void)uv_strerror_r(-error, dial->reason, sizeof dial->reason);
}

/* ---- one address ---- */

void sta_dial_tune(int fd)
{
    const int on = 1;
    const int idle = DIAL_KEEPALIVE_IDLE_S;
    const int interval = DIAL_KEEPALIVE_INTERVAL_S;
    const int probes = DIAL_KEEPALIVE_PROBES;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return; /* not TCP */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* A socket that asks for a free local port may be given the very port that it connects to, and
 * TCP then connects it to itself. It happens to whoever knocks often at a dead local server. */
static bool dial_met_itself(int fd)
{
    struct sockaddr_storage here = {0};
    struct sockaddr_storage there = {0};
    socklen_t here_len = sizeof here;
    socklen_t there_len = sizeof there;
    return getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 && here.ss_family != AF_UNIX &&
           getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 && here_len == there_len &&
           memcmp(&here, &there, here_len) == 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct sta_dial *dial = handle->data;
    dial->lent--;
    if (dial->state == DIAL_TRYING)
        dial_try_next(dial);
    else
        dial_free_unless_lent(dial);
}

static void dial_close_poll(struct sta_dial *dial)
{
    uv_close((uv_handle_t *)&dial->poll, on_poll_closed);
}

/* The poll handle goes first; libuv allows the socket to be used or closed right after. */
static void dial_drop_socket(struct sta_dial *dial)
{
    if (dial->fd < 0)
        return;
    dial_close_poll(dial);
    (void)close(dial->fd);
    dial->fd = -1;
}

static void dial_connected(struct sta_dial *dial, int fd)
{
    dial->fd = -1;
    dial_end(dial);
    dial->done(dial->arg, STRATA_OK, fd, "connected");
    dial_free_unless_lent(dial);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sta_dial *dial = poll->data;
    int error = 0;
    socklen_t len = sizeof error;
    (void)events;
    sta_loop_enter(dial->loop);
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0 && status < 0)
        error = -status;
    if (error == 0 && dial_met_itself(dial->fd))
        error = ECONNREFUSED;
    if (error != 0) {
        dial_note(dial, error);
        dial_drop_socket(dial); /* the next address is tried when the handle is closed */
        return;
    }
    dial_close_poll(dial);
    dial_connected(dial, dial->fd);
}

/* 0: connected, the socket is in *fd. EINPROGRESS: on its way, likewise. Else an errno. */
static int dial_connect(const struct sockaddr *address, socklen_t len, int *fd)
{
    const unsigned user_timeout = DIAL_USER_TIMEOUT_MS;
    int made = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return errno;
    sta_dial_tune(made);
    if (address->sa_family != AF_UNIX)
        (void)setsockopt(made, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
    int error = connect(made, address, len) == 0 ? 0 : errno;
    if (error == 0 && dial_met_itself(made))
        error = ECONNREFUSED;
    if (error != 0 && error != EINPROGRESS)
        (void)close(made);
    else
        *fd = made;
    return error;
}

static int dial_watch(struct sta_dial *dial, int fd)
{
    int failed = uv_poll_init(sta_loop_uv(dial->loop), &dial->poll, fd);
    if (failed != 0)
        return -failed;
    dial->poll.data = dial;
    dial->lent++;
    dial->fd = fd;
    failed = uv_poll_start(&dial->poll, UV_WRITABLE, on_poll);
    assert(failed == 0); /* only a closing handle is refused */
    return 0;
}

/* ---- TCP ---- */

/* An equal share of the time that is left for each address that is left. */
static uint64_t dial_share(const struct sta_dial *dial)
{
    uint64_t now_ns = sta_loop_now_ns(dial->loop);
    uint64_t addresses = 0;
    if (dial->deadline_ns == STA_NEVER || dial->deadline_ns <= now_ns)
        return dial->deadline_ns;
    for (const struct addrinfo *address = dial->next; address != NULL; address = address->ai_next)
        addresses++;
    return now_ns + (dial->deadline_ns - now_ns) / (addresses > 0 ? addresses : 1);
}

static void dial_try_next(struct sta_dial *dial)
{
    while (dial->next != NULL) {
        const struct addrinfo *address = dial->next;
        uint64_t until_ns = dial_share(dial);
        int fd = -1;
        dial->next = address->ai_next;
        int error = dial_connect(address->ai_addr, address->ai_addrlen, &fd);
        if (error == 0) {
            dial_connected(dial, fd);
            return;
        }
        if (error == EINPROGRESS) {
            error = dial_watch(dial, fd);
            if (error == 0) {
                sta_timer_start(dial->loop, &dial->timer, until_ns);
                return;
            }
            (void)close(fd);
        }
        dial_note(dial, error);
    }
    dial_fail(dial, dial->last_status, dial->reason);
}

static void on_resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct sta_dial *dial = lookup->data;
    dial->lent--;
    dial->found = found;
    sta_loop_enter(dial->loop);
    if (dial->state == DIAL_ENDED) {
        dial_free_unless_lent(dial);
        return;
    }
    if (status < 0) {
        (void)uv_strerror_r(status, dial->reason, sizeof dial->reason);
        dial_fail(dial, STRATA_ERR_UNAVAILABLE, dial->reason);
        return;
    }
    dial->state = DIAL_TRYING;
    dial->next = found;
    dial_try_next(dial);
}

static void dial_resolve(struct sta_dial *dial)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char port[8];
    (void)snprintf(port, sizeof port, "%u", dial->endpoint.port);
    dial->lookup.data = dial;
    int failed = uv_getaddrinfo(sta_loop_uv(dial->loop), &dial->lookup, on_resolved,
                                dial->endpoint.address, port, &hints);
    if (failed != 0) {
        dial_fail(dial, failed == UV_ENOMEM ? STRATA_ERR_NOMEM : STRATA_ERR_UNAVAILABLE,
                  uv_strerror_r(failed, dial->reason, sizeof dial->reason));
        return;
    }
    dial->lent++;
    dial->state = DIAL_RESOLVING;
    sta_timer_start(dial->loop, &dial->timer, dial->deadline_ns);
}

/* Literal addresses need no look-up and no thread of libuv's pool. */
static bool dial_is_literal(const struct sta_endpoint *endpoint, struct sockaddr_storage *address,
                            socklen_t *len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, endpoint->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(endpoint->port);
        *len = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, endpoint->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(endpoint->port);
        *len = sizeof *v6;
        return true;
    }
    return false;
}

static void dial_begin_tcp(struct sta_dial *dial)
{
    struct sockaddr_storage address;
    struct addrinfo only = {.ai_addr = (struct sockaddr *)&address};
    if (!dial_is_literal(&dial->endpoint, &address, &only.ai_addrlen)) {
        dial_resolve(dial);
        return;
    }
    dial->state = DIAL_TRYING;
    dial->next = &only; /* taken off before this frame ends */
    dial_try_next(dial);
}

/* ---- unix ---- */

static void dial_try_unix(struct sta_dial *dial)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t now_ns = sta_loop_now_ns(dial->loop);
    int fd = -1;
    size_t len = strlen(dial->endpoint.address);
    dial->state = DIAL_TRYING;
    if (len >= sizeof address.sun_path) {
        dial_fail(dial, STRATA_ERR_UNAVAILABLE, "the path of a unix socket has at most 107 bytes");
        return;
    }
    memcpy(address.sun_path, dial->endpoint.address, len + 1);
    int error = dial_connect((const struct sockaddr *)&address, sizeof address, &fd);
    if (error == 0) {
        dial_connected(dial, fd);
    } else if (error != EAGAIN) {
        dial_note(dial, error);
        dial_fail(dial, dial->last_status, dial->reason);
    } else if (now_ns >= dial->deadline_ns) {
        dial_fail(dial, STRATA_ERR_TIMEOUT, "the server does not accept connections");
    } else {
        uint64_t again_ns = now_ns + DIAL_BACKLOG_RETRY_NS;
        sta_timer_start(dial->loop, &dial->timer,
                        again_ns < dial->deadline_ns ? again_ns : dial->deadline_ns);
    }
}

/* ---- life ---- */

static void on_timer(struct sta_timer *timer)
{
    struct sta_dial *dial = STA_CONTAINER(timer, struct sta_dial, timer);
    bool is_unix = dial->endpoint.kind == STA_ENDPOINT_UNIX;
    if (is_unix) {
        dial_try_unix(dial);
    } else if (dial->state == DIAL_START) {
        dial_begin_tcp(dial);
    } else if (dial->state == DIAL_TRYING && dial->fd >= 0) {
        dial_note(dial, ETIMEDOUT);
        dial_drop_socket(dial);
    } else if (dial->state == DIAL_RESOLVING) {
        (void)uv_cancel((uv_req_t *)&dial->lookup);
        dial_fail(dial, STRATA_ERR_TIMEOUT, "the look-up of the name took too long");
    }
}

void sta_dial_cancel(struct sta_dial **at)
{
    struct sta_dial *dial = *at;
    if (dial == NULL)
        return;
    *at = NULL;
    if (dial->state == DIAL_RESOLVING)
        (void)uv_cancel((uv_req_t *)&dial->lookup);
    dial_end(dial);
    dial_drop_socket(dial);
    dial_free_unless_lent(dial);
}

static void dial_evict(struct sta_loop_guest *guest)
{
    struct sta_dial *dial = STA_CONTAINER(guest, struct sta_dial, guest);
    sta_dial_cancel(&dial);
}

int sta_dial_start(struct sta_dial **out, struct sta_loop *loop,
                   const struct sta_endpoint *endpoint, uint64_t deadline_ns, sta_dial_done done,
                   void *arg)
{
    struct sta_dial *dial = calloc(1, sizeof *dial);
    if (dial == NULL)
        return STRATA_ERR_NOMEM;
    dial->loop = loop;
    dial->endpoint = *endpoint;
    dial->deadline_ns = deadline_ns;
    dial->done = done;
    dial->arg = arg;
    dial->state = DIAL_START;
    dial->fd = -1;
    dial->last_status = STRATA_ERR_UNAVAILABLE;
    (void)snprintf(dial->reason, sizeof dial->reason, "the name has no address");
    dial->guest.evict = dial_evict;
    sta_loop_add_guest(loop, &dial->guest);
    sta_timer_init(&dial->timer, on_timer);
    sta_timer_start(loop, &dial->timer, sta_loop_now_ns(loop));
    *out = dial;
    return STRATA_OK;
}
