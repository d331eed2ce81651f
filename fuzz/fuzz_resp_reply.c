/* SPDX-License-Identifier: MIT
 *
 * What a server may send. The first two bytes choose where the stream is cut and the limits.
 *
 * Facts: framing piece by piece finds the same frames and ends the same way as framing all at
 * once; every frame can be walked to its end and skipped as one; its RESP2 form is one frame of
 * RESP2, less than twice as long, and its own RESP2 form; and none of that holds memory.
 */
#include <string.h>

#include "core/buffer.h"
#include "fuzz/arrival.h"
#include "resp/resp.h"
#include "strata/status.h"

#define FRAMES_MOST 4096

struct outcome {
    size_t ends[FRAMES_MOST];
    size_t count;
    int status; /* of what follows the last frame */
    const char *reason;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame_all(const struct sta_resp_limits *limits, struct arrival *arrival, bool at_once,
                      struct outcome *outcome)
{
    struct sta_resp_framer framer = {0};
    *outcome = (struct outcome){.status = STRATA_MORE};
    if (at_once)
        arrival_all(arrival);
    while (outcome->status >= 0 && outcome->count < FRAMES_MOST) {
        struct strata_bytes bytes = arrival_bytes(arrival);
        size_t len = 0;
        heap_meter_start();
        outcome->status = sta_resp_frame(&framer, limits, bytes, &len, &outcome->reason);
        CHECK(heap_meter_stop() == 0 && memory_bound(bytes.len) > 0);
        if (outcome->status == STRATA_OK) {
            CHECK(len > 0 && len <= bytes.len);
            arrival->begin += len;
            outcome->ends[outcome->count++] = arrival->begin;
        } else if (outcome->status == STRATA_MORE && arrival_more(arrival) == 0) {
            break;
        }
    }
}

static void check_walk(struct strata_bytes frame)
{
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value value;
    struct strata_bytes raw;
    size_t walked = 0;
    int status;
    while ((status = sta_resp_next(&walk, &value)) == STRATA_OK) {
        CHECK(value.raw.data == (const uint8_t *)frame.data + walked);
        walked += value.raw.len;
    }
    CHECK(status == STRATA_MISS && walked == frame.len);
    walk = sta_resp_walk(frame);
    CHECK(sta_resp_skip(&walk, &raw) == STRATA_OK);
    CHECK(raw.len == frame.len && walk.rest.len == 0);
}

static void check_downgrade(struct strata_bytes frame)
{
    static const struct sta_resp_limits limits = {STA_RESP_DEPTH_MAX, 1u << 30, UINT32_MAX,
                                                  1u << 30, 1u << 30};
    struct sta_buffer once, twice;
    struct sta_resp_framer framer = {0};
    const char *reason = NULL;
    size_t len = 0;
    sta_buffer_init(&once, 2 * frame.len + 64);
    sta_buffer_init(&twice, 2 * frame.len + 64);
    CHECK(sta_resp_downgrade(&once, frame) == STRATA_OK);
    struct strata_bytes down = sta_buffer_bytes(&once);
    CHECK(down.len < 2 * frame.len);
    CHECK(sta_resp_frame(&framer, &limits, down, &len, &reason) == STRATA_OK && len == down.len);
    struct sta_resp_walk walk = sta_resp_walk(down);
    struct sta_resp_value value;
    while (sta_resp_next(&walk, &value) == STRATA_OK)
        CHECK(strchr("+-:$*", *(const char *)value.raw.data) != NULL);
    CHECK(sta_resp_downgrade(&twice, down) == STRATA_OK);
    CHECK(sta_buffer_len(&twice) == down.len);
    CHECK(memcmp(sta_buffer_bytes(&twice).data, down.data, down.len) == 0);
    sta_buffer_fini(&once);
    sta_buffer_fini(&twice);
}

/* Walks bytes that no framer has seen: any answer, but within them. */
static void walk_anything(struct strata_bytes bytes)
{
    struct sta_resp_walk walk = sta_resp_walk(bytes);
    struct sta_resp_value value;
    struct sta_buffer out;
    while (sta_resp_next(&walk, &value) == STRATA_OK)
        continue;
    CHECK(walk.rest.len <= bytes.len);
    walk = sta_resp_walk(bytes);
    while (sta_resp_skip(&walk, NULL) == STRATA_OK)
        continue;
    sta_buffer_init(&out, 256);
    if (sta_resp_downgrade(&out, bytes) < 0)
        CHECK(sta_buffer_len(&out) == 0);
    sta_buffer_fini(&out);
}

static struct outcome pieces, whole;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sta_resp_limits small = {3, 100, 20, 30, 400};
    if (size < 2)
        return 0;
    const struct sta_resp_limits *limits = data[1] % 4 == 0 ? &small : &sta_resp_reply_limits;
    struct arrival arrival;
    arrival_init(&arrival, data + 2, size - 2, data[0]);
    frame_all(limits, &arrival, false, &pieces);
    arrival_fini(&arrival);

    arrival_init(&arrival, data + 2, size - 2, 0);
    frame_all(limits, &arrival, true, &whole);
    CHECK(pieces.status == whole.status && pieces.count == whole.count);
    CHECK(memcmp(pieces.ends, whole.ends, whole.count * sizeof(size_t)) == 0);
    CHECK(whole.status >= 0 || strcmp(pieces.reason, whole.reason) == 0);
    for (size_t i = 0, begin = 0; i < whole.count; begin = whole.ends[i++]) {
        struct strata_bytes frame = strata_bytes(arrival.bytes + begin, whole.ends[i] - begin);
        heap_meter_start();
        check_walk(frame);
        CHECK(heap_meter_stop() == 0);
        check_downgrade(frame);
    }
    walk_anything(strata_bytes(arrival.bytes, arrival.size));
    arrival_fini(&arrival);
    return 0;
}
