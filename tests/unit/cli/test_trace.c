/* SPDX-License-Identifier: MIT
 *
 * cli/trace: records come out as they went in, and damage is named with its place.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "cli/trace.h"
#include "core/random.h"

enum { RECORDS = 100000, RECORD_LEN = 12 };

static char path[] = "/tmp/strata-test-trace-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* The n-th record of every trace here; spread out, so that zstd has something to keep. */
static struct cli_trace_record record_at(uint64_t n)
{
    uint64_t state = n / 3;
    uint64_t key = sta_random_next(&state);
    return (struct cli_trace_record){.key = key, .size = (uint32_t)(key >> 13)};
}

/* Packs `len` bytes of records into one zstd frame with a checksum; the caller frees. */
static uint8_t *pack(size_t len, int window_log, size_t *packed_len)
{
    uint8_t *plain = calloc(len / RECORD_LEN + 1, RECORD_LEN);
    size_t bound = ZSTD_compressBound(len);
    uint8_t *packed = malloc(bound);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    assert_true(plain != NULL && packed != NULL && zstd != NULL);
    for (size_t n = 0; n <= len / RECORD_LEN; n++) {
        struct cli_trace_record record = record_at(n);
        uint64_t key = htole64(record.key);
        uint32_t size = htole32(record.size);
        memcpy(plain + n * RECORD_LEN, &key, sizeof key);
        memcpy(plain + n * RECORD_LEN + sizeof key, &size, sizeof size);
    }
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, window_log);
    ZSTD_outBuffer out = {packed, bound, 0};
    ZSTD_inBuffer in = {plain, len, 0};
    /* In two steps, so that zstd does not know the size and keeps the window as told. */
    (void)ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_continue);
    assert_int_equal(ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_end), 0);
    ZSTD_freeCCtx(zstd);
    free(plain);
    *packed_len = out.pos;
    return packed;
}

/* Reads the file to its end, comparing with record_at() from `first` on. */
static int read_all(uint64_t *count, struct strata_error *error)
{
    struct cli_trace *trace = NULL;
    struct cli_trace_record record;
    assert_int_equal(cli_trace_open(&trace, path, error), STRATA_OK);
    int status;
    for (*count = 0; (status = cli_trace_next(trace, &record, error)) == STRATA_OK; ++*count) {
        struct cli_trace_record expected = record_at(*count % RECORDS);
        assert_true(record.key == expected.key && record.size == expected.size);
    }
    /* The end and an error stay what they are. */
    assert_int_equal(cli_trace_next(trace, &record, error), status);
    cli_trace_close(&trace);
    assert_null(trace);
    return status;
}

static void records_come_out_as_they_went_in(void **state)
{
    (void)state;
    size_t len;
    uint64_t count;
    uint8_t *packed = pack((size_t)RECORDS * RECORD_LEN, 20, &len);
    write_file(packed, len);
    assert_int_equal(read_all(&count, NULL), STRATA_MISS);
    assert_int_equal(count, RECORDS);
    free(packed);
}

static void frames_may_follow_one_another(void **state)
{
    (void)state;
    size_t len;
    uint64_t count;
    uint8_t *packed = pack((size_t)RECORDS * RECORD_LEN, 20, &len);
    uint8_t *twice = malloc(2 * len);
    assert_non_null(twice);
    memcpy(twice, packed, len);
    memcpy(twice + len, packed, len);
    write_file(twice, 2 * len);
    assert_int_equal(read_all(&count, NULL), STRATA_MISS);
    assert_int_equal(count, 2 * RECORDS);
    free(twice);
    free(packed);
}

static void a_window_of_128_mib_is_accepted_and_a_larger_one_refused(void **state)
{
    (void)state;
    size_t len;
    uint64_t count;
    struct strata_error error;
    uint8_t *packed = pack((size_t)RECORDS * RECORD_LEN, 27, &len);
    write_file(packed, len);
    assert_int_equal(read_all(&count, NULL), STRATA_MISS);
    assert_int_equal(count, RECORDS);
    free(packed);
    packed = pack((size_t)RECORDS * RECORD_LEN, 28, &len);
    write_file(packed, len);
    assert_int_equal(read_all(&count, &error), STRATA_ERR_PROTOCOL);
    assert_int_equal(count, 0);
    free(packed);
}

static void a_frame_of_no_records_ends_at_once(void **state)
{
    (void)state;
    size_t len;
    uint64_t count;
    uint8_t *packed = pack(0, 20, &len);
    write_file(packed, len);
    assert_int_equal(read_all(&count, NULL), STRATA_MISS);
    assert_int_equal(count, 0);
    free(packed);
}

static void an_empty_file_is_no_trace(void **state)
{
    (void)state;
    uint64_t count;
    struct strata_error error;
    write_file("", 0);
    assert_int_equal(read_all(&count, &error), STRATA_ERR_PROTOCOL);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, "empty"));
}

