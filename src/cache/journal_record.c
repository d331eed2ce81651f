/* SPDX-License-Identifier: MIT
 *
 * See journal_record.h.
 */
#include "cache/journal_record.h"

#include <string.h>

#include "cache/cache.h"
#include "core/clock.h"
#include "core/crc32c.h"
#include "strata/status.h"

#define FRAME_LEN  8u                          /* CRC and length */
#define FIXED_LEN  (1u + 8u + 8u + 8u + 2u)    /* behind them, before the key */
#define VALUE_MOST (STA_CACHE_VALUE_MAX + 64u) /* in an envelope */
#define BODY_MOST  (FIXED_LEN + STA_KEY_MAX + VALUE_MOST)

static void put(uint8_t **at, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *(*at)++ = (uint8_t)(number >> (8 * i));
}

static uint64_t take(const uint8_t **at, unsigned bytes)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < bytes; i++)
        number |= (uint64_t) * (*at)++ << (8 * i);
    return number;
}

static void put_bytes(uint8_t **at, struct strata_bytes bytes)
{
    if (bytes.len > 0)
        memcpy(*at, bytes.data, bytes.len);
    *at += bytes.len;
}

size_t sta_journal_record_len(const struct sta_journal_record *record)
{
    return FRAME_LEN + FIXED_LEN + record->key.len + record->value.len;
}

int sta_journal_record_append(struct sta_buffer *out, const struct sta_journal_record *record)
{
    size_t len = sta_journal_record_len(record);
    int status = sta_buffer_reserve(out, len);
    if (status < 0)
        return status;
    uint8_t *begin = sta_buffer_end(out);
    uint8_t *at = begin + 4;
    put(&at, len - FRAME_LEN, 4);
    put(&at, record->type, 1);
    put(&at, record->version, 8);
    put(&at, record->ttl_ms, 8);
    put(&at, record->wall_ms, 8);
    put(&at, record->key.len, 2);
    put_bytes(&at, record->key);
    put_bytes(&at, record->value);
    at = begin;
    put(&at, sta_crc32c(0, strata_bytes(begin + 4, len - 4)), 4);
    sta_buffer_advance(out, len);
    return STRATA_OK;
}

static bool record_is_sound(const struct sta_journal_record *record)
{
    bool valueless = record->type == STA_JOURNAL_DELETE || record->type == STA_JOURNAL_DONE;
    return record->key.len > 0 && record->value.len <= VALUE_MOST &&
           (record->type == STA_JOURNAL_SET || (valueless && record->value.len == 0));
}

int sta_journal_record_next(struct strata_bytes *rest, struct sta_journal_record *record)
{
    const uint8_t *begin = rest->data;
    const uint8_t *at = begin;
    if (rest->len == 0)
        return STRATA_MISS;
    if (rest->len < FRAME_LEN + FIXED_LEN)
        return STRATA_ERR_PROTOCOL;
    uint32_t crc = (uint32_t)take(&at, 4);
    size_t len = (size_t)take(&at, 4);
    if (len < FIXED_LEN || len > BODY_MOST || len > rest->len - FRAME_LEN ||
        crc != sta_crc32c(0, strata_bytes(begin + 4, len + 4)))
        return STRATA_ERR_PROTOCOL;
    struct sta_journal_record got;
    got.type = (enum sta_journal_type)take(&at, 1);
    got.version = take(&at, 8);
    got.ttl_ms = take(&at, 8);
    got.wall_ms = take(&at, 8);
    size_t key_len = (size_t)take(&at, 2);
    if (key_len > len - FIXED_LEN)
        return STRATA_ERR_PROTOCOL;
    got.key = strata_bytes(at, key_len);
    got.value = strata_bytes(at + key_len, len - FIXED_LEN - key_len);
    if (!record_is_sound(&got))
        return STRATA_ERR_PROTOCOL;
    *record = got;
    *rest = strata_bytes(begin + FRAME_LEN + len, rest->len - FRAME_LEN - len);
    return STRATA_OK;
}

uint64_t sta_journal_record_left_ms(const struct sta_journal_record *record, uint64_t wall_ms)
{
    if (record->ttl_ms == STA_NEVER || wall_ms <= record->wall_ms)
        return record->ttl_ms;
    uint64_t passed_ms = wall_ms - record->wall_ms;
    return passed_ms < record->ttl_ms ? record->ttl_ms - passed_ms : 0;
}
