/* SPDX-License-Identifier: MIT
 *
 * A hot set that is saved and read again: whole, torn at every byte, with every bit flipped, of
 * another version; what is saved, in which order, and what of it where there is a bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/hot_file.h"
#include "cache/hot_set.h"
#include "core/clock.h"
#include "core/crc32c.h"
#include "support/fail_alloc.h"

static char folder[] = "/tmp/strata-hot-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/hot", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder); /* fails where something was left beside */
}

/* ---- a tier, and what was saved of it ---- */

static struct sta_l1 *create_l1(void)
{
    struct sta_l1 *l1 = NULL;
    const struct sta_l1_config config = {.max_bytes = 4 << 20, .hash_seed = 1};
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    return l1;
}

static void put(struct sta_l1 *l1, const char *name, const char *value, uint64_t deadline_ms,
                uint8_t flags, unsigned reads)
{
    struct sta_key key = sta_l1_key(l1, strata_text(name));
    const struct sta_l1_entry entry = {strata_text(value), deadline_ms, flags};
    struct sta_l1_lease lease;
    uint64_t now_ms = sta_clock_now_ms();
    assert_int_equal(sta_l1_set(l1, &key, &entry, now_ms), STRATA_OK);
    for (unsigned i = 0; i < reads; i++) {
        assert_int_equal(sta_l1_get(l1, &key, now_ms, &lease), STRATA_OK);
        sta_l1_release(l1, &lease);
    }
}

static uint64_t save(struct sta_l1 *l1, struct sta_hot_bounds bounds)
{
    uint64_t saved = 0;
    struct strata_error error = {.text = ""};
    if (bounds.max_keys == 0)
        bounds.max_keys = UINT64_MAX;
    if (bounds.max_bytes == 0)
        bounds.max_bytes = STA_HOT_BYTES_DEFAULT;
    if (sta_hot_set_save(l1, path, &bounds, &saved, &error) != STRATA_OK)
        fail_msg("%s", error.text);
    return saved;
}

struct found {
    char key[32];
    char value[32];
    uint64_t ttl_ms;
    uint8_t heat;
};

static void open_saved(struct sta_hot_reader *reader)
{
    struct strata_error error = {.text = ""};
    if (sta_hot_reader_open(reader, path, &error) != STRATA_OK)
        fail_msg("%s", error.text);
}

/* All of the file's records, `most` at most; *status is what ended them. */
static size_t read_some(struct sta_hot_reader *reader, struct found *found, size_t most,
                        int *status)
{
    struct sta_hot_record record;
    size_t count = 0;
    while ((*status = sta_hot_reader_next(reader, &record)) == STRATA_OK) {
        assert_true(count < most);
        struct found *next = &found[count++];
        *next = (struct found){.ttl_ms = record.ttl_ms, .heat = record.heat};
        assert_true(record.key.len < sizeof next->key && record.value.len < sizeof next->value);
        memcpy(next->key, record.key.data, record.key.len);
        memcpy(next->value, record.value.data, record.value.len);
    }
    sta_hot_reader_fini(reader);
    return count;
}

static size_t read_all(struct found *found, size_t most)
{
    struct sta_hot_reader reader;
    int status;
    open_saved(&reader);
    size_t count = read_some(&reader, found, most, &status);
    assert_int_equal(status, STRATA_MISS);
    return count;
}

/* ---- what is saved ---- */

static void keys_are_saved_the_hottest_first(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    struct found found[8];
    put(l1, "cold", "v", STA_NEVER, 0, 0);
    put(l1, "hot", "v", STA_NEVER, 0, 3);
    put(l1, "warm", "v", STA_NEVER, 0, 1);
    assert_int_equal(save(l1, (struct sta_hot_bounds){0}), 3);
    assert_int_equal(read_all(found, 8), 3);
    assert_string_equal(found[0].key, "hot");
    assert_string_equal(found[1].key, "warm");
    assert_string_equal(found[2].key, "cold");
    assert_true(found[0].heat > found[1].heat && found[1].heat > found[2].heat);
    assert_string_equal(found[0].value, "");
    sta_l1_destroy(&l1);
}