static void a_file_of_something_else_is_no_trace(void **state)
{
    (void)state;
    uint64_t count;
    struct strata_error error;
    write_file("12,1\n13,1\n14,1\n", 15);
    assert_int_equal(read_all(&count, &error), STRATA_ERR_PROTOCOL);
    assert_int_equal(count, 0);
    assert_non_null(strstr(error.text, "at byte 0 of 15"));
}

static void a_truncated_file_gives_its_records_and_then_the_place(void **state)
{
    (void)state;
    size_t len;
    uint8_t *packed = pack((size_t)RECORDS * RECORD_LEN, 20, &len);
    const size_t cuts[] = {1, 3, 10, len / 3, len / 2, len - 5, len - 4, len - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        uint64_t count;
        char place[64];
        struct strata_error error = {0};
        write_file(packed, cuts[i]);
        assert_int_equal(read_all(&count, &error), STRATA_ERR_PROTOCOL);
        (void)snprintf(place, sizeof place, "zstd stream, at byte %zu of %zu", cuts[i], cuts[i]);
        assert_non_null(strstr(error.text, path));
        assert_non_null(strstr(error.text, place));
        assert_true(cuts[i] < len / 3 || count > 0);
    }
    free(packed);
}

static void a_part_of_a_record_at_the_end_is_an_error(void **state)
{
    (void)state;
    size_t len;
    uint64_t count;
    struct strata_error error = {0};
    uint8_t *packed = pack((size_t)RECORDS * RECORD_LEN + 7, 20, &len);
    write_file(packed, len);
    assert_int_equal(read_all(&count, &error), STRATA_ERR_PROTOCOL);
    assert_int_equal(count, RECORDS);
    assert_non_null(strstr(error.text, "middle of a record"));
    free(packed);
}

static void a_flipped_bit_is_noticed_at_the_end_at_the_latest_or_harmless(void **state)
{
    (void)state;
    size_t len;
    uint8_t *packed = pack((size_t)2000 * RECORD_LEN, 20, &len);
    struct cli_trace_record record;
    for (size_t at = 0; at < len; at += 1 + len / 300) {
        struct strata_error error = {0};
        struct cli_trace *trace = NULL;
        bool wrong = false;
        packed[at] ^= 0x10;
        write_file(packed, len);
        assert_int_equal(cli_trace_open(&trace, path, &error), STRATA_OK);
        int status;
        uint64_t count = 0;
        for (; (status = cli_trace_next(trace, &record, &error)) == STRATA_OK; count++) {
            struct cli_trace_record expected = record_at(count);
            wrong = wrong || record.key != expected.key || record.size != expected.size;
        }
        /* zstd's format has bits without meaning. */
        assert_true(status < 0 || (!wrong && count == 2000));
        assert_true(status == STRATA_MISS || strstr(error.text, "at byte ") != NULL);
        cli_trace_close(&trace);
        packed[at] ^= 0x10;
    }
    free(packed);
}

static void what_cannot_be_opened_is_named(void **state)
{
    (void)state;
    struct cli_trace *trace = NULL;
    struct strata_error error;
    assert_int_equal(cli_trace_open(&trace, "/nonexistent/x.zst", &error), STRATA_ERR_SYSTEM);
    assert_string_equal(error.text, "/nonexistent/x.zst: No such file or directory");
    assert_int_equal(cli_trace_open(&trace, "/tmp", &error), STRATA_ERR_SYSTEM);
    assert_string_equal(error.text, "/tmp: not a regular file");
    assert_null(trace);
}

static void the_shipped_trace_has_what_its_description_says(void **state)
{
    (void)state;
    struct cli_trace *trace = NULL;
    struct cli_trace_record record;
    const char *shipped = STRATA_SOURCE_DIR "/bench/traces/orm_busy.rks.zst";
    assert_int_equal(cli_trace_open(&trace, shipped, NULL), STRATA_OK);
    assert_int_equal(cli_trace_next(trace, &record, NULL), STRATA_OK);
    assert_int_equal(record.key, 0x10000f0);
    uint64_t count = 1;
    while (cli_trace_next(trace, &record, NULL) == STRATA_OK) {
        assert_int_equal(record.size, 1);
        count++;
    }
    assert_int_equal(count, 5000000);
    assert_true(cli_trace_progress(trace) == 1.0);
    cli_trace_close(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_went_in),
        cmocka_unit_test(frames_may_follow_one_another),
        cmocka_unit_test(a_window_of_128_mib_is_accepted_and_a_larger_one_refused),
        cmocka_unit_test(a_frame_of_no_records_ends_at_once),
        cmocka_unit_test(an_empty_file_is_no_trace),
        cmocka_unit_test(a_file_of_something_else_is_no_trace),
        cmocka_unit_test(a_truncated_file_gives_its_records_and_then_the_place),
        cmocka_unit_test(a_part_of_a_record_at_the_end_is_an_error),
        cmocka_unit_test(a_flipped_bit_is_noticed_at_the_end_at_the_latest_or_harmless),
        cmocka_unit_test(what_cannot_be_opened_is_named),
        cmocka_unit_test(the_shipped_trace_has_what_its_description_says),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
