/* SPDX-License-Identifier: MIT
 *
 * The fixture of the router tests; see router_rig.h.
 */
#include "router_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "resp/resp.h"
#include "strata/status.h"

#define PATIENCE_NS (20 * STA_NS_SEC)
#define WORDS_MAX   16u

static void log_sink(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct rig *rig = arg;
    size_t len = strlen(rig->logged);
    (void)level;
    (void)room;
    (void)snprintf(rig->logged + len, sizeof rig->logged - len, "%s\n", line);
}

/* ---- the servers ---- */

static void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    peer->stuck = false;
    sta_buffer_clear(&peer->in);
}

static void peer_say(struct peer *peer, const char *text)
{
    if (text == NULL)
        peer_close(peer);
    else
        (void)!send(peer->fd, text, strlen(text), MSG_NOSIGNAL);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void fake_tells_topology(struct fake *fake, struct peer *peer, bool slots)
{
    fake->topologies += slots;
    if (fake->topology == NULL)
        return;
    peer_say(peer, slots ? fake->topology : "$20\r\ncluster_state:ok\r\n\r\n\r\n");
}

static void fake_takes_canary(struct peer *peer, const char *command)
{
    peer_say(peer, begins(command, "GET")   ? "_\r\n"
                   : begins(command, "SET") ? "+OK\r\n"
                                            : ":1\r\n");
}

/* What the scripts of tests have nothing to do with. */
static void fake_greets(struct fake *fake, struct peer *peer, const char *command)
{
    if (begins(command, "HELLO"))
        peer_say(peer, "%1\r\n$5\r\nproto\r\n:3\r\n");
    else if (begins(command, "PING"))
        peer_say(peer, fake->greets_with != NULL ? fake->greets_with : "+PONG\r\n");
    else if (begins(command, "CLIENT TRACKING"))
        peer_say(peer, fake->tracks_with != NULL ? fake->tracks_with : "+OK\r\n");
    else
        fake_tells_topology(fake, peer, begins(command, "CLUSTER SLOTS"));
}

static void fake_hears(struct fake *fake, struct peer *peer, const char *command)
{
    size_t len = strlen(fake->heard);
    bool ours = begins(command, "HELLO") || begins(command, "PING") ||
                begins(command, "CLIENT TRACKING") || begins(command, "CLUSTER");
    bool canary = fake->canaries && strstr(command, "strata:canary:") != NULL;
    if (canary)
        fake_takes_canary(peer, command);
    else if (ours && !fake->silent && !peer->stuck)
        fake_greets(fake, peer, command);
    if (ours || canary || fake->silent)
        return;
    (void)snprintf(fake->heard + len, sizeof fake->heard - len, "%s;", command);
    if (begins(command, "ASKING"))
        peer_say(peer, "+OK\r\n");
    for (unsigned i = 0; i < fake->scripted && !peer->stuck; i++) {
        if (fake->script[i].times == 0 || strcmp(fake->script[i].command, command) != 0)
            continue;
        fake->script[i].times--;
        peer_say(peer, fake->script[i].reply);
        return;
    }
    peer->stuck = !begins(command, "ASKING");
}

/* One command's words, with blanks between them. */
static void peer_read_command(struct fake *fake, struct peer *peer, struct strata_bytes frame)
{
    struct strata_bytes words[WORDS_MAX];
    uint8_t scratch[1024];
    char command[512] = "";
    size_t count;
    size_t len = 0;
    assert_int_equal(sta_resp_request_count(frame, &count), STRATA_OK);
    assert_true(count <= WORDS_MAX);
    assert_int_equal(sta_resp_request_args(frame, words, count, scratch), STRATA_OK);
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(command + len, sizeof command - len, "%s%.*s", i > 0 ? " " : "",
                                (int)words[i].len, (const char *)words[i].data);
    fake_hears(fake, peer, command);
}

static void peer_pump(struct fake *fake, struct peer *peer)
{
    uint8_t chunk[65536];
    ssize_t count = recv(peer->fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (count == 0) {
        peer_close(peer);
        return;
    }
    if (count > 0)
        assert_int_equal(sta_buffer_append(&peer->in, strata_bytes(chunk, (size_t)count)), 0);
    while (peer->fd >= 0 && sta_buffer_len(&peer->in) > 0) {
        struct sta_resp_request_framer framer = {0};
        const char *reason;
        size_t len;
        if (sta_resp_frame_request(&framer, &sta_resp_request_limits, true,
                                   sta_buffer_bytes(&peer->in), &len, &reason) != STRATA_OK)
            return;
        struct strata_bytes frame = strata_bytes(sta_buffer_bytes(&peer->in).data, len);
        peer_read_command(fake, peer, frame);
        if (peer->fd >= 0)
            sta_buffer_consume(&peer->in, len);
    }
}

static void fake_pump(struct fake *fake)
{
    int fd;
    while (fake->listener >= 0 &&
           (fd = accept4(fake->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = fake->peers;
        while (peer->fd >= 0)
            peer++;
        assert_true(peer < fake->peers + PEERS_MAX);
        peer->fd = fd;
        fake->accepted++;
    }
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (fake->peers[i].fd >= 0)
            peer_pump(fake, &fake->peers[i]);
}

void fake_answers(struct fake *fake, const char *command, const char *reply, unsigned times)
{
    assert_true(fake->scripted < SCRIPT_MAX);
    fake->script[fake->scripted].command = command;
    fake->script[fake->scripted].reply = reply;
    fake->script[fake->scripted].times = times;
    fake->scripted++;
}

void fake_says(struct fake *fake, const char *text)
{
    for (unsigned p = 0; p < PEERS_MAX; p++) {
        if (fake->peers[p].fd < 0)
            continue;
        fake->peers[p].stuck = false;
        peer_say(&fake->peers[p], text);
    }
}

void fake_hangs_up(struct fake *fake)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        peer_close(&fake->peers[i]);
}

void fake_leaves(struct fake *fake)
{
    close(fake->listener);
    fake->listener = -1;
    fake_hangs_up(fake);
}

void fake_returns(struct fake *fake)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fake->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)setsockopt(fake->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fake->listener, 64), 0);
    assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&address, &len), 0);
    fake->port = ntohs(address.sin_port);
}

