/* SPDX-License-Identifier: MIT
 *
 * See batch.h. The wire is written once, straight into the buffer that the connection sends
 * from; keys are never joined with their prefix anywhere else.
 */
#include "l2/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "l2/node.h"
#include "l2/slot.h"
#include "strata/status.h"

#define COMMAND_OVERHEAD 128u /* headers, names and numbers of one command, generously */
#define TTL_TEXT_CAP     24u
#define MARKS_FIRST      16u
#define TTL_MOST_MS      ((uint64_t)INT64_MAX / 2) /* Redis adds the wall clock, in 63 bits */

/* ---- encoding ---- */

/* The appenders below write into room that append_room() made; they cannot fail. */
static void append_bytes(struct sta_buffer *wire, const void *data, size_t len)
{
    if (len > 0)
        memcpy(sta_buffer_end(wire), data, len);
    sta_buffer_advance(wire, len);
}

static void append_text(struct sta_buffer *wire, const char *text)
{
    append_bytes(wire, text, strlen(text));
}

/* One bulk made of two parts. */
static void append_bulk(struct sta_buffer *wire, struct strata_bytes head, struct strata_bytes tail)
{
    sta_resp_put_bulk_head(wire, head.len + tail.len);
    append_bytes(wire, head.data, head.len);
    append_bytes(wire, tail.data, tail.len);
    append_text(wire, "\r\n");
}

/* What the operations that are expected will take, by those that there are. */
static size_t append_rest(const struct sta_batch *batch)
{
    size_t each = sta_buffer_len(&batch->wire) / batch->count + 1;
    return (batch->expected - batch->count) * each;
}

static int append_room(struct sta_batch *batch, size_t keys, struct strata_bytes key,
                       size_t value_len)
{
    size_t per_key = batch->prefix.len + key.len + COMMAND_OVERHEAD;
    if (value_len > batch->wire.limit || per_key > batch->wire.limit)
        return STRATA_ERR_TOO_BIG;
    size_t need = keys * per_key + value_len;
    if (sta_buffer_room(&batch->wire) < need && batch->count > 0 && batch->expected > batch->count)
        (void)sta_buffer_reserve(&batch->wire, need + append_rest(batch)); /* a wish */
    return sta_buffer_reserve(&batch->wire, need);
}

static struct sta_batch_mark *batch_mark(struct sta_batch *batch, uint32_t i)
{
    return i == 0 ? &batch->first_mark : &batch->marks[i - 1];
}

static int batch_make_mark(struct sta_batch *batch)
{
    if (batch->count <= batch->mark_cap)
        return STRATA_OK;
    uint32_t cap = batch->mark_cap == 0 ? MARKS_FIRST : batch->mark_cap * 2;
    cap = cap < batch->expected ? batch->expected : cap;
    struct sta_batch_mark *marks = realloc(batch->marks, cap * sizeof *marks);
    if (marks == NULL)
        return STRATA_ERR_NOMEM;
    batch->marks = marks;
    batch->mark_cap = cap;
    return STRATA_OK;
}

/* Room for an operation and its mark; then nothing more can fail. */
static int batch_prepare(struct sta_batch *batch, size_t keys, struct strata_bytes key,
                         size_t value_len)
{
    int status = append_room(batch, keys, key, value_len);
    return status == STRATA_OK ? batch_make_mark(batch) : status;
}

/* The key as Redis sees it stands somewhere in the wire; where, the appender knows. */
static void batch_add_mark(struct sta_batch *batch, uint32_t tag, size_t key_begin, size_t key_len)
{
    struct sta_batch_mark *mark = batch_mark(batch, batch->count++);
    const uint8_t *wire = sta_buffer_bytes(&batch->wire).data;
    mark->wire_end = (uint32_t)sta_buffer_len(&batch->wire);
    mark->tag = tag;
    mark->commands = batch->kind == STA_BATCH_GET || batch->kind == STA_BATCH_ADD ? 2 : 1;
    mark->hurried = batch->hurried;
    mark->slot = STA_OPERATION_ANY_NODE;
    if (batch->l2 != NULL && sta_l2_is_cluster(batch->l2))
        mark->slot = sta_slot_of(strata_bytes(wire + key_begin, key_len));
}

/* Appends the key as a bulk and returns where in the wire it begins. */
static size_t append_key(struct sta_batch *batch, struct strata_bytes key)
{
    append_bulk(&batch->wire, batch->prefix, key);
    return sta_buffer_len(&batch->wire) - 2 - key.len - batch->prefix.len;
}

