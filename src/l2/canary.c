/* SPDX-License-Identifier: MIT
 *
 * See canary.h.
 */
#include "l2/canary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "l2/redirect.h"
#include "resp/resp.h"
#include "strata/status.h"

#define WIRE_LIMIT      4096u
#define NUMBER_TEXT_CAP 24u

int sta_canary_name(struct sta_canary *canary, struct strata_bytes key, uint16_t slot,
                    uint64_t ttl_ms)
{
    char ttl[NUMBER_TEXT_CAP];
    (void)snprintf(ttl, sizeof ttl, "%" PRIu64, ttl_ms);
    const struct strata_bytes get[] = {strata_text("GET"), key};
    const struct strata_bytes set[] = {strata_text("SET"), key, strata_text("1"), strata_text("PX"),
                                       strata_text(ttl)};
    const struct strata_bytes del[] = {strata_text("DEL"), key};
    canary->key_len = 0;
    sta_buffer_fini(&canary->wire);
    sta_buffer_init(&canary->wire, WIRE_LIMIT);
    int status = sta_resp_write_command(&canary->wire, get, sizeof get / sizeof get[0]);
    canary->read_len = sta_buffer_len(&canary->wire);
    if (status == STRATA_OK)
        status = sta_resp_write_command(&canary->wire, set, sizeof set / sizeof set[0]);
    if (status == STRATA_OK)
        status = sta_resp_write_command(&canary->wire, del, sizeof del / sizeof del[0]);
    if (status < 0)
        return status;
    canary->key_begin = canary->read_len - 2 - key.len; /* before its \r\n */
    canary->key_len = key.len;
    canary->slot = slot;
    return STRATA_OK;
}

void sta_canary_fini(struct sta_canary *canary)
{
    sta_buffer_fini(&canary->wire);
    canary->key_len = 0;
}

static bool is_done(int status, struct strata_bytes replies)
{
    return status == STRATA_OK && !sta_redirect_is_error(replies);
}

static void on_written(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_canary *canary = STA_CONTAINER(request, struct sta_canary, write);
    canary->writing = false;
    if (canary->state != STA_CANARY_LISTENING)
        return;
    if (is_done(status, replies)) {
        canary->written_ns = sta_loop_now_ns(canary->loop);
        return;
    }
    canary->state = STA_CANARY_IDLE;
    canary->way->failed(canary->arg, status, replies);
}

static void on_read(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_canary *canary = STA_CONTAINER(request, struct sta_canary, read);
    struct strata_bytes wire = sta_buffer_bytes(&canary->wire);
    if (!is_done(status, replies) || !canary->up || !sta_canary_has_name(canary)) {
        canary->state = STA_CANARY_IDLE;
        canary->way->failed(canary->arg, status, replies);
        return;
    }
    canary->state = STA_CANARY_LISTENING;
    canary->written_ns = 0;
    canary->writing = true;
    canary->write = (struct sta_request){
        .wire = strata_bytes((const uint8_t *)wire.data + canary->read_len,
                             wire.len - canary->read_len),
        .commands = 2, /* whether it could be deleted does not matter */
        .deadline_ns = request->deadline_ns,
        .done = on_written,
    };
    canary->way->send(canary->arg, true, &canary->write);
}

void sta_canary_begin(struct sta_canary *canary, struct sta_loop *loop,
                      const struct sta_canary_way *way, void *arg, uint64_t deadline_ns)
{
    canary->loop = loop;
    canary->way = way;
    canary->arg = arg;
    canary->state = STA_CANARY_READING;
    canary->read_ns = sta_loop_now_ns(loop);
    canary->read = (struct sta_request){
        .wire = strata_bytes(sta_buffer_bytes(&canary->wire).data, canary->read_len),
        .commands = 1,
        .deadline_ns = deadline_ns,
        .done = on_read,
    };
    way->send(arg, false, &canary->read);
}

bool sta_canary_is_proven(struct sta_canary *canary, struct strata_bytes key)
{
    const uint8_t *wire = sta_buffer_bytes(&canary->wire).data;
    if (canary->state != STA_CANARY_LISTENING || key.len != canary->key_len ||
        memcmp(key.data, wire + canary->key_begin, key.len) != 0)
        return false;
    canary->state = STA_CANARY_IDLE;
    return true;
}

bool sta_canary_is_missing(const struct sta_canary *canary, uint64_t now_ns, uint64_t patience_ns)
{
    return canary->state == STA_CANARY_LISTENING && canary->written_ns != 0 &&
           now_ns - canary->written_ns > patience_ns;
}