static void what_is_in_the_main_queue_is_hotter_than_its_like(void **state)
{
    (void)state;
    struct sta_l1 *l1 = NULL;
    const struct sta_l1_config config = {.max_bytes = 1 << 20, .max_entries = 50, .hash_seed = 1};
    struct found found[64];
    char name[32];
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    put(l1, "promoted", "v", STA_NEVER, 0, 3);
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof name, "new:%u", i);
        put(l1, name, "v", STA_NEVER, 0, 0);
    }
    assert_true(save(l1, (struct sta_hot_bounds){0}) <= 50);
    assert_true(read_all(found, 64) > 1);
    assert_string_equal(found[0].key, "promoted");
    assert_int_equal(found[0].heat % 2, 1);
    sta_l1_destroy(&l1);
}

static void values_are_saved_with_what_is_left_of_their_time(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    struct found found[8];
    put(l1, "ends", "a", sta_clock_now_ms() + 3600000, 0, 3);
    put(l1, "stays", "b", STA_NEVER, 0, 0);
    put(l1, "is no plain value", "c", STA_NEVER, 4, 0);
    assert_int_equal(save(l1, (struct sta_hot_bounds){.values = true}), 2);
    assert_int_equal(read_all(found, 8), 2);
    assert_string_equal(found[0].value, "a");
    assert_true(found[0].ttl_ms <= 3600000 && found[0].ttl_ms > 3000000);
    assert_string_equal(found[1].value, "b");
    assert_true(found[1].ttl_ms == STA_NEVER);
    sta_l1_destroy(&l1);
}

static void what_nobody_wants_again_is_left_out(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    struct found found[8];
    put(l1, "there", "v", STA_NEVER, 0, 0);
    put(l1, "absent", "", STA_NEVER, 1, 3);
    put(l1, "k:strata-lease", "v", STA_NEVER, 0, 3);
    put(l1, "over", "v", sta_clock_now_ms() + 1, 0, 0);
    uint64_t until_ms = sta_clock_now_ms() + 2;
    while (sta_clock_now_ms() < until_ms)
        (void)usleep(500);
    assert_int_equal(save(l1, (struct sta_hot_bounds){.no_flags = 1}), 1);
    assert_int_equal(read_all(found, 8), 1);
    assert_string_equal(found[0].key, "there");
    sta_l1_destroy(&l1);
}

static void past_a_bound_the_coldest_go(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    struct found found[32];
    char name[32];
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "%s:%02u", i % 10 == 0 ? "hot" : "cold", i);
        put(l1, name, "v", STA_NEVER, 0, i % 10 == 0 ? 3 : 0);
    }
    assert_int_equal(save(l1, (struct sta_hot_bounds){.max_keys = 15}), 15);
    assert_int_equal(read_all(found, 32), 15);
    for (unsigned i = 0; i < 15; i++)
        assert_int_equal(strncmp(found[i].key, "hot", 3) == 0, i < 10);
    uint64_t by_bytes = save(l1, (struct sta_hot_bounds){.max_bytes = 15 * 26 + 4});
    assert_true(by_bytes >= 14 && by_bytes <= 15);
    assert_int_equal(read_all(found, 32), by_bytes);
    for (unsigned i = 0; i < by_bytes; i++)
        assert_int_equal(strncmp(found[i].key, "hot", 3) == 0, i < 10);
    sta_l1_destroy(&l1);
}

static void an_empty_tier_is_an_empty_file(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    struct found found[1];
    assert_int_equal(save(l1, (struct sta_hot_bounds){0}), 0);
    assert_int_equal(read_all(found, 1), 0);
    sta_l1_destroy(&l1);
}

/* ---- what is read ---- */

/* The bytes of a file with three records, of which one has a long value; *ends is where each
 * ends. */
static size_t sample(uint8_t bytes[512], size_t ends[4])
{
    static const struct sta_hot_record records[] = {
        {7, STA_NEVER, {"first", 5}, {"a value", 7}},
        {3, 60000, {"second", 6}, {"", 0}},
        {0, 1, {"k", 1}, {"last value of all", 17}},
    };
    const struct sta_hot_head head = {.values = true, .wall_ms = 1700000000000, .count = 3};
    struct sta_buffer out;
    sta_buffer_init(&out, 512);
    sta_hot_head_write(&head, bytes);
    ends[0] = STA_HOT_HEAD_LEN;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(sta_hot_record_append(&out, &records[i]), STRATA_OK);
        ends[i + 1] = STA_HOT_HEAD_LEN + sta_buffer_len(&out);
    }
    size_t len = sta_buffer_len(&out);
    memcpy(bytes + STA_HOT_HEAD_LEN, sta_buffer_bytes(&out).data, len);
    sta_buffer_fini(&out);
    return STA_HOT_HEAD_LEN + len;
}

