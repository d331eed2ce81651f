/* SPDX-License-Identifier: MIT
 *
 * See hot_record.h.
 */
#include "cache/hot_record.h"

#include <inttypes.h>

#include "cache/cache.h"
#include "core/clock.h"
#include "core/crc32c.h"
#include "core/error.h"
#include "core/little_endian.h"

#define MAGIC      "STRATAHS"
#define MAGIC_LEN  8u
#define VERSION    1u
#define HAS_VALUES 1u
#define FIXED_LEN  (1u + 8u + 2u) /* behind the frame, before the key */
#define BODY_MOST  (FIXED_LEN + STA_KEY_MAX + STA_CACHE_VALUE_MAX)

void sta_hot_head_write(const struct sta_hot_head *head, uint8_t out[STA_HOT_HEAD_LEN])
{
    uint8_t *at = out;
    sta_little_endian_put_bytes(&at, strata_text(MAGIC));
    sta_little_endian_put(&at, VERSION, 4);
    sta_little_endian_put(&at, head->values ? HAS_VALUES : 0, 4);
    sta_little_endian_put(&at, head->wall_ms, 8);
    sta_little_endian_put(&at, head->count, 8);
    sta_little_endian_put(&at, sta_crc32c(0, strata_bytes(out, STA_HOT_HEAD_LEN - 4)), 4);
}

/* The version first: what another one's CRC is of, nobody knows here. */
int sta_hot_head_read(struct strata_bytes bytes, struct sta_hot_head *head,
                      struct strata_error *error)
{
    if (bytes.len < MAGIC_LEN || memcmp(bytes.data, MAGIC, MAGIC_LEN) != 0)
        return sta_error_set(error, STRATA_ERR_INVALID, "not a saved hot set");
    if (bytes.len < STA_HOT_HEAD_LEN)
        return sta_error_set(error, STRATA_ERR_INVALID, "cut off within its first %u bytes",
                             STA_HOT_HEAD_LEN);
    const uint8_t *begin = bytes.data, *at = begin + MAGIC_LEN;
    uint64_t version = sta_little_endian_take(&at, 4);
    uint64_t has = sta_little_endian_take(&at, 4);
    uint64_t wall_ms = sta_little_endian_take(&at, 8);
    uint64_t count = sta_little_endian_take(&at, 8);
    if (version != VERSION)
        return sta_error_set(error, STRATA_ERR_UNSUPPORTED,
                             "of version %" PRIu64 "; this program reads version %u", version,
                             VERSION);
    uint32_t crc = sta_crc32c(0, strata_bytes(begin, STA_HOT_HEAD_LEN - 4));
    if (crc != sta_little_endian_take(&at, 4) || has > HAS_VALUES)
        return sta_error_set(error, STRATA_ERR_INVALID, "damaged: its head has a wrong checksum");
    *head = (struct sta_hot_head){.values = has == HAS_VALUES, .wall_ms = wall_ms, .count = count};
    return STRATA_OK;
}

int sta_hot_record_append(struct sta_buffer *out, const struct sta_hot_record *record)
{
    size_t body = FIXED_LEN + record->key.len + record->value.len;
    int status = sta_buffer_reserve(out, STA_HOT_FRAME_LEN + body);
    if (status < 0)
        return status;
    uint8_t *begin = sta_buffer_end(out), *at = begin + 4;
    sta_little_endian_put(&at, body, 4);
    sta_little_endian_put(&at, record->heat, 1);
    sta_little_endian_put(&at, record->ttl_ms, 8);
    sta_little_endian_put(&at, record->key.len, 2);
    sta_little_endian_put_bytes(&at, record->key);
    sta_little_endian_put_bytes(&at, record->value);
    at = begin;
    sta_little_endian_put(&at, sta_crc32c(0, strata_bytes(begin + 4, body + 4)), 4);
    sta_buffer_advance(out, STA_HOT_FRAME_LEN + body);
    return STRATA_OK;
}

size_t sta_hot_record_body_len(const uint8_t frame[STA_HOT_FRAME_LEN])
{
    const uint8_t *at = frame + 4;
    uint64_t len = sta_little_endian_take(&at, 4);
    return len > FIXED_LEN && len <= BODY_MOST ? (size_t)len : 0;
}

int sta_hot_record_read(const struct sta_hot_head *head, struct strata_bytes bytes,
                        struct sta_hot_record *record)
{
    const uint8_t *begin = bytes.data, *at = begin;
    if (bytes.len < STA_HOT_FRAME_LEN)
        return STRATA_ERR_PROTOCOL;
    size_t body = sta_hot_record_body_len(begin);
    if (body == 0 || body != bytes.len - STA_HOT_FRAME_LEN ||
        sta_little_endian_take(&at, 4) != sta_crc32c(0, strata_bytes(begin + 4, body + 4)))
        return STRATA_ERR_PROTOCOL;
    at = begin + STA_HOT_FRAME_LEN;
    size_t rest = body - FIXED_LEN;
    struct sta_hot_record got;
    got.heat = (uint8_t)sta_little_endian_take(&at, 1);
    got.ttl_ms = sta_little_endian_take(&at, 8);
    size_t key_len = (size_t)sta_little_endian_take(&at, 2);
    if (key_len == 0 || key_len > rest || (!head->values && key_len < rest))
        return STRATA_ERR_PROTOCOL;
    got.key = strata_bytes(at, key_len);
    got.value = strata_bytes(at + key_len, rest - key_len);
    *record = got;
    return STRATA_OK;
}

uint64_t sta_hot_record_left_ms(const struct sta_hot_head *head,
                                const struct sta_hot_record *record, uint64_t wall_ms)
{
    if (record->ttl_ms == STA_NEVER || wall_ms <= head->wall_ms)
        return record->ttl_ms;
    uint64_t passed_ms = wall_ms - head->wall_ms;
    return passed_ms < record->ttl_ms ? record->ttl_ms - passed_ms : 0;
}
