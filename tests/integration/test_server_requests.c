/* SPDX-License-Identifier: MIT
 *
 * Our reading of requests beside that of a real server: pipelines of arrays and inline commands,
 * whole and damaged, cut at random, sent to a script that answers with its arguments. Both see
 * the same requests with the same arguments, wait for the same bytes, and refuse the same with
 * the same words.
 *
 * Known differences, all of them ours being stricter:
 *   - Redis does not look at the two bytes behind a bulk, nor at the byte behind a line's CR;
 *   - Redis searches for line ends with strchr(), so a zero byte makes it wait for ever;
 *   - Redis 7 allows 2^31 - 1 arguments, we 2^20.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>

#include "core/random.h"
#include "integration/raw_redis.h"
#include "resp/resp.h"
#include "strata/status.h"
#include "support/redis_server.h"

#define ARGS_MAX 64

static struct redis_server *server;
static char echo_sha[64];

static int start(void **state)
{
    (void)state;
    struct sta_buffer answer;
    struct sta_resp_value value;
    if (redis_server_start(&server, NULL) != 0)
        return -1;
    struct raw_redis *redis = raw_redis_connect(redis_server_socket(server), 2);
    sta_buffer_init(&answer, 65536);
    raw_redis_call(redis, "SCRIPT LOAD 'return ARGV'", &answer);
    struct sta_resp_walk walk = sta_resp_walk(sta_buffer_bytes(&answer));
    assert_int_equal(sta_resp_next(&walk, &value), STRATA_OK);
    snprintf(echo_sha, sizeof(echo_sha), "%.*s", (int)value.bytes.len, (char *)value.bytes.data);
    sta_buffer_fini(&answer);
    raw_redis_close(&redis);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

/* ---- random requests ---- */

static void append(struct sta_buffer *out, const char *text, size_t len)
{
    assert_int_equal(sta_buffer_append(out, strata_bytes(text, len)), STRATA_OK);
}

static void write_array(struct sta_buffer *out, uint64_t *seed)
{
    static const char bytes[] = "ab\r\n*$0 \0\xff";
    char text[8][24];
    struct strata_bytes argv[11] = {strata_text("EVALSHA"), strata_text(echo_sha),
                                    strata_text("0")};
    size_t argc = 3 + sta_random_below(seed, 8);
    for (size_t i = 3; i < argc; i++) {
        size_t len = sta_random_below(seed, sizeof(text[0]));
        for (size_t k = 0; k < len; k++)
            text[i - 3][k] = bytes[sta_random_below(seed, sizeof(bytes) - 1)];
        argv[i] = strata_bytes(text[i - 3], len);
    }
    assert_int_equal(sta_resp_write_command(out, argv, argc), STRATA_OK);
}

/* Quotes and escapes at random: often unbalanced where `loose`. */
static void write_inline(struct sta_buffer *out, uint64_t *seed, bool loose)
{
    static const char *const words[] = {
        "a",         " ",  "\t", "\\",   "x41",    "\"\" ",     "'' ",   "\"a b\"",  "'\\''",
        "\"\\x41\"", "\v", "\f", "\"\\", "\\n\" ", "\"\\xg\" ", "'\"' ", "\xc3\xa9", "\r"};
    char line[256];
    int len = snprintf(line, sizeof(line), "evalsha %s 0 ", echo_sha);
    append(out, line, (size_t)len);
    for (uint64_t n = sta_random_below(seed, 8); n > 0; n--) {
        if (loose) {
            const char *word = words[sta_random_below(seed, sizeof(words) / sizeof(words[0]))];
            append(out, word, strlen(word));
        } else {
            append(out, " \"a \\x00\\n\" 'b' ", 16);
        }
    }
    const char *end = sta_random_below(seed, 2) == 0 ? "\r\n" : "\n";
    append(out, end, strlen(end));
}

