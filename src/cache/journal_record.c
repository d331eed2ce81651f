/* SPDX-License-Identifier: MIT
 *
 * See journal_record.h.
 */
#include "cache/journal_record.h"

#include "cache/cache.h"
#include "core/clock.h"
#include "core/crc32c.h"
#include "core/little_endian.h"
#include "strata/status.h"

#define FRAME_LEN  8u                          /* CRC and length */
#define FIXED_LEN  (1u + 8u + 8u + 8u + 2u)    /* behind them, before the key */
#define HAS_BASIS  128u                        /* in the type */
#define VALUE_MOST (STA_CACHE_VALUE_MAX + 64u) /* in an envelope */
#define BODY_MOST  (FIXED_LEN + STA_KEY_MAX + 1u + STA_JOURNAL_BASIS_MOST + VALUE_MOST)

size_t sta_journal_record_len(const struct sta_journal_record *record)
{
    size_t basis_len = record->basis.len > 0 ? 1 + record->basis.len : 0;
    return FRAME_LEN + FIXED_LEN + record->key.len + basis_len + record->value.len;
}

int sta_journal_record_append(struct sta_buffer *out, const struct sta_journal_record *record)
{
    size_t len = sta_journal_record_len(record);
    int status = sta_buffer_reserve(out, len);
    if (status < 0)
        return status;
    uint8_t *begin = sta_buffer_end(out);
    uint8_t *at = begin + 4;
    sta_little_endian_put(&at, len - FRAME_LEN, 4);
    sta_little_endian_put(&at, record->type | (record->basis.len > 0 ? HAS_BASIS : 0), 1);
    sta_little_endian_put(&at, record->version, 8);
    sta_little_endian_put(&at, record->ttl_ms, 8);
    sta_little_endian_put(&at, record->wall_ms, 8);
    sta_little_endian_put(&at, record->key.len, 2);
    sta_little_endian_put_bytes(&at, record->key);
    if (record->basis.len > 0)
        sta_little_endian_put(&at, record->basis.len, 1);
    sta_little_endian_put_bytes(&at, record->basis);
    sta_little_endian_put_bytes(&at, record->value);
    at = begin;
    sta_little_endian_put(&at, sta_crc32c(0, strata_bytes(begin + 4, len - 4)), 4);
    sta_buffer_advance(out, len);
    return STRATA_OK;
}

static bool record_is_sound(const struct sta_journal_record *record)
{
    bool valueless = record->type == STA_JOURNAL_DELETE || record->type == STA_JOURNAL_DONE ||
                     record->type == STA_JOURNAL_BASIS;
    return record->key.len > 0 && record->value.len <= VALUE_MOST &&
           (record->type == STA_JOURNAL_SET || (valueless && record->value.len == 0));
}

/* From the front of what follows the key. */
static bool record_take_basis(struct strata_bytes *rest, struct strata_bytes *basis)
{
    const uint8_t *at = rest->data;
    if (rest->len == 0 || at[0] == 0 || rest->len - 1 < at[0])
        return false;
    *basis = strata_bytes(at + 1, at[0]);
    *rest = strata_bytes(at + 1 + at[0], rest->len - 1 - at[0]);
    return true;
}

int sta_journal_record_next(struct strata_bytes *rest, struct sta_journal_record *record)
{
    const uint8_t *begin = rest->data;
    const uint8_t *at = begin;
    if (rest->len == 0)
        return STRATA_MISS;
    if (rest->len < FRAME_LEN + FIXED_LEN)
        return STRATA_ERR_PROTOCOL;
    uint32_t crc = (uint32_t)sta_little_endian_take(&at, 4);
    size_t len = (size_t)sta_little_endian_take(&at, 4);
    if (len < FIXED_LEN || len > BODY_MOST || len > rest->len - FRAME_LEN ||
        crc != sta_crc32c(0, strata_bytes(begin + 4, len + 4)))
        return STRATA_ERR_PROTOCOL;
    struct sta_journal_record got;
    uint64_t type = sta_little_endian_take(&at, 1);
    got.type = (enum sta_journal_type)(type & ~HAS_BASIS);
    got.version = sta_little_endian_take(&at, 8);
    got.ttl_ms = sta_little_endian_take(&at, 8);
    got.wall_ms = sta_little_endian_take(&at, 8);
    size_t key_len = (size_t)sta_little_endian_take(&at, 2);
    if (key_len > len - FIXED_LEN)
        return STRATA_ERR_PROTOCOL;
    got.key = strata_bytes(at, key_len);
    got.value = strata_bytes(at + key_len, len - FIXED_LEN - key_len);
    got.basis = strata_bytes(NULL, 0);
    if ((type & HAS_BASIS) != 0 && !record_take_basis(&got.value, &got.basis))
        return STRATA_ERR_PROTOCOL;
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