void sta_batch_init(struct sta_batch *batch, struct sta_l2 *l2, struct strata_bytes prefix,
                    void (*answered)(struct sta_batch *, uint32_t, int, struct strata_bytes),
                    void (*ended)(struct sta_batch *))
{
    batch->l2 = l2;
    batch->prefix = prefix;
    batch->answered = answered;
    batch->ended = ended;
    batch->marks = NULL;
    batch->mark_cap = 0;
    batch->count = 0;
    batch->expected = 0;
    batch->kind = STA_BATCH_GET;
    batch->flights = NULL;
    batch->hurried = false;
    batch->source = 0;
    sta_buffer_init(&batch->wire, STA_BATCH_WIRE_MAX);
}

void sta_batch_expect(struct sta_batch *batch, size_t count)
{
    batch->expected = count < STA_BATCH_WINDOW ? (uint32_t)count : STA_BATCH_WINDOW;
}

void sta_batch_fini(struct sta_batch *batch)
{
    free(batch->marks);
    sta_buffer_fini(&batch->wire);
}

/* GET key, PTTL key; returns where in the wire the last key begins. */
static size_t append_read(struct sta_batch *batch, struct strata_bytes key)
{
    append_text(&batch->wire, "*2\r\n$3\r\nGET\r\n");
    (void)append_key(batch, key);
    append_text(&batch->wire, "*2\r\n$4\r\nPTTL\r\n");
    return append_key(batch, key);
}

int sta_batch_get(struct sta_batch *batch, uint32_t tag, struct strata_bytes key)
{
    int status = batch_prepare(batch, 2, key, 0);
    if (status < 0)
        return status;
    size_t begin = append_read(batch, key);
    batch->kind = STA_BATCH_GET;
    batch_add_mark(batch, tag, begin, batch->prefix.len + key.len);
    return STRATA_OK;
}

int sta_batch_get_value(struct sta_batch *batch, uint32_t tag, struct strata_bytes key)
{
    int status = batch_prepare(batch, 1, key, 0);
    if (status < 0)
        return status;
    append_text(&batch->wire, "*2\r\n$3\r\nGET\r\n");
    size_t begin = append_key(batch, key);
    batch->kind = STA_BATCH_GET_VALUE;
    batch_add_mark(batch, tag, begin, batch->prefix.len + key.len);
    return STRATA_OK;
}

/* SET key value [NX] [PX ttl]; returns where in the wire the key begins. */
static size_t append_set(struct sta_batch *batch, struct strata_bytes key,
                         struct strata_bytes value, uint64_t ttl_ms, bool only_new)
{
    static const char *const heads[] = {"*3\r\n$3\r\nSET\r\n", "*4\r\n$3\r\nSET\r\n",
                                        "*5\r\n$3\r\nSET\r\n", "*6\r\n$3\r\nSET\r\n"};
    bool expires = ttl_ms <= TTL_MOST_MS;
    append_text(&batch->wire, heads[(expires ? 2 : 0) + (only_new ? 1 : 0)]);
    size_t begin = append_key(batch, key);
    append_bulk(&batch->wire, value, strata_bytes(NULL, 0));
    if (only_new)
        append_text(&batch->wire, "$2\r\nNX\r\n");
    if (expires) {
        char text[TTL_TEXT_CAP];
        int len = snprintf(text, sizeof text, "%" PRIu64, ttl_ms);
        append_text(&batch->wire, "$2\r\nPX\r\n");
        append_bulk(&batch->wire, strata_bytes(text, (size_t)len), strata_bytes(NULL, 0));
    }
    return begin;
}

int sta_batch_set(struct sta_batch *batch, uint32_t tag, struct strata_bytes key,
                  struct strata_bytes value, uint64_t ttl_ms)
{
    int status = batch_prepare(batch, 1, key, value.len);
    if (status < 0)
        return status;
    size_t begin = append_set(batch, key, value, ttl_ms, false);
    batch->kind = STA_BATCH_SET;
    batch_add_mark(batch, tag, begin, batch->prefix.len + key.len);
    return STRATA_OK;
}