/* Opens what is in memory. */
static int open_bytes(struct sta_hot_reader *reader, uint8_t *bytes, size_t len,
                      struct strata_error *error)
{
    FILE *file = len > 0 ? fmemopen(bytes, len, "rb") : fopen("/dev/null", "rb");
    assert_non_null(file);
    return sta_hot_reader_init(reader, file, "the file", error);
}

/* So many records, and then `expected`. */
static void assert_reads(uint8_t *bytes, size_t len, size_t records, int expected)
{
    struct sta_hot_reader reader;
    struct found found[4];
    int status;
    assert_int_equal(open_bytes(&reader, bytes, len, NULL), STRATA_OK);
    assert_int_equal(read_some(&reader, found, 4, &status), records);
    assert_int_equal(status, expected);
    if (records > 0)
        assert_string_equal(found[0].value, "a value");
}

static void assert_refused(uint8_t *bytes, size_t len, int expected, const char *text)
{
    struct sta_hot_reader reader;
    struct strata_error error = {.text = ""};
    assert_int_equal(open_bytes(&reader, bytes, len, &error), expected);
    if (strstr(error.text, text) == NULL || strncmp(error.text, "the file: ", 10) != 0)
        fail_msg("'%s' has no '%s'", error.text, text);
}

static void cut_anywhere_it_is_read_up_to_the_cut(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[4], len = sample(bytes, ends);
    for (size_t cut = 0; cut < 8; cut++)
        assert_refused(bytes, cut, STRATA_ERR_INVALID, "not a saved hot set");
    for (size_t cut = 8; cut < STA_HOT_HEAD_LEN; cut++)
        assert_refused(bytes, cut, STRATA_ERR_INVALID, "cut off");
    for (size_t cut = STA_HOT_HEAD_LEN; cut < len; cut++) {
        size_t whole = 0;
        while (ends[whole + 1] <= cut)
            whole++;
        assert_reads(bytes, cut, whole, STRATA_ERR_PROTOCOL);
    }
    assert_reads(bytes, len, 3, STRATA_MISS);
    bytes[len] = 0;
    assert_reads(bytes, len + 1, 3, STRATA_ERR_PROTOCOL);
}

static void a_flipped_bit_anywhere_is_noticed(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[4], len = sample(bytes, ends);
    struct sta_hot_reader reader;
    for (size_t bit = 0; bit < STA_HOT_HEAD_LEN * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(open_bytes(&reader, bytes, len, NULL) < 0);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = STA_HOT_HEAD_LEN * 8; bit < len * 8; bit++) {
        size_t whole = 0;
        while (ends[whole + 1] <= bit / 8)
            whole++;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_reads(bytes, len, whole, STRATA_ERR_PROTOCOL);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A record that is a frame alone, of a length that no record has, under a right checksum. */
static void a_length_that_no_record_has_is_none(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 11, UINT32_MAX};
    uint8_t bytes[512];
    size_t ends[4];
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        (void)sample(bytes, ends);
        uint8_t *frame = bytes + ends[1];
        for (unsigned k = 0; k < 4; k++)
            frame[4 + k] = (uint8_t)(lengths[i] >> (8 * k));
        uint32_t crc = sta_crc32c(0, strata_bytes(frame + 4, 4));
        for (unsigned k = 0; k < 4; k++)
            frame[k] = (uint8_t)(crc >> (8 * k));
        assert_reads(bytes, ends[1] + 8, 1, STRATA_ERR_PROTOCOL);
    }
}

/* With the checksum put right. */
static void set_head(uint8_t *bytes, size_t at, uint8_t value)
{
    bytes[at] = value;
    uint32_t crc = sta_crc32c(0, strata_bytes(bytes, STA_HOT_HEAD_LEN - 4));
    for (unsigned i = 0; i < 4; i++)
        bytes[STA_HOT_HEAD_LEN - 4 + i] = (uint8_t)(crc >> (8 * i));
}