static void write_request(struct sta_buffer *out, uint64_t *seed, bool loose)
{
    switch (sta_random_below(seed, 6)) {
    case 0:
        append(out, "*0\r\n", 4);
        break;
    case 1:
        append(out, "\r\n", 2);
        break;
    case 2:
    case 3:
        write_inline(out, seed, loose);
        break;
    default:
        write_array(out, seed);
    }
}

static void damage(struct sta_buffer *out, uint64_t *seed)
{
    static const char bytes[] = "\r\n0123456789-+*$a\"' ";
    size_t len = sta_buffer_len(out);
    if (len == 0)
        return;
    uint8_t *at = out->data + out->head + sta_random_below(seed, len);
    size_t behind = (size_t)(sta_buffer_end(out) - at);
    if (sta_random_below(seed, 2) == 0) {
        *at = (uint8_t)bytes[sta_random_below(seed, sizeof(bytes) - 1)];
    } else {
        memmove(at, at + 1, behind - 1);
        out->tail--;
    }
}

/* ---- the two readings ---- */

static bool is_echo(const struct strata_bytes *argv, size_t argc)
{
    return argc >= 3 && argv[0].len == 7 && strncasecmp(argv[0].data, "evalsha", 7) == 0 &&
           argv[1].len == strlen(echo_sha) && memcmp(argv[1].data, echo_sha, argv[1].len) == 0 &&
           argv[2].len == 1 && *(const char *)argv[2].data == '0';
}

static void expect_echo(struct strata_bytes answer, const struct strata_bytes *argv, size_t argc)
{
    struct sta_resp_walk walk = sta_resp_walk(answer);
    struct sta_resp_value value;
    assert_int_equal(sta_resp_next(&walk, &value), STRATA_OK);
    assert_int_equal(value.type, STA_RESP_ARRAY);
    assert_int_equal(value.count, argc - 3);
    for (size_t i = 3; i < argc; i++) {
        assert_int_equal(sta_resp_next(&walk, &value), STRATA_OK);
        assert_int_equal(value.bytes.len, argv[i].len);
        assert_memory_equal(value.bytes.data, argv[i].data, argv[i].len);
    }
}

struct tally {
    unsigned echoed, refused, waiting, known;
};

/* The next request of ours: STRATA_OK with its arguments, STRATA_MORE, or an error. */
static int next_request(struct strata_bytes *stream, struct strata_bytes *argv, size_t *argc,
                        uint8_t *scratch, const char **reason)
{
    struct sta_resp_request_framer framer = {0};
    size_t len = 0;
    int status =
        sta_resp_frame_request(&framer, &sta_resp_request_limits, true, *stream, &len, reason);
    if (status != STRATA_OK)
        return status;
    struct strata_bytes frame = strata_bytes(stream->data, len);
    *stream = strata_bytes((const uint8_t *)stream->data + len, stream->len - len);
    *reason = "unbalanced quotes in request";
    status = sta_resp_request_count(frame, argc);
    if (status == STRATA_OK) {
        assert_true(*argc <= ARGS_MAX);
        status = sta_resp_request_args(frame, argv, *argc, scratch);
    }
    return status;
}

static bool has_stray_cr_or_zero(struct strata_bytes bytes)
{
    const char *at = bytes.data;
    for (size_t i = 0; i < bytes.len; i++) {
        if (at[i] == '\0' || (at[i] == '\r' && (i + 1 == bytes.len || at[i + 1] != '\n')))
            return true;
    }
    return false;
}

/* The stream ends for us at `rest` with `status`: what does the server say next? */
static void expect_end(struct raw_redis *redis, struct strata_bytes rest, int status,
                       const char *reason, struct tally *tally)
{
    struct sta_buffer answer;
    sta_buffer_init(&answer, 65536);
    bool stricter = status == STRATA_ERR_TOO_BIG || has_stray_cr_or_zero(rest) ||
                    (status < 0 && strcmp(reason, "expected CR LF after bulk") == 0);
    if (stricter) {
        tally->known++;
    } else if (status == STRATA_MORE) {
        tally->waiting++;
        assert_false(raw_redis_receive(redis, &answer));
    } else {
        char due[128];
        int len = snprintf(due, sizeof(due), "-ERR Protocol error: %s", reason);
        if (!raw_redis_receive(redis, &answer))
            fail_msg("the server waits where we refuse: %s", reason);
        assert_true(sta_buffer_len(&answer) >= (size_t)len);
        assert_memory_equal(sta_buffer_bytes(&answer).data, due, len);
        assert_false(raw_redis_receive(redis, &answer));
        tally->refused++;
    }
    sta_buffer_fini(&answer);
}