/* ---- the loop ---- */

static void on_pump(struct sta_timer *timer)
{
    struct rig *rig = STA_CONTAINER(timer, struct rig, pump);
    uint64_t now_ns = sta_clock_now_ns();
    for (unsigned i = 0; i < rig->fake_count; i++)
        fake_pump(&rig->fakes[i]);
    rig->gave_up = now_ns >= rig->give_up_ns;
    if (rig->gave_up || rig->until(rig))
        sta_loop_stop(rig->loop);
    else
        sta_timer_start(rig->loop, timer, now_ns + STA_NS_MS / 2);
}

void rig_run_until(struct rig *rig, bool (*until)(struct rig *rig))
{
    rig->until = until;
    rig->give_up_ns = sta_clock_now_ns() + PATIENCE_NS;
    sta_timer_start(rig->loop, &rig->pump, 1);
    sta_loop_run(rig->loop);
    assert_false(rig->gave_up);
}

static bool never(struct rig *rig)
{
    (void)rig;
    return false;
}

void rig_run_ms(struct rig *rig, unsigned ms)
{
    rig->until = never;
    rig->give_up_ns = sta_clock_now_ns() + ms * STA_NS_MS;
    sta_timer_start(rig->loop, &rig->pump, 1);
    sta_loop_run(rig->loop);
}

bool rig_all_done(struct rig *rig)
{
    for (unsigned i = 0; i < rig->asked; i++)
        if (rig->asks[i].done == 0)
            return false;
    return true;
}

/* ---- operations ---- */

static void on_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct ask *ask = STA_CONTAINER(operation, struct ask, operation);
    ask->done++;
    ask->status = status;
    ask->source = status == STRATA_OK ? sta_tracking_source(operation) : STA_TRACKING_NOBODY;
    assert_true(status == STRATA_OK || replies.len == 0);
    (void)snprintf(ask->replies, sizeof ask->replies, "%.*s", (int)replies.len,
                   (const char *)replies.data);
}