int sta_batch_add(struct sta_batch *batch, uint32_t tag, struct strata_bytes key,
                  struct strata_bytes value, uint64_t ttl_ms)
{
    int status = batch_prepare(batch, 2, key, value.len);
    if (status < 0)
        return status;
    (void)append_set(batch, key, value, ttl_ms, true);
    append_text(&batch->wire, "*2\r\n$6\r\nEXISTS\r\n");
    size_t begin = append_key(batch, key);
    batch->kind = STA_BATCH_ADD;
    batch_add_mark(batch, tag, begin, batch->prefix.len + key.len);
    return STRATA_OK;
}

int sta_batch_set_read(struct sta_batch *batch, uint32_t tag, struct strata_bytes key,
                       struct strata_bytes value, uint64_t ttl_ms)
{
    int status = batch_prepare(batch, 3, key, value.len);
    if (status == STRATA_OK)
        status = sta_batch_set(batch, tag, key, value, ttl_ms);
    if (status < 0)
        return status;
    struct sta_batch_mark *mark = batch_mark(batch, batch->count - 1);
    (void)append_read(batch, key);
    mark->wire_end = (uint32_t)sta_buffer_len(&batch->wire);
    mark->commands = 3;
    return STRATA_OK;
}

int sta_batch_delete(struct sta_batch *batch, uint32_t tag, struct strata_bytes key)
{
    int status = batch_prepare(batch, 1, key, 0);
    if (status < 0)
        return status;
    append_text(&batch->wire, "*2\r\n$6\r\nUNLINK\r\n");
    size_t begin = append_key(batch, key);
    batch->kind = STA_BATCH_DELETE;
    batch_add_mark(batch, tag, begin, batch->prefix.len + key.len);
    return STRATA_OK;
}

static size_t script_bytes(const struct sta_batch_script *script)
{
    size_t bytes = script->text.len;
    for (size_t i = 0; i < script->count; i++)
        bytes += script->args[i].len + TTL_TEXT_CAP;
    return bytes;
}

int sta_batch_script(struct sta_batch *batch, uint32_t tag, const struct sta_batch_script *script)
{
    const struct strata_bytes none = strata_bytes(NULL, 0);
    char head[48];
    int status = batch_prepare(batch, 3, script->key, script_bytes(script));
    if (status < 0)
        return status;
    (void)snprintf(head, sizeof head, "*%zu\r\n$4\r\nEVAL\r\n", script->count + 4);
    append_text(&batch->wire, head);
    append_bulk(&batch->wire, script->text, none);
    append_text(&batch->wire, "$1\r\n1\r\n");
    size_t begin = append_key(batch, script->key);
    for (size_t i = 0; i < script->count; i++)
        append_bulk(&batch->wire, script->args[i], none);
    batch->kind = STA_BATCH_SCRIPT;
    if (script->reads)
        (void)append_read(batch, script->key);
    batch_add_mark(batch, tag, begin, batch->prefix.len + script->key.len);
    batch_mark(batch, batch->count - 1)->commands = script->reads ? 3 : 1;
    return STRATA_OK;
}

/* ---- sending, on the loop's thread ---- */

static void flight_answered(struct sta_batch_flight *flight, int status,
                            struct strata_bytes replies)
{
    flight->flying = false;
    flight->batch->unanswered--;
    flight->batch->answered(flight->batch, flight->tag, status, replies);
}

static void flight_send(struct sta_batch_flight *flight, struct sta_router *router)
{
    struct sta_batch *batch = flight->batch;
    const uint8_t *wire = sta_buffer_bytes(&batch->wire).data;
    const struct sta_batch_mark *mark = batch_mark(batch, batch->next);
    uint32_t begin = batch->next == 0 ? 0 : batch_mark(batch, batch->next - 1)->wire_end;
    batch->next++;
    flight->tag = mark->tag;
    flight->flying = true;
    flight->operation.request.wire = strata_bytes(wire + begin, mark->wire_end - begin);
    flight->operation.slot = mark->slot;
    flight->operation.request.commands = mark->commands;
    flight->operation.hurried = mark->hurried;
    if (router != NULL)
        sta_router_submit(router, &flight->operation);
    else
        flight_answered(flight, STRATA_ERR_CLOSED, strata_bytes(NULL, 0));
}

/* Gives it one operation after another, as long as they are refused at once. */
static void flight_feed(struct sta_batch_flight *flight)
{
    struct sta_batch *batch = flight->batch;
    flight->feeding = true;
    while (!flight->flying && batch->next < batch->count)
        flight_send(flight, sta_l2_router(batch->l2));
    flight->feeding = false;
}

static void batch_settle(struct sta_batch *batch)
{
    if (batch->starting || batch->unanswered > 0)
        return;
    free(batch->flights);
    batch->flights = NULL;
    batch->ended(batch);
}

