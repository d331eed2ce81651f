/* SPDX-License-Identifier: MIT
 *
 * The fixture of the tests of streams with TLS; see tls_end.h.
 */
#include "tls_end.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "strata/status.h"
#include "strata/tls.h"

static struct tls_end *tls_end_of(struct end *end)
{
    return STA_CONTAINER(end, struct tls_end, end);
}

/* ---- the wire ---- */

static void carry_to_peer(struct tls_end *at)
{
    static uint8_t chunk[65536];
    size_t most = at->step > 0 ? at->step : sizeof chunk;
    ssize_t count = recv(at->end.peer, chunk, most, 0);
    if (count > 0)
        tls_peer_take(&at->peer, strata_bytes(chunk, (size_t)count));
}

static void carry_from_peer(struct tls_end *at)
{
    struct strata_bytes out = tls_peer_out(&at->peer);
    if (at->step > 0 && out.len > at->step)
        out.len = at->step;
    ssize_t count = out.len > 0 ? send(at->end.peer, out.data, out.len, MSG_NOSIGNAL) : 0;
    if (count > 0)
        tls_peer_drop(&at->peer, (size_t)count);
}

static bool carry(struct end *end)
{
    struct tls_end *at = tls_end_of(end);
    if (end->peer < 0 && at->listener >= 0)
        end->peer = accept4(at->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (end->peer >= 0 && !at->peer_is_deaf)
        carry_to_peer(at);
    if (end->peer >= 0 && !at->peer_is_mute)
        carry_from_peer(at);
    return at->until(end);
}

void tls_end_run_until(struct tls_end *at, bool (*until)(struct end *end))
{
    at->until = until;
    end_run_until(&at->end, carry);
}

void tls_end_run_some_ticks(struct tls_end *at)
{
    at->end.wanted = 5;
    tls_end_run_until(at, end_ticks_passed);
}

void tls_end_cut(struct tls_end *at)
{
    close(at->end.peer);
    at->end.peer = -1;
    close(at->listener);
    at->listener = -1;
}

void tls_end_peer_says(struct tls_end *at, size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = end_pattern_at(i);
    tls_peer_say(&at->peer, strata_bytes(bytes, len), 0);
    free(bytes);
}

bool tls_end_peer_got_wanted(struct end *end)
{
    return tls_end_of(end)->peer.got >= end->wanted;
}

bool tls_end_peer_ended(struct end *end)
{
    return tls_end_of(end)->peer.ended;
}

/* ---- life ---- */

static void listen_here(struct tls_end *at)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = certificate_folder_path(at->files, "socket");
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    at->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)unlink(path);
    assert_int_equal(bind(at->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(at->listener, 8), 0);
    at->endpoint = (struct sta_endpoint){.kind = STA_ENDPOINT_UNIX};
    (void)snprintf(at->endpoint.address, sizeof at->endpoint.address, "%s", path);
}

void tls_end_init_with(struct tls_end *at, struct certificate_folder *files,
                       const struct sta_stream_config *config,
                       const struct sta_tls_settings *settings, const struct tls_peer_plan *plan)
{
    struct sta_stream_config own = *config;
    *at = (struct tls_end){.files = files};
    end_init(&at->end);
    assert_int_equal(sta_tls_open(&at->tls, strata_tls_openssl(), settings, NULL), STRATA_OK);
    tls_peer_open(&at->peer, plan);
    SSL_set_app_data(at->peer.ssl, &at->peer);
    listen_here(at);
    own.tls = at->tls;
    own.tls_ticket = &at->ticket;
    assert_int_equal(sta_stream_connect(&at->end.stream, at->end.loop, &at->endpoint,
                                        sta_clock_now_ns() + PATIENCE_NS, &own, &end_events,
                                        &at->end),
                     STRATA_OK);
}

void tls_end_init(struct tls_end *at, struct certificate_folder *files,
                  const struct sta_stream_config *config)
{
    tls_end_init_with(
        at, files, config,
        &(struct sta_tls_settings){.ca_file = files->ca_file, .server_name = "localhost"},
        &(struct tls_peer_plan){.certificate = &files->server});
}

/* Or has failed to. In TLS 1.3 our side is ready before the server has heard of it. */
static bool both_are_ready(struct end *end)
{
    return end->opened > 0 && (end->status < 0 || tls_end_of(end)->peer.ready);
}

void tls_end_open(struct tls_end *at, struct certificate_folder *files,
                  const struct sta_stream_config *config)
{
    tls_end_init(at, files, config);
    tls_end_run_until(at, both_are_ready);
    if (at->end.status != STRATA_OK)
        fail_msg("%s", at->end.reason);
}

void tls_end_fini(struct tls_end *at)
{
    sta_stream_close(&at->end.stream);
    if (at->tls != NULL) {
        sta_tls_drop_ticket(at->tls, &at->ticket);
        sta_tls_close(&at->tls);
    }
    end_fini(&at->end);
    tls_peer_close(&at->peer);
    if (at->listener >= 0)
        close(at->listener);
    (void)unlink(at->endpoint.address);
}
