/* SPDX-License-Identifier: MIT
 *
 * See raw_link.h.
 */
#include "daemon/raw_link.h"

#include <stdio.h>
#include <stdlib.h>

#include "l2/greeting.h"
#include "net/stream.h"
#include "resp/resp.h"
#include "strata/status.h"

#define MAX_REPLY_BYTES (((size_t)512 << 20) + ((size_t)1 << 20)) /* a bulk and its frame */
#define SLACK_BYTES     ((size_t)64 << 10)
#define REASON_CAP      160

enum link_state { LINK_CONNECTING, LINK_GREETING, LINK_OPEN, LINK_ENDED };

struct sta_raw_link {
    struct sta_loop *loop;
    const struct sta_raw_link_events *events;
    void *arg;
    enum link_state state;
    struct sta_stream *stream;
    struct sta_greeting greeting;
    unsigned greeted; /* of its steps */
    struct sta_timer timer;
    uint64_t deadline_ns;
    struct sta_resp_framer framer;
    bool *closed; /* while a callback runs: where it is to be told that the link has gone */
};

/* The owner may close from within. */
static void link_end(struct sta_raw_link *link, int status, const char *reason)
{
    link->state = LINK_ENDED;
    sta_timer_stop(link->loop, &link->timer);
    sta_stream_close(&link->stream);
    link->events->ended(link->arg, status, reason);
}

/* ---- greeting ---- */

static void on_timer(struct sta_timer *timer)
{
    link_end(STA_CONTAINER(timer, struct sta_raw_link, timer), STRATA_ERR_TIMEOUT,
             "no answer to the greeting in time");
}

static void on_opened(void *arg, int status, const char *reason)
{
    struct sta_raw_link *link = arg;
    if (status < 0) {
        link_end(link, status, reason);
        return;
    }
    link->state = LINK_GREETING;
    sta_timer_start(link->loop, &link->timer, link->deadline_ns);
    status =
        sta_buffer_append(sta_stream_out(link->stream), sta_buffer_bytes(&link->greeting.wire));
    if (status < 0)
        link_end(link, status, strata_status_text(status));
    else
        sta_stream_flush(link->stream);
}

static void link_greeted(struct sta_raw_link *link, struct strata_bytes frame)
{
    char reason[REASON_CAP] = "";
    int status =
        sta_greeting_judge(link->greeting.steps[link->greeted].kind, frame, reason, sizeof reason);
    if (status < 0) {
        link_end(link, status, reason);
        return;
    }
    if (++link->greeted < link->greeting.count)
        return;
    link->state = LINK_OPEN;
    sta_timer_stop(link->loop, &link->timer);
    link->events->opened(link->arg);
}

/* ---- frames ---- */

static void link_show(struct sta_raw_link *link, struct strata_bytes frame)
{
    if (link->state == LINK_GREETING)
        link_greeted(link, frame);
    else
        link->events->frame(link->arg, frame);
}

static size_t on_received(void *arg, struct strata_bytes data)
{
    struct sta_raw_link *link = arg;
    const uint8_t *bytes = data.data;
    bool closed = false;
    size_t at = 0;
    link->closed = &closed;
    while (at < data.len) {
        size_t len;
        const char *reason;
        int status = sta_resp_frame(&link->framer, &sta_resp_reply_limits,
                                    strata_bytes(bytes + at, data.len - at), &len, &reason);
        if (status == STRATA_MORE)
            break;
        if (status < 0)
            link_end(link, status, reason);
        else
            link_show(link, strata_bytes(bytes + at, len));
        if (closed)
            return data.len;
        if (link->state == LINK_ENDED)
            at = data.len;
        else
            at += len;
    }
    link->closed = NULL;
    if (link->state != LINK_ENDED) {
        uint64_t missing = link->framer.offset;
        sta_stream_expect(link->stream,
                          missing > data.len - at ? (size_t)(missing - (data.len - at)) : 0);
    }
    return at;
}

static void on_closed(void *arg, int status, const char *reason)
{
    link_end(arg, status == STRATA_OK ? STRATA_ERR_LOST : status, reason);
}

static const struct sta_stream_events stream_events = {
    .opened = on_opened,
    .received = on_received,
    .closed = on_closed,
};

/* ---- the door ---- */

int sta_raw_link_open(struct sta_raw_link **out, struct sta_loop *loop,
                      const struct sta_raw_link_config *config,
                      const struct sta_raw_link_events *events, void *arg)
{
    if (config->url->tls && config->tls == NULL)
        return STRATA_ERR_UNSUPPORTED; /* never in the clear by mistake */
    struct sta_raw_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return STRATA_ERR_NOMEM;
    const struct sta_stream_config stream_config = {
        .in_limit = MAX_REPLY_BYTES + SLACK_BYTES,
        .out_limit = config->max_pending_bytes + SLACK_BYTES,
        .tls = config->tls,
    };
    link->loop = loop;
    link->events = events;
    link->arg = arg;
    link->deadline_ns = config->deadline_ns;
    sta_timer_init(&link->timer, on_timer);
    int status = sta_greeting_init(&link->greeting, config->url, config->protocol, config->name);
    if (status == STRATA_OK)
        status = sta_stream_connect(&link->stream, loop, &config->url->endpoint,
                                    config->deadline_ns, &stream_config, &stream_events, link);
    if (status < 0) {
        sta_raw_link_close(&link);
        return status;
    }
    *out = link;
    return STRATA_OK;
}

void sta_raw_link_close(struct sta_raw_link **at)
{
    struct sta_raw_link *link = *at;
    if (link == NULL)
        return;
    *at = NULL;
    if (link->closed != NULL)
        *link->closed = true;
    sta_timer_stop(link->loop, &link->timer);
    sta_stream_close(&link->stream);
    sta_greeting_fini(&link->greeting);
    free(link);
}

int sta_raw_link_send(struct sta_raw_link *link, struct strata_bytes bytes)
{
    int status = sta_buffer_append(sta_stream_out(link->stream), bytes);
    if (status == STRATA_OK)
        sta_stream_flush(link->stream);
    return status;
}

void sta_raw_link_pause(struct sta_raw_link *link, bool pause)
{
    if (pause)
        sta_stream_pause(link->stream);
    else
        sta_stream_resume(link->stream);
}