static bool is_error(const struct sta_resp_value *value)
{
    return value->type == STA_RESP_ERROR || value->type == STA_RESP_BULK_ERROR;
}

/* Whether what is left begins with such a value. It is framed, so that it is one: to know which
 * kind takes a look at its first byte, and the walk need not pass it where nothing follows. */
static bool last_fits(struct strata_bytes rest, char type)
{
    char first = rest.len > 0 ? *(const char *)rest.data : '\0';
    return first == type || first == '-' || first == '!' || (type == '$' && first == '_');
}

static bool next_fits(struct sta_resp_walk *replies, enum sta_resp_type type)
{
    struct sta_resp_value value;
    if (sta_resp_next(replies, &value) != STRATA_OK)
        return false;
    return value.type == type || is_error(&value) ||
           (type == STA_RESP_BULK && value.type == STA_RESP_NULL);
}

static bool next_fits_or_null(struct sta_resp_walk *replies, enum sta_resp_type type)
{
    struct sta_resp_walk here = *replies;
    struct sta_resp_value value;
    if (sta_resp_next(&here, &value) != STRATA_OK || value.type != STA_RESP_NULL)
        return next_fits(replies, type);
    *replies = here;
    return true;
}

static bool script_fits(struct sta_resp_walk *replies)
{
    struct sta_resp_walk here = *replies;
    if (!next_fits(&here, STA_RESP_SIMPLE))
        return next_fits(replies, STA_RESP_BULK);
    *replies = here;
    return true;
}

static bool read_fits(struct sta_resp_walk *replies)
{
    return next_fits(replies, STA_RESP_BULK) && last_fits(replies->rest, ':');
}

/* Whether this can be an answer to such an operation. An error can be one to all. */
static bool replies_fit(enum sta_batch_kind kind, struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    switch (kind) {
    case STA_BATCH_GET:
        return read_fits(&walk);
    case STA_BATCH_GET_VALUE:
        return last_fits(replies, '$');
    case STA_BATCH_SET:
        return next_fits(&walk, STA_RESP_SIMPLE) && (walk.rest.len == 0 || read_fits(&walk));
    case STA_BATCH_ADD:
        return next_fits_or_null(&walk, STA_RESP_SIMPLE) && last_fits(walk.rest, ':');
    case STA_BATCH_DELETE:
        return last_fits(replies, ':');
    case STA_BATCH_SCRIPT:
        return script_fits(&walk) && (walk.rest.len == 0 || read_fits(&walk));
    }
    return false;
}

static void on_flight_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct sta_batch_flight *flight = STA_CONTAINER(operation, struct sta_batch_flight, operation);
    struct sta_batch *batch = flight->batch;
    if (status == STRATA_OK && !replies_fit(batch->kind, replies)) {
        status = STRATA_ERR_PROTOCOL;
        replies = strata_bytes(NULL, 0);
        sta_node_distrust(operation->node, "a reply that the command cannot have");
    }
    batch->source = status == STRATA_OK ? sta_tracking_source(operation) : STA_TRACKING_NOBODY;
    batch->memory = operation->request.memory;
    flight_answered(flight, status, replies);
    if (flight->feeding)
        return;
    flight_feed(flight);
    batch_settle(batch);
}

static void flight_start(struct sta_batch_flight *flight, struct sta_batch *batch)
{
    *flight = (struct sta_batch_flight){
        .operation = {.request.deadline_ns = batch->deadline_ns,
                      .repeatable =
                          batch->kind == STA_BATCH_GET || batch->kind == STA_BATCH_GET_VALUE,
                      .way = STA_OPERATION_BY_SIZE,
                      .done = on_flight_done},
        .batch = batch,
    };
    flight_feed(flight);
}

/* Where there is no memory for a window, they go one after another. */
static void batch_start(struct sta_batch *batch)
{
    uint32_t window = batch->count < STA_BATCH_WINDOW ? batch->count : STA_BATCH_WINDOW;
    batch->next = 0;
    batch->unanswered = batch->count;
    batch->starting = true;
    if (window > 1)
        batch->flights = malloc(window * sizeof *batch->flights);
    if (batch->flights == NULL)
        flight_start(&batch->first_flight, batch);
    for (uint32_t i = 0; batch->flights != NULL && i < window; i++)
        flight_start(&batch->flights[i], batch);
    batch->starting = false;
    batch_settle(batch);
}

