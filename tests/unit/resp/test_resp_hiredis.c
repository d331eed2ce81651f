/* SPDX-License-Identifier: MIT
 *
 * Our reading of RESP2 beside that of hiredis, on random replies and on damaged ones: both take
 * the same frames for the same values, and refuse the same.
 *
 * Known differences, all of them ours being stricter or earlier:
 *   - hiredis does not look at the two bytes behind a bulk, nor for a CR or LF within a line;
 *   - a number that cannot be right is refused by us at its first wrong byte, by hiredis at the
 *     line's end; hiredis skips a CR without LF when it looks for that end;
 *   - the hiredis of Debian 12 (0.14) knows no types of RESP3 and no nesting beyond 7.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "core/random.h"
#include "resp/resp.h"
#include "strata/status.h"

/* ---- random replies ---- */

static void write_text(struct sta_buffer *out, uint64_t *seed, bool line)
{
    uint8_t text[40];
    size_t len = sta_random_below(seed, sizeof(text));
    for (size_t i = 0; i < len; i++)
        text[i] = line ? (uint8_t)(' ' + sta_random_below(seed, 90))
                       : (uint8_t)("\r\n$*:0"[sta_random_below(seed, 7)]);
    if (!line) {
        assert_int_equal(sta_resp_write_bulk(out, strata_bytes(text, len)), STRATA_OK);
        return;
    }
    char copy[64];
    snprintf(copy, sizeof(copy), "%.*s", (int)len, (char *)text);
    bool error = sta_random_below(seed, 2) == 0;
    assert_int_equal(error ? sta_resp_write_error(out, copy) : sta_resp_write_simple(out, copy),
                     STRATA_OK);
}

static void write_random(struct sta_buffer *out, uint64_t *seed, unsigned depth)
{
    uint64_t count = sta_random_below(seed, 5);
    switch (sta_random_below(seed, depth < 6 ? 8 : 6)) {
    case 0:
        write_text(out, seed, true);
        break;
    case 1:
    case 2:
        write_text(out, seed, false);
        break;
    case 3:
        sta_resp_write_null(out, 2);
        break;
    case 4:
        sta_resp_write_null_array(out, 2);
        break;
    case 5:
        count = sta_random_below(seed, 64);
        sta_resp_write_integer(out, (int64_t)(sta_random_next(seed) >> count));
        break;
    default:
        sta_resp_write_header(out, STA_RESP_ARRAY, count, 2);
        for (uint64_t i = 0; i < count; i++)
            write_random(out, seed, depth + 1);
    }
}

/* Changes, removes or inserts a byte, at places where it hurts. */
static void damage(struct sta_buffer *out, uint64_t *seed)
{
    static const char bytes[] = "\r\n0123456789-+:$*a?_#";
    size_t len = sta_buffer_len(out);
    if (len == 0)
        return;
    assert_int_equal(sta_buffer_reserve(out, 1), STRATA_OK);
    uint8_t *at = out->data + out->head + sta_random_below(seed, len);
    size_t behind = (size_t)(sta_buffer_end(out) - at);
    uint8_t byte = (uint8_t)bytes[sta_random_below(seed, sizeof(bytes) - 1)];
    switch (sta_random_below(seed, 4)) {
    case 0:
        memmove(at, at + 1, behind - 1);
        out->tail--;
        break;
    case 1:
        memmove(at + 1, at, behind);
        *at = byte;
        out->tail++;
        break;
    case 2:
        out->tail -= behind;
        break;
    default:
        *at = byte;
    }
}

/* ---- comparing ---- */

static bool same_bytes(const struct sta_resp_value *value, const redisReply *reply)
{
    return value->bytes.len == (size_t)reply->len &&
           memcmp(value->bytes.data, reply->str, value->bytes.len) == 0;
}

static bool same_value(struct sta_resp_walk *walk, const redisReply *reply)
{
    struct sta_resp_value value;
    if (sta_resp_next(walk, &value) != STRATA_OK)
        return false;
    switch (value.type) {
    case STA_RESP_SIMPLE:
        return reply->type == REDIS_REPLY_STATUS && same_bytes(&value, reply);
    case STA_RESP_ERROR:
        return reply->type == REDIS_REPLY_ERROR && same_bytes(&value, reply);
    case STA_RESP_INTEGER:
        return reply->type == REDIS_REPLY_INTEGER && reply->integer == value.integer;
    case STA_RESP_BULK:
        return reply->type == REDIS_REPLY_STRING && same_bytes(&value, reply);
    case STA_RESP_NULL:
    case STA_RESP_NULL_ARRAY:
        return reply->type == REDIS_REPLY_NIL;
    case STA_RESP_ARRAY:
        break;
    default:
        return false;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != value.count)
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        if (!same_value(walk, reply->element[i]))
            return false;
    }
    return true;
}

struct tally {
    unsigned accepted, waiting, refused, known;
};