static void other_files_are_refused_and_it_is_said_why(void **state)
{
    (void)state;
    uint8_t bytes[512], other[] = "REDIS0011 and some more bytes, of which there are enough";
    size_t ends[4], len = sample(bytes, ends);
    assert_refused(other, sizeof other, STRATA_ERR_INVALID, "not a saved hot set");
    set_head(bytes, 8, 2);
    assert_refused(bytes, len, STRATA_ERR_UNSUPPORTED,
                   "of version 2; this program reads version 1");
    set_head(bytes, 8, 1);
    set_head(bytes, 12, 2); /* records have what nobody knows */
    assert_refused(bytes, len, STRATA_ERR_INVALID, "damaged");
    set_head(bytes, 12, 0); /* keys alone: then these are none of its records */
    assert_reads(bytes, len, 0, STRATA_ERR_PROTOCOL);
    set_head(bytes, 12, 1);
    assert_reads(bytes, len, 3, STRATA_MISS);
    struct sta_hot_reader reader;
    struct strata_error error = {.text = ""};
    assert_int_equal(sta_hot_reader_open(&reader, "/nowhere/hot", &error), STRATA_ERR_SYSTEM);
    assert_non_null(strstr(error.text, "/nowhere/hot: cannot be opened: No such file"));
}

static void what_is_left_of_a_ttl_goes_by_the_clock_of_the_wall(void **state)
{
    (void)state;
    const struct sta_hot_head head = {.wall_ms = 1000};
    struct sta_hot_record record = {.ttl_ms = 500};
    assert_int_equal(sta_hot_record_left_ms(&head, &record, 1000), 500);
    assert_int_equal(sta_hot_record_left_ms(&head, &record, 1200), 300);
    assert_int_equal(sta_hot_record_left_ms(&head, &record, 1500), 0);
    assert_int_equal(sta_hot_record_left_ms(&head, &record, 10), 500);
    record.ttl_ms = STA_NEVER;
    assert_true(sta_hot_record_left_ms(&head, &record, 99999) == STA_NEVER);
}

/* ---- what cannot be written ---- */

/* Beside `path` and its folder's own. */
static unsigned files_beside(void)
{
    unsigned count = 0;
    const struct dirent *entry;
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    while ((entry = readdir(listing)) != NULL)
        count += strncmp(entry->d_name, "hot.", 4) == 0;
    (void)closedir(listing);
    return count;
}

static void a_file_that_cannot_be_written_leaves_the_old_one(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    struct found found[8];
    struct strata_error error = {.text = ""};
    const struct sta_hot_bounds bounds = {.max_keys = UINT64_MAX, .max_bytes = 1 << 20};
    char below[96];
    uint64_t saved = 77;
    put(l1, "k", "v", STA_NEVER, 0, 0);
    assert_int_equal(save(l1, bounds), 1);
    (void)snprintf(below, sizeof below, "%s/none/hot", folder);
    assert_int_equal(sta_hot_set_save(l1, below, &bounds, &saved, &error), STRATA_ERR_SYSTEM);
    assert_non_null(strstr(error.text, "none/hot: cannot be written: No such file"));
    /* What is there is a folder: all is written, and the last step fails. */
    (void)snprintf(below, sizeof below, "%s/hot.folder", folder);
    assert_int_equal(mkdir(below, 0700), 0);
    assert_int_equal(sta_hot_set_save(l1, below, &bounds, &saved, &error), STRATA_ERR_SYSTEM);
    assert_int_equal(rmdir(below), 0);
    assert_int_equal(files_beside(), 0);
    assert_int_equal(saved, 77);
    assert_int_equal(read_all(found, 8), 1);
    sta_l1_destroy(&l1);
}