static void send_in_pieces(struct raw_redis *redis, struct strata_bytes bytes, uint64_t *seed)
{
    const uint8_t *at = bytes.data;
    for (size_t sent = 0; sent < bytes.len;) {
        size_t piece = 1 + sta_random_below(seed, 60);
        piece = piece < bytes.len - sent ? piece : bytes.len - sent;
        raw_redis_send(redis, strata_bytes(at + sent, piece));
        sent += piece;
    }
    raw_redis_finish(redis);
}

static void compare(struct strata_bytes stream, uint64_t *seed, struct tally *tally)
{
    struct raw_redis *redis = raw_redis_connect(redis_server_socket(server), 2);
    struct strata_bytes argv[ARGS_MAX];
    uint8_t *scratch = malloc(stream.len + 1);
    struct sta_buffer answer;
    const char *reason = NULL;
    size_t argc = 0;
    int status;
    sta_buffer_init(&answer, 65536);
    send_in_pieces(redis, stream, seed);
    while ((status = next_request(&stream, argv, &argc, scratch, &reason)) == STRATA_OK) {
        if (argc == 0)
            continue;
        sta_buffer_clear(&answer);
        assert_true(raw_redis_receive(redis, &answer));
        if (is_echo(argv, argc)) {
            expect_echo(sta_buffer_bytes(&answer), argv, argc);
            tally->echoed++;
        }
    }
    expect_end(redis, stream, status, reason, tally);
    sta_buffer_fini(&answer);
    free(scratch);
    raw_redis_close(&redis);
}

/* ---- the tests ---- */

static void run(unsigned streams, bool loose, unsigned damages, uint64_t seed, struct tally *tally)
{
    struct sta_buffer out;
    sta_buffer_init(&out, 1u << 20);
    for (unsigned i = 0; i < streams; i++) {
        sta_buffer_clear(&out);
        for (uint64_t n = 1 + sta_random_below(&seed, 6); n > 0; n--)
            write_request(&out, &seed, loose);
        for (unsigned n = 0; n < damages; n++)
            damage(&out, &seed);
        if (damages > 0) /* so that a damaged line ends, and Redis looks at it */
            append(&out, "\r\n", 2);
        compare(sta_buffer_bytes(&out), &seed, tally);
    }
    sta_buffer_fini(&out);
}

static void well_formed_pipelines_have_the_same_arguments(void **state)
{
    (void)state;
    struct tally tally = {0};
    run(1000, false, 0, 7, &tally);
    assert_true(tally.echoed > 1000);
    assert_int_equal(tally.refused + tally.known, 0);
    assert_int_equal(tally.waiting, 1000); /* each ends where a next request may begin */
}

static void inline_commands_are_split_alike(void **state)
{
    (void)state;
    struct tally tally = {0};
    run(3000, true, 0, 8, &tally);
    assert_true(tally.echoed > 1000 && tally.refused > 500);
}

static void damaged_pipelines_are_refused_alike(void **state)
{
    (void)state;
    struct tally tally = {0};
    run(3000, true, 1, 9, &tally);
    run(1000, false, 3, 10, &tally);
    print_message("echoed %u, refused %u, waiting %u, known differences %u\n", tally.echoed,
                  tally.refused, tally.waiting, tally.known);
    assert_true(tally.echoed > 1000 && tally.refused > 500 && tally.waiting > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_pipelines_have_the_same_arguments),
        cmocka_unit_test(inline_commands_are_split_alike),
        cmocka_unit_test(damaged_pipelines_are_refused_alike),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
