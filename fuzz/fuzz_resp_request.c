/* SPDX-License-Identifier: MIT
 *
 * What a client may send. The first two bytes choose where the stream is cut, the limits and
 * whether inline commands are allowed.
 *
 * Facts: framing piece by piece finds the same frames and ends the same way as framing all at
 * once; arguments lie in the frame or in the scratch area, which the frame's own length suffices
 * for; written as a command they frame and slice to the same arguments; framing and slicing ask
 * nothing of the heap.
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
    int status;
    const char *reason;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame_all(const struct sta_resp_limits *limits, bool allow_inline,
                      struct arrival *arrival, bool at_once, struct outcome *outcome)
{
    struct sta_resp_request_framer framer = {0};
    *outcome = (struct outcome){.status = STRATA_MORE};
    if (at_once)
        arrival_all(arrival);
    while (outcome->status >= 0 && outcome->count < FRAMES_MOST) {
        struct strata_bytes bytes = arrival_bytes(arrival);
        size_t len = 0;
        heap_meter_start();
        outcome->status =
            sta_resp_frame_request(&framer, limits, allow_inline, bytes, &len, &outcome->reason);
        CHECK(heap_meter_stop() == 0);
        if (outcome->status == STRATA_OK) {
            CHECK(len > 0 && len <= bytes.len);
            arrival->begin += len;
            outcome->ends[outcome->count++] = arrival->begin;
        } else if (outcome->status == STRATA_MORE && arrival_more(arrival) == 0) {
            break;
        }
    }
}

static bool lies_in(struct strata_bytes part, const void *begin, size_t len)
{
    const uint8_t *at = part.data, *from = begin;
    return at >= from && part.len <= len && at - from <= (ptrdiff_t)(len - part.len);
}

/* Writes the arguments as a command, and reads them again. */
static void check_written(const struct strata_bytes *argv, size_t argc)
{
    struct sta_buffer out;
    struct sta_resp_request_framer framer = {0};
    const char *reason = NULL;
    size_t len = 0, count = 0;
    sta_buffer_init(&out, 1u << 24);
    CHECK(sta_resp_write_command(&out, argv, argc) == STRATA_OK);
    struct strata_bytes wire = sta_buffer_bytes(&out);
    CHECK(sta_resp_frame_request(&framer, &sta_resp_request_limits, false, wire, &len, &reason) ==
          STRATA_OK);
    CHECK(len == wire.len && sta_resp_request_count(wire, &count) == STRATA_OK && count == argc);
    struct strata_bytes *again = malloc((argc + 1) * sizeof(*again));
    CHECK(sta_resp_request_args(wire, again, argc, NULL) == STRATA_OK);
    for (size_t i = 0; i < argc; i++) {
        CHECK(again[i].len == argv[i].len);
        CHECK(argv[i].len == 0 || memcmp(again[i].data, argv[i].data, argv[i].len) == 0);
    }
    free(again);
    sta_buffer_fini(&out);
}

static void check_arguments(struct strata_bytes frame)
{
    size_t argc = 0;
    heap_meter_start();
    int status = sta_resp_request_count(frame, &argc);
    CHECK(heap_meter_stop() == 0);
    if (status != STRATA_OK) { /* unbalanced quotes */
        CHECK(status == STRATA_ERR_PROTOCOL && *(const char *)frame.data != '*');
        return;
    }
    CHECK(argc <= frame.len);
    uint8_t *scratch = malloc(frame.len);
    struct strata_bytes *argv = malloc((argc + 1) * sizeof(*argv));
    heap_meter_start();
    CHECK(sta_resp_request_args(frame, argv, argc, scratch) == STRATA_OK);
    CHECK(heap_meter_stop() == 0);
    for (size_t i = 0; i < argc; i++)
        CHECK(lies_in(argv[i], frame.data, frame.len) || lies_in(argv[i], scratch, frame.len));
    check_written(argv, argc);
    free(argv);
    free(scratch);
}

/* Slices bytes that no framer has seen: any answer, but within them. */
static void slice_anything(struct strata_bytes bytes)
{
    struct strata_bytes argv[4];
    uint8_t *scratch = malloc(bytes.len + 1);
    size_t argc = 0;
    sta_resp_request_count(bytes, &argc);
    for (size_t i = 0; i <= 4; i++)
        sta_resp_request_args(bytes, argv, i, scratch);
    free(scratch);
}

static struct outcome pieces, whole;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sta_resp_limits small = {1, 100, 20, 30, 400};
    if (size < 2)
        return 0;
    const struct sta_resp_limits *limits = data[1] % 4 == 0 ? &small : &sta_resp_request_limits;
    const bool allow_inline = data[1] % 3 != 0;
    struct arrival arrival;
    arrival_init(&arrival, data + 2, size - 2, data[0]);
    frame_all(limits, allow_inline, &arrival, false, &pieces);
    arrival_fini(&arrival);

    arrival_init(&arrival, data + 2, size - 2, 0);
    frame_all(limits, allow_inline, &arrival, true, &whole);
    CHECK(pieces.status == whole.status && pieces.count == whole.count);
    CHECK(memcmp(pieces.ends, whole.ends, whole.count * sizeof(size_t)) == 0);
    CHECK(whole.status >= 0 || strcmp(pieces.reason, whole.reason) == 0);
    for (size_t i = 0, begin = 0; i < whole.count; begin = whole.ends[i++])
        check_arguments(strata_bytes(arrival.bytes + begin, whole.ends[i] - begin));
    slice_anything(strata_bytes(arrival.bytes, arrival.size));
    arrival_fini(&arrival);
    return 0;
}