/* It would hold up who opens it, or be replaced by what is saved. */
static void what_is_no_regular_file_is_neither_read_nor_replaced(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    struct sta_hot_reader reader;
    const struct sta_hot_bounds bounds = {.max_keys = UINT64_MAX, .max_bytes = 1 << 20};
    struct strata_error error;
    char fifo[96];
    uint64_t saved = 77;
    (void)snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    put(l1, "k", "v", STA_NEVER, 0, 0);
    const char *const paths[] = {fifo, "/dev/zero", "/dev/null"};
    for (size_t i = 0; i < 3; i++) {
        struct stat found;
        if (i < 2) { /* /dev/null may be read. */
            assert_int_equal(sta_hot_reader_open(&reader, paths[i], &error), STRATA_ERR_SYSTEM);
            assert_non_null(strstr(error.text, ": cannot be opened: Not a regular file"));
        }
        assert_int_equal(sta_hot_file_try(paths[i], &error), STRATA_ERR_SYSTEM);
        assert_non_null(strstr(error.text, ": cannot be written: Not a regular file"));
        /* The devices are the machine's: try() has shown that they are refused. */
        if (i == 0)
            assert_int_equal(sta_hot_set_save(l1, paths[i], &bounds, &saved, &error),
                             STRATA_ERR_SYSTEM);
        assert_int_equal(stat(paths[i], &found), 0);
        assert_false(S_ISREG(found.st_mode));
    }
    assert_int_equal(sta_hot_reader_open(&reader, folder, &error), STRATA_ERR_SYSTEM);
    assert_non_null(strstr(error.text, ": cannot be opened: Is a directory"));
    assert_int_equal(saved, 77);
    assert_int_equal(unlink(fifo), 0);
    sta_l1_destroy(&l1);
}

/* As a user who has no right to it, be the test root's or not. */
static void what_may_not_be_read_is_said(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    struct sta_hot_reader reader;
    const struct sta_hot_bounds bounds = {.max_keys = UINT64_MAX, .max_bytes = 1 << 20};
    struct strata_error error = {0};
    uint64_t saved;
    const uid_t user = geteuid();
    put(l1, "k", "v", STA_NEVER, 0, 0);
    assert_int_equal(sta_hot_set_save(l1, path, &bounds, &saved, &error), STRATA_OK);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(path, 0), 0);
    if (user == 0)
        assert_int_equal(seteuid(65534), 0);
    int status = sta_hot_reader_open(&reader, path, &error);
    if (user == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(status, STRATA_ERR_SYSTEM);
    assert_non_null(strstr(error.text, "/hot: cannot be opened: Permission denied"));
    sta_l1_destroy(&l1);
}

static void nothing_is_left_where_memory_is_out(void **state)
{
    (void)state;
    struct sta_l1 *l1 = create_l1();
    const struct sta_hot_bounds bounds = {.max_keys = UINT64_MAX, .max_bytes = 1 << 20};
    struct sta_hot_reader reader;
    struct found found[8];
    uint64_t saved = 0, failures = 0;
    int status;
    put(l1, "k", "v", STA_NEVER, 0, 0);
    assert_int_equal(save(l1, bounds), 1);
    put(l1, "l", "v", STA_NEVER, 0, 0);
    for (uint64_t n = 1;; n++, failures++) {
        fail_alloc_at(n);
        status = sta_hot_set_save(l1, path, &bounds, &saved, NULL);
        if (!fail_alloc_end())
            break;
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_int_equal(read_all(found, 8), 1);
    }
    assert_int_equal(status, STRATA_OK);
    assert_true(failures > 2);
    open_saved(&reader);
    fail_alloc_at(1);
    size_t count = read_some(&reader, found, 8, &status);
    assert_true(fail_alloc_end());
    assert_int_equal(status, STRATA_ERR_NOMEM);
    assert_int_equal(count, 0);
    sta_l1_destroy(&l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_saved_the_hottest_first),
        cmocka_unit_test(what_is_in_the_main_queue_is_hotter_than_its_like),
        cmocka_unit_test(values_are_saved_with_what_is_left_of_their_time),
        cmocka_unit_test(what_nobody_wants_again_is_left_out),
        cmocka_unit_test(past_a_bound_the_coldest_go),
        cmocka_unit_test(an_empty_tier_is_an_empty_file),
        cmocka_unit_test(cut_anywhere_it_is_read_up_to_the_cut),
        cmocka_unit_test(a_flipped_bit_anywhere_is_noticed),
        cmocka_unit_test(a_length_that_no_record_has_is_none),
        cmocka_unit_test(other_files_are_refused_and_it_is_said_why),
        cmocka_unit_test(what_is_left_of_a_ttl_goes_by_the_clock_of_the_wall),
        cmocka_unit_test(a_file_that_cannot_be_written_leaves_the_old_one),
        cmocka_unit_test(what_is_no_regular_file_is_neither_read_nor_replaced),
        cmocka_unit_test(what_may_not_be_read_is_said),
        cmocka_unit_test(nothing_is_left_where_memory_is_out),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
