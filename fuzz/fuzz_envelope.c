/* SPDX-License-Identifier: MIT
 *
 * Envelopes: the input is what is stored in Redis.
 *
 * Facts: what was read lies within what was stored; written again, it reads the same, and is what
 * was stored, unless that had fields that may be left out, or fields in another order.
 */
#include <string.h>

#include "cache/envelope.h"
#include "fuzz/arrival.h"
#include "strata/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(struct strata_bytes one, struct strata_bytes other)
{
    CHECK(one.len == other.len);
    CHECK(one.len == 0 || memcmp(one.data, other.data, one.len) == 0);
}

static void check_within(struct strata_bytes stored, struct strata_bytes part)
{
    const uint8_t *begin = stored.data, *at = part.data;
    CHECK(part.len == 0 || (at >= begin && at + part.len <= begin + stored.len));
}

static void check_again(const struct sta_envelope *first)
{
    struct sta_buffer out;
    struct sta_envelope second;
    sta_buffer_init(&out, SIZE_MAX / 2);
    CHECK(sta_envelope_write(&out, first) == STRATA_OK);
    CHECK(sta_envelope_read(sta_buffer_bytes(&out), &second) == STRATA_OK);
    CHECK(first->stale_ms == second.stale_ms && first->load_us == second.load_us);
    CHECK(first->tag_count == second.tag_count);
    for (size_t i = 0; i < first->tag_count; i++) {
        CHECK(first->tags[i].version == second.tags[i].version);
        check_same(first->tags[i].name, second.tags[i].name);
    }
    check_same(first->value, second.value);
    sta_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arrival arrival;
    struct sta_envelope envelope;
    arrival_init(&arrival, data, size, 0);
    arrival_all(&arrival);
    struct strata_bytes stored = arrival_bytes(&arrival);
    if (sta_envelope_read(stored, &envelope) == STRATA_OK) {
        check_within(stored, envelope.value);
        for (size_t i = 0; i < envelope.tag_count; i++)
            check_within(stored, envelope.tags[i].name);
        if (!sta_envelope_begins(stored))
            check_same(stored, envelope.value);
        check_again(&envelope);
    }
    arrival_fini(&arrival);
    return 0;
}