static void on_posted(struct sta_task *task)
{
    batch_start(STA_CONTAINER(task, struct sta_batch, task));
}

void sta_batch_submit(struct sta_batch *batch, uint64_t deadline_ns)
{
    batch->deadline_ns = deadline_ns;
    batch->task.run = on_posted;
    sta_l2_post(batch->l2, &batch->task);
}

void sta_batch_start(struct sta_batch *batch, uint64_t deadline_ns)
{
    batch->deadline_ns = deadline_ns;
    batch_start(batch);
}

/* ---- decoding ---- */

/* What an error reply means to who asked for a key. */
static int error_status(const struct sta_resp_value *error)
{
    static const struct {
        const char *code;
        int status;
    } known[] = {
        {"NOAUTH", STRATA_ERR_DENIED},        {"NOPERM", STRATA_ERR_DENIED},
        {"LOADING", STRATA_ERR_UNAVAILABLE},  {"MASTERDOWN", STRATA_ERR_UNAVAILABLE},
        {"READONLY", STRATA_ERR_UNAVAILABLE}, {"CLUSTERDOWN", STRATA_ERR_UNAVAILABLE},
        {"TRYAGAIN", STRATA_ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t len = strlen(known[i].code);
        if (error->bytes.len >= len && memcmp(error->bytes.data, known[i].code, len) == 0)
            return known[i].status;
    }
    return STRATA_ERR_SERVER;
}

/* The next reply, which is one value; errors of Redis become codes. */
static int next_value(struct sta_resp_walk *replies, struct sta_resp_value *value)
{
    if (sta_resp_next(replies, value) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    return is_error(value) ? error_status(value) : STRATA_OK;
}

int sta_batch_read_get(struct strata_bytes replies, struct strata_bytes *value, uint64_t *ttl_ms)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value got, ttl;
    int got_status = next_value(&walk, &got);
    int ttl_status = next_value(&walk, &ttl);
    if (got_status < 0)
        return got_status;
    if (got.type == STA_RESP_NULL)
        return STRATA_MISS;
    if (got.type != STA_RESP_BULK)
        return STRATA_ERR_PROTOCOL;
    *value = got.bytes;
    /* Where the TTL is refused (a user without rights to PTTL, a slot that moved between the two),
     * or was not asked for, the value is still right: only nobody may keep it. Redis answers -1 for
     * "no expiry" and -2 for "gone meanwhile". */
    if (ttl_status < 0 || ttl.type != STA_RESP_INTEGER || ttl.integer < -1)
        *ttl_ms = 0;
    else
        *ttl_ms = ttl.integer == -1 ? UINT64_MAX : (uint64_t)ttl.integer;
    return STRATA_OK;
}

int sta_batch_read_set(struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value value;
    int status = next_value(&walk, &value);
    if (status < 0)
        return status;
    return value.type == STA_RESP_SIMPLE ? STRATA_OK : STRATA_ERR_PROTOCOL;
}

int sta_batch_read_script(struct strata_bytes replies, struct strata_bytes *text)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value value;
    int status = next_value(&walk, &value);
    if (status < 0 || value.type == STA_RESP_SIMPLE)
        return status;
    if (value.type != STA_RESP_BULK)
        return STRATA_ERR_PROTOCOL;
    *text = value.bytes;
    return STRATA_SKIPPED;
}

int sta_batch_read_add(struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value value;
    int status = next_value(&walk, &value);
    if (status < 0)
        return status;
    if (value.type == STA_RESP_NULL)
        return STRATA_SKIPPED;
    return value.type == STA_RESP_SIMPLE ? STRATA_OK : STRATA_ERR_PROTOCOL;
}

bool sta_batch_read_set_kept(struct strata_bytes replies, struct strata_bytes value,
                             uint64_t *ttl_ms)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value written;
    struct strata_bytes got;
    return next_value(&walk, &written) == STRATA_OK &&
           sta_batch_read_get(walk.rest, &got, ttl_ms) == STRATA_OK && *ttl_ms > 0 &&
           got.len == value.len && (value.len == 0 || memcmp(got.data, value.data, value.len) == 0);
}

int sta_batch_read_delete(struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value value;
    int status = next_value(&walk, &value);
    if (status < 0)
        return status;
    if (value.type != STA_RESP_INTEGER)
        return STRATA_ERR_PROTOCOL;
    return value.integer > 0 ? STRATA_OK : STRATA_MISS;
}