static bool is_resp3(struct strata_bytes frame)
{
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value value;
    while (sta_resp_next(&walk, &value) == STRATA_OK) {
        if (strchr("+-:$*", *(const char *)value.raw.data) == NULL)
            return true;
    }
    return false;
}

static bool is_strictness(const char *reason)
{
    static const char *const ours[] = {
        "a string does not end with CR LF",
        "a line has a line feed that is not its end",
        "a line has a carriage return that is not its end",
        "a number's line does not end with CR LF",
    };
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strcmp(reason, ours[i]) == 0)
            return true;
    }
    return false;
}

/* Whether hiredis refused what it does not know: a type, or nesting beyond 7. */
static bool beyond_hiredis(const redisReader *reader)
{
    return strstr(reader->errstr, "as reply type byte") != NULL ||
           strstr(reader->errstr, "nested multi bulk") != NULL;
}

/* What is due of hiredis for the bytes behind the last frame that both took. */
static void compare_rest(redisReader *reader, int status, const char *reason, struct tally *tally)
{
    void *reply = NULL;
    int theirs = redisReaderGetReply(reader, &reply);
    if (status == STRATA_MORE) {
        tally->waiting++;
        assert_null(reply);
        if (theirs != REDIS_OK && !beyond_hiredis(reader))
            fail_msg("hiredis refuses what we wait for: %s", reader->errstr);
        return;
    }
    if (theirs == REDIS_OK && reply == NULL && !is_strictness(reason)) { /* it waits for a line */
        assert_int_equal(redisReaderFeed(reader, "\r\n", 2), REDIS_OK);
        theirs = redisReaderGetReply(reader, &reply);
    }
    if (is_strictness(reason))
        tally->known++;
    else if (theirs != REDIS_ERR)
        fail_msg("hiredis takes what we refuse: %s", reason);
    else
        tally->refused++;
    if (reply != NULL)
        freeReplyObject(reply);
}

static void compare(struct strata_bytes stream, struct tally *tally)
{
    static const struct sta_resp_limits limits = {STA_RESP_DEPTH_MAX, 1u << 20, 1u << 16, 1u << 16,
                                                  1u << 24};
    struct sta_resp_framer framer = {0};
    redisReader *reader = redisReaderCreate();
    const char *reason = NULL;
    size_t len = 0;
    int status;
    assert_int_equal(redisReaderFeed(reader, stream.data, stream.len), REDIS_OK);
    while ((status = sta_resp_frame(&framer, &limits, stream, &len, &reason)) == STRATA_OK) {
        struct strata_bytes frame = strata_bytes(stream.data, len);
        struct sta_resp_walk walk = sta_resp_walk(frame);
        void *reply = NULL;
        stream = strata_bytes((const uint8_t *)stream.data + len, stream.len - len);
        int theirs = redisReaderGetReply(reader, &reply);
        if (is_resp3(frame) || (theirs == REDIS_ERR && beyond_hiredis(reader))) {
            assert_int_equal(theirs, REDIS_ERR);
            tally->known++;
            redisReaderFree(reader);
            return;
        }
        assert_int_equal(theirs, REDIS_OK);
        assert_non_null(reply);
        assert_true(same_value(&walk, reply) && walk.rest.len == 0);
        freeReplyObject(reply);
        tally->accepted++;
    }
    if (status != STRATA_ERR_TOO_BIG) /* hiredis would ask for the memory at once */
        compare_rest(reader, status, reason, tally);
    redisReaderFree(reader);
}

static void random_replies_are_the_same_to_both(void **state)
{
    (void)state;
    struct sta_buffer out;
    struct tally tally = {0};
    uint64_t seed = 101;
    sta_buffer_init(&out, 1u << 24);
    for (int i = 0; i < 20000; i++) {
        sta_buffer_clear(&out);
        write_random(&out, &seed, 0);
        compare(sta_buffer_bytes(&out), &tally);
    }
    assert_int_equal(tally.accepted, 20000);
    sta_buffer_fini(&out);
}

static void damaged_replies_are_the_same_to_both(void **state)
{
    (void)state;
    struct sta_buffer out;
    struct tally tally = {0};
    uint64_t seed = 202;
    sta_buffer_init(&out, 1u << 24);
    for (int i = 0; i < 50000; i++) {
        sta_buffer_clear(&out);
        write_random(&out, &seed, 0);
        for (uint64_t n = 1 + sta_random_below(&seed, 3); n > 0; n--)
            damage(&out, &seed);
        compare(sta_buffer_bytes(&out), &tally);
    }
    print_message("accepted %u, waiting %u, refused %u, known differences %u\n", tally.accepted,
                  tally.waiting, tally.refused, tally.known);
    assert_true(tally.accepted > 5000 && tally.waiting > 5000 && tally.refused > 5000);
    sta_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_replies_are_the_same_to_both),
        cmocka_unit_test(damaged_replies_are_the_same_to_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