struct ask *rig_ask_within(struct rig *rig, unsigned slot, bool repeatable, const char *commands,
                           uint64_t timeout_ns)
{
    assert_true(rig->asked < ASKS_MAX);
    struct ask *ask = &rig->asks[rig->asked++];
    unsigned count = 1;
    size_t len = 0;
    for (const char *c = commands; *c != 0; c++) {
        if (*c == ';')
            count++;
        len += (size_t)snprintf(ask->wire + len, sizeof ask->wire - len, *c == ';' ? "\r\n" : "%c",
                                *c);
    }
    (void)snprintf(ask->wire + len, sizeof ask->wire - len, "\r\n");
    ask->rig = rig;
    ask->operation = (struct sta_operation){
        .request = {.wire = strata_text(ask->wire),
                    .commands = count,
                    .deadline_ns = sta_clock_after(sta_clock_now_ns(), timeout_ns)},
        .slot = (uint16_t)slot,
        .repeatable = repeatable,
        .done = on_done,
    };
    sta_router_submit(rig->router, &ask->operation);
    return ask;
}

struct ask *rig_ask(struct rig *rig, unsigned slot, bool repeatable, const char *commands)
{
    return rig_ask_within(rig, slot, repeatable, commands, PATIENCE_NS);
}

/* ---- life ---- */

static void fake_init(struct fake *fake, struct rig *rig)
{
    fake->rig = rig;
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        fake->peers[i].fd = -1;
        sta_buffer_init(&fake->peers[i].in, 64u << 20);
    }
    fake_returns(fake);
}

void rig_init(struct rig *rig, unsigned fakes)
{
    *rig = (struct rig){.fake_count = fakes};
    for (unsigned i = 0; i < fakes; i++)
        fake_init(&rig->fakes[i], rig);
    rig->url.endpoint.kind = STA_ENDPOINT_TCP;
    rig->url.endpoint.port = (uint16_t)rig->fakes[0].port;
    (void)snprintf(rig->url.endpoint.address, sizeof rig->url.endpoint.address, "127.0.0.1");
    rig->config.node.connection.url = &rig->url;
    rig->config.node.connection.jitter_seed = 1;
    sta_log_init(&rig->log, log_sink, rig, STRATA_LOG_INFO);
    sta_timer_init(&rig->pump, on_pump);
    assert_int_equal(sta_loop_create(&rig->loop), STRATA_OK);
}

const char *rig_topology(struct rig *rig, const unsigned *from)
{
    assert_true(rig->topology_count < TOPOLOGIES_MAX);
    char *text = rig->topologies[rig->topology_count++];
    const size_t cap = sizeof rig->topologies[0];
    unsigned ranges = 0;
    for (unsigned i = 0; i < rig->fake_count; i++)
        ranges += from[i] < (i + 1 < rig->fake_count ? from[i + 1] : 16384);
    size_t len = (size_t)snprintf(text, cap, "*%u\r\n", ranges);
    for (unsigned i = 0; i < rig->fake_count; i++) {
        unsigned end = i + 1 < rig->fake_count ? from[i + 1] : 16384;
        if (from[i] < end)
            len += (size_t)snprintf(text + len, cap - len,
                                    "*3\r\n:%u\r\n:%u\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n", from[i],
                                    end - 1, rig->fakes[i].port);
    }
    assert_true(len < cap);
    return text;
}

static void on_slots(void *arg, const struct sta_slot_set *changed, unsigned count)
{
    struct rig *rig = arg;
    unsigned found = 0;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
        found += sta_slot_set_has(changed, slot);
    assert_int_equal(found, count);
    rig->changed_slots += count;
}

void rig_open(struct rig *rig)
{
    static const struct sta_router_events events = {.slots = on_slots};
    assert_int_equal(
        sta_router_create(&rig->router, rig->loop, &rig->log, &rig->config, &events, rig),
        STRATA_OK);
}

void rig_fini(struct rig *rig)
{
    sta_router_destroy(&rig->router);
    for (unsigned i = 0; i < rig->asked; i++)
        assert_int_equal(rig->asks[i].done, 1);
    sta_loop_destroy(&rig->loop);
    for (unsigned i = 0; i < rig->fake_count; i++) {
        if (rig->fakes[i].listener >= 0)
            fake_leaves(&rig->fakes[i]);
        for (unsigned p = 0; p < PEERS_MAX; p++)
            sta_buffer_fini(&rig->fakes[i].peers[p].in);
    }
}
