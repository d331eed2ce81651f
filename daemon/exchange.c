/* SPDX-License-Identifier: MIT
 *
 * The life of exchanges and their pool.
 */
#include "daemon/exchange.h"

#include <stdlib.h>

#include "daemon/spread.h"
#include "daemon/worker.h"
#include "resp/resp.h"
#include "strata/status.h"

/* What the pool of one worker keeps: exchanges, and bytes of buffer in each. */
#define POOL_MOST  4096u
#define KEEP_BYTES 4096u

static void buffer_reset(struct sta_buffer *buffer)
{
    if (buffer->cap > KEEP_BYTES)
        sta_buffer_clear(buffer);
    else
        sta_buffer_consume(buffer, sta_buffer_len(buffer));
}

static struct sta_exchange *pool_take(struct sta_worker *worker)
{
    struct sta_list *node = sta_list_pop_front(&worker->pool);
    if (node == NULL)
        return NULL;
    worker->pool_count--;
    return STA_CONTAINER(node, struct sta_exchange, link);
}

static struct sta_exchange *exchange_allocate(struct sta_worker *worker)
{
    struct sta_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    sta_list_init(&exchange->link);
    exchange->worker = worker;
    sta_buffer_init(&exchange->wire, SIZE_MAX);
    sta_buffer_init(&exchange->reply, SIZE_MAX);
    sta_buffer_init(&exchange->parts, SIZE_MAX);
    sta_buffer_init(&exchange->wait.replies, SIZE_MAX);
    exchange->keys = exchange->inline_keys;
    exchange->key_cap = STA_EXCHANGE_KEYS_INLINE;
    return exchange;
}

struct sta_exchange *sta_exchange_create(struct sta_worker *worker, struct sta_session *session)
{
    struct sta_exchange *exchange = pool_take(worker);
    if (exchange == NULL)
        exchange = exchange_allocate(worker);
    if (exchange != NULL)
        exchange->session = session;
    return exchange;
}

static void exchange_free(struct sta_exchange *exchange)
{
    sta_buffer_fini(&exchange->wire);
    sta_buffer_fini(&exchange->reply);
    sta_buffer_fini(&exchange->parts);
    sta_buffer_fini(&exchange->wait.replies);
    if (exchange->keys != exchange->inline_keys)
        free(exchange->keys);
    free(exchange);
}

void sta_exchange_destroy(struct sta_exchange **pointer)
{
    struct sta_exchange *exchange = *pointer;
    if (exchange == NULL)
        return;
    *pointer = NULL;
    struct sta_worker *worker = exchange->worker;
    sta_list_remove(&exchange->link);
    sta_spread_destroy(&exchange->spread);
    if (worker->pool_count >= POOL_MOST) {
        exchange_free(exchange);
        return;
    }
    buffer_reset(&exchange->wire);
    buffer_reset(&exchange->reply);
    buffer_reset(&exchange->parts);
    buffer_reset(&exchange->wait.replies);
    if (exchange->keys != exchange->inline_keys) {
        free(exchange->keys);
        exchange->keys = exchange->inline_keys;
        exchange->key_cap = STA_EXCHANGE_KEYS_INLINE;
    }
    exchange->key_count = 0;
    exchange->reply_counted = 0;
    exchange->session = NULL;
    exchange->conclude = NULL;
    exchange->timed_as = 0;
    exchange->own = 0;
    exchange->own_left = 0;
    exchange->own_deadline_ns = 0;
    exchange->sent = false;
    exchange->keys_unknown = false;
    exchange->heeds_barriers = false;
    exchange->stamped = false;
    exchange->by_size = false;
    exchange->replaces = false;
    exchange->operation = (struct sta_operation){0};
    sta_list_push_front(&worker->pool, &exchange->link);
    worker->pool_count++;
}

void sta_exchange_free_pool(struct sta_worker *worker)
{
    struct sta_exchange *exchange;
    while ((exchange = pool_take(worker)) != NULL)
        exchange_free(exchange);
}

int sta_exchange_write(struct sta_exchange *exchange, const struct strata_bytes *argv, size_t argc)
{
    return sta_resp_write_command(&exchange->wire, argv, argc);
}

int sta_exchange_rebase(const struct sta_exchange *exchange, struct strata_bytes *argv, size_t argc)
{
    return sta_resp_request_args(sta_buffer_bytes(&exchange->wire), argv, argc, NULL);
}

void sta_exchange_stamp(struct sta_exchange *exchange)
{
    if (exchange->stamped || exchange->spread != NULL)
        return;
    exchange->stamped = true;
    for (size_t i = 0; i < exchange->key_count; i++) {
        struct sta_exchange_key *key = &exchange->keys[i];
        key->nobodys = !sta_tracked_lane_stamp(&exchange->worker->tracked, &exchange->operation,
                                               &key->key, &key->token);
    }
}

int sta_exchange_add_key(struct sta_exchange *exchange, const struct sta_key *key)
{
    if (exchange->key_count == exchange->key_cap) {
        size_t cap = exchange->key_cap * 2;
        bool was_inline = exchange->keys == exchange->inline_keys;
        struct sta_exchange_key *keys =
            realloc(was_inline ? NULL : exchange->keys, cap * sizeof *keys);
        if (keys == NULL)
            return STRATA_ERR_NOMEM;
        if (was_inline)
            memcpy(keys, exchange->inline_keys, sizeof exchange->inline_keys);
        exchange->keys = keys;
        exchange->key_cap = cap;
    }
    exchange->keys[exchange->key_count++] = (struct sta_exchange_key){.key = *key};
    return STRATA_OK;
}
