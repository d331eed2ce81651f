/* SPDX-License-Identifier: MIT
 *
 * See envelope.h.
 */
#include "cache/envelope.h"

#include <string.h>

#include "strata/status.h"

#define VERSION    1u
#define FIELD_HEAD 3u /* type and length */
#define NUMBER_LEN 8u
#define SKIPPABLE  0x80u

_Static_assert(sizeof STA_ENVELOPE_MAGIC == STA_ENVELOPE_MAGIC_LEN, "the magic ends with its zero");
_Static_assert(2 * (FIELD_HEAD + NUMBER_LEN) +
                       STA_ENVELOPE_TAGS_MOST * (FIELD_HEAD + NUMBER_LEN + STA_ENVELOPE_TAG_MAX) <=
                   UINT16_MAX,
               "all fields fit");

enum field { FIELD_STALE = 0x01, FIELD_LOAD = 0x02, FIELD_TAG = 0x03 };

bool sta_envelope_begins(struct strata_bytes bytes)
{
    return bytes.len >= STA_ENVELOPE_MAGIC_LEN &&
           memcmp(bytes.data, STA_ENVELOPE_MAGIC, STA_ENVELOPE_MAGIC_LEN) == 0;
}

/* ---- writing, into room that was made ---- */

static void put_number(struct sta_buffer *out, uint64_t number, unsigned len)
{
    uint8_t *at = sta_buffer_end(out);
    for (unsigned i = 0; i < len; i++)
        at[i] = (uint8_t)(number >> 8 * i);
    sta_buffer_advance(out, len);
}

static void put_field(struct sta_buffer *out, enum field field, uint64_t number,
                      struct strata_bytes name)
{
    put_number(out, field, 1);
    put_number(out, NUMBER_LEN + name.len, 2);
    put_number(out, number, NUMBER_LEN);
    (void)sta_buffer_append(out, name); /* there is room */
}

static int check_tags(const struct sta_envelope *envelope)
{
    if (envelope->tag_count > STA_ENVELOPE_TAGS_MOST)
        return STRATA_ERR_INVALID;
    for (size_t i = 0; i < envelope->tag_count; i++) {
        if (envelope->tags[i].name.len == 0)
            return STRATA_ERR_INVALID;
        if (envelope->tags[i].name.len > STA_ENVELOPE_TAG_MAX)
            return STRATA_ERR_TOO_BIG;
    }
    return STRATA_OK;
}

static size_t fields_len(const struct sta_envelope *envelope)
{
    size_t len = 0;
    if (envelope->stale_ms != 0)
        len += FIELD_HEAD + NUMBER_LEN;
    if (envelope->load_us != 0)
        len += FIELD_HEAD + NUMBER_LEN;
    for (size_t i = 0; i < envelope->tag_count; i++)
        len += FIELD_HEAD + NUMBER_LEN + envelope->tags[i].name.len;
    return len;
}

int sta_envelope_write(struct sta_buffer *out, const struct sta_envelope *envelope)
{
    static const struct strata_bytes magic = {STA_ENVELOPE_MAGIC, STA_ENVELOPE_MAGIC_LEN};
    static const struct strata_bytes nothing = {NULL, 0};
    int status = check_tags(envelope);
    if (status < 0)
        return status;
    size_t len = fields_len(envelope);
    if (envelope->value.len > SIZE_MAX - STA_ENVELOPE_HEAD - len)
        return STRATA_ERR_TOO_BIG;
    status = sta_buffer_reserve(out, STA_ENVELOPE_HEAD + len + envelope->value.len);
    if (status < 0)
        return status;
    (void)sta_buffer_append(out, magic);
    put_number(out, VERSION, 1);
    put_number(out, len, 2);
    if (envelope->stale_ms != 0)
        put_field(out, FIELD_STALE, envelope->stale_ms, nothing);
    if (envelope->load_us != 0)
        put_field(out, FIELD_LOAD, envelope->load_us, nothing);
    for (size_t i = 0; i < envelope->tag_count; i++)
        put_field(out, FIELD_TAG, envelope->tags[i].version, envelope->tags[i].name);
    (void)sta_buffer_append(out, envelope->value);
    return STRATA_OK;
}

/* ---- reading ---- */

static uint64_t number_at(const uint8_t *at, unsigned len)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < len; i++)
        number |= (uint64_t)at[i] << 8 * i;
    return number;
}

static int read_number(struct strata_bytes payload, uint64_t *number)
{
    /* Nobody writes a zero, and nobody writes two. */
    if (payload.len != NUMBER_LEN || *number != 0)
        return STRATA_ERR_PROTOCOL;
    *number = number_at(payload.data, NUMBER_LEN);
    return *number != 0 ? STRATA_OK : STRATA_ERR_PROTOCOL;
}

static int read_tag(struct strata_bytes payload, struct sta_envelope *out)
{
    if (payload.len <= NUMBER_LEN || payload.len > NUMBER_LEN + STA_ENVELOPE_TAG_MAX ||
        out->tag_count == STA_ENVELOPE_TAGS_MOST)
        return STRATA_ERR_PROTOCOL;
    const uint8_t *at = payload.data;
    out->tags[out->tag_count++] = (struct sta_envelope_tag){
        .name = strata_bytes(at + NUMBER_LEN, payload.len - NUMBER_LEN),
        .version = number_at(at, NUMBER_LEN),
    };
    return STRATA_OK;
}

static int read_field(uint8_t type, struct strata_bytes payload, struct sta_envelope *out)
{
    switch (type) {
    case FIELD_STALE:
        return read_number(payload, &out->stale_ms);
    case FIELD_LOAD:
        return read_number(payload, &out->load_us);
    case FIELD_TAG:
        return read_tag(payload, out);
    default:
        return (type & SKIPPABLE) != 0 ? STRATA_OK : STRATA_ERR_UNSUPPORTED;
    }
}

static int read_fields(const uint8_t *at, size_t len, struct sta_envelope *out)
{
    while (len > 0) {
        if (len < FIELD_HEAD)
            return STRATA_ERR_PROTOCOL;
        size_t payload_len = number_at(at + 1, 2);
        if (payload_len > len - FIELD_HEAD)
            return STRATA_ERR_PROTOCOL;
        int status = read_field(at[0], strata_bytes(at + FIELD_HEAD, payload_len), out);
        if (status < 0)
            return status;
        at += FIELD_HEAD + payload_len;
        len -= FIELD_HEAD + payload_len;
    }
    return STRATA_OK;
}

int sta_envelope_read(struct strata_bytes stored, struct sta_envelope *out)
{
    struct sta_envelope envelope = {.value = stored};
    if (sta_envelope_begins(stored)) {
        const uint8_t *at = stored.data;
        if (stored.len < STA_ENVELOPE_HEAD)
            return STRATA_ERR_PROTOCOL;
        if (at[STA_ENVELOPE_MAGIC_LEN] != VERSION)
            return STRATA_ERR_UNSUPPORTED;
        size_t len = number_at(at + STA_ENVELOPE_MAGIC_LEN + 1, 2);
        if (len > stored.len - STA_ENVELOPE_HEAD)
            return STRATA_ERR_PROTOCOL;
        int status = read_fields(at + STA_ENVELOPE_HEAD, len, &envelope);
        if (status < 0)
            return status;
        size_t head = STA_ENVELOPE_HEAD + len;
        envelope.value = strata_bytes(at + head, stored.len - head);
    }
    *out = envelope;
    return STRATA_OK;
}
