/* SPDX-License-Identifier: MIT
 *
 * Accepting; the drawing is in acceptor.h.
 *
 * Memory: a listener is freed when libuv has let go of its handle: in the loop's next turn, or
 * when the loop is destroyed.
 */
#include "daemon/acceptor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "daemon/listener.h"

/* Accepted in one turn of the loop, so that signals are heard in a flood of clients. */
#define ACCEPT_BURST 256
#define PAUSE_NS     (100 * STA_NS_MS)
#define LOG_EVERY_NS (10 * STA_NS_SEC)

struct accepting {
    struct sta_acceptor *acceptor; /* NULL: closing */
    struct sta_listener listener;
    uv_poll_t poll;
    bool polled; /* the handle exists */
};

struct sta_acceptor {
    struct sta_loop *loop;
    struct sta_log *log;
    sta_acceptor_accepted *accepted;
    void *arg;
    struct sta_timer resume;
    uint64_t logged_ns; /* 0: nothing was said yet */
    struct accepting **listeners;
    size_t count;
    bool exposed;
    char *addresses;
};

static void on_readable(uv_poll_t *poll, int status, int events);

static void poll_all(struct sta_acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->count; i++)
        (void)uv_poll_start(&acceptor->listeners[i]->poll, UV_READABLE, on_readable);
}

static void on_resume(struct sta_timer *timer)
{
    poll_all(STA_CONTAINER(timer, struct sta_acceptor, resume));
}

/* No descriptor or no memory for another client: those that wait stay in the backlog. Polling on
 * would spin. */
static void acceptor_pause(struct sta_acceptor *acceptor, int number)
{
    uint64_t now = sta_loop_now_ns(acceptor->loop);
    for (size_t i = 0; i < acceptor->count; i++)
        (void)uv_poll_stop(&acceptor->listeners[i]->poll);
    sta_timer_start(acceptor->loop, &acceptor->resume, now + PAUSE_NS);
    if (acceptor->logged_ns != 0 && now - acceptor->logged_ns < LOG_EVERY_NS)
        return;
    acceptor->logged_ns = now;
    sta_log_write(acceptor->log, STRATA_LOG_ERROR, STA_ROOM_DAEMON, "cannot accept clients: %s",
                  strerror(number));
}

/* The errors that accept() passes on from a connection that is broken already concern that one
 * only; the next may be fine. */
static bool is_of_the_connection(int number)
{
    return number == EINTR || number == ECONNABORTED || number == EPROTO || number == EPERM ||
           number == ENETDOWN || number == ENETUNREACH || number == EHOSTUNREACH ||
           number == ENOPROTOOPT || number == EHOSTDOWN || number == ENONET || number == EOPNOTSUPP;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct accepting *accepting = poll->data;
    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPT_BURST && accepting->acceptor != NULL; i++) {
        struct sta_acceptor *acceptor = accepting->acceptor;
        int fd = accept4(accepting->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            acceptor->accepted(acceptor->arg, fd);
        } else if (!is_of_the_connection(errno)) {
            if (errno != EAGAIN)
                acceptor_pause(acceptor, errno);
            return;
        }
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void accepting_close(struct accepting *accepting)
{
    accepting->acceptor = NULL;
    if (!accepting->polled) {
        sta_listener_close(&accepting->listener);
        free(accepting);
        return;
    }
    uv_close((uv_handle_t *)&accepting->poll, on_closed);
    sta_listener_close(&accepting->listener);
}

void sta_acceptor_stop(struct sta_acceptor *acceptor)
{
    sta_timer_stop(acceptor->loop, &acceptor->resume);
    for (size_t i = 0; i < acceptor->count; i++)
        accepting_close(acceptor->listeners[i]);
    acceptor->count = 0;
}

static int acceptor_open(struct sta_acceptor *acceptor, const char *address,
                         struct strata_error *error)
{
    struct accepting *accepting = calloc(1, sizeof *accepting);
    if (accepting == NULL)
        return STRATA_ERR_NOMEM;
    int status = sta_listener_open(&accepting->listener, address, error);
    if (status < 0) {
        free(accepting);
        return status;
    }
    accepting->acceptor = acceptor;
    accepting->poll.data = accepting;
    acceptor->listeners[acceptor->count++] = accepting;
    acceptor->exposed = acceptor->exposed || accepting->listener.exposed;
    return STRATA_OK;
}

static int acceptor_describe(struct sta_acceptor *acceptor)
{
    size_t cap = 1;
    for (size_t i = 0; i < acceptor->count; i++)
        cap += strlen(acceptor->listeners[i]->listener.address) + 2;
    char *text = malloc(cap);
    if (text == NULL)
        return STRATA_ERR_NOMEM;
    char *end = text;
    *end = '\0';
    for (size_t i = 0; i < acceptor->count; i++) {
        end = stpcpy(end, i > 0 ? ", " : "");
        end = stpcpy(end, acceptor->listeners[i]->listener.address);
    }
    acceptor->addresses = text;
    return STRATA_OK;
}

int sta_acceptor_create(struct sta_acceptor **out, struct sta_loop *loop, struct sta_log *log,
                        const char *const *addresses, size_t count, struct strata_error *error)
{
    struct sta_acceptor *acceptor = calloc(1, sizeof *acceptor);
    if (acceptor == NULL)
        return STRATA_ERR_NOMEM;
    acceptor->loop = loop;
    acceptor->log = log;
    sta_timer_init(&acceptor->resume, on_resume);
    acceptor->listeners = calloc(count, sizeof(struct accepting *));
    int status = acceptor->listeners != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
    for (size_t i = 0; i < count && status == STRATA_OK; i++)
        status = acceptor_open(acceptor, addresses[i], error);
    if (status == STRATA_OK)
        status = acceptor_describe(acceptor);
    if (status < 0) {
        sta_acceptor_destroy(&acceptor);
        return status;
    }
    *out = acceptor;
    return STRATA_OK;
}

int sta_acceptor_start(struct sta_acceptor *acceptor, sta_acceptor_accepted *accepted, void *arg)
{
    acceptor->accepted = accepted;
    acceptor->arg = arg;
    for (size_t i = 0; i < acceptor->count; i++) {
        struct accepting *accepting = acceptor->listeners[i];
        if (uv_poll_init(sta_loop_uv(acceptor->loop), &accepting->poll, accepting->listener.fd) !=
            0)
            return STRATA_ERR_SYSTEM;
        accepting->polled = true;
    }
    poll_all(acceptor);
    return STRATA_OK;
}

void sta_acceptor_destroy(struct sta_acceptor **pointer)
{
    struct sta_acceptor *acceptor = *pointer;
    if (acceptor == NULL)
        return;
    *pointer = NULL;
    sta_acceptor_stop(acceptor);
    free(acceptor->listeners);
    free(acceptor->addresses);
    free(acceptor);
}

const char *sta_acceptor_addresses(const struct sta_acceptor *acceptor)
{
    return acceptor->addresses;
}

bool sta_acceptor_is_exposed(const struct sta_acceptor *acceptor)
{
    return acceptor->exposed;
}
