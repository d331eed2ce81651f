/* SPDX-License-Identifier: MIT
 *
 * A thousand journals as crashes, disks and file systems may leave them: segments of random records
 * that end too early, or have other bytes than those that were written from somewhere on. Of each
 * segment exactly what stands before the first wrong byte is replayed, in order, and the tear is
 * told of. An image that fails is named by its number; it is the same in each run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/journal.h"
#include "core/clock.h"
#include "core/random.h"
#include "strata/status.h"
#include "support/long_form.h"

#define IMAGES        1000u
#define SEGMENTS_MOST 3u
#define RECORDS_MOST  12u
#define VALUE_MOST    6000u
#define SECTOR        512u

struct image {
    unsigned number;
    uint64_t random;
    const char *directory;
    uint64_t expected[SEGMENTS_MOST * RECORDS_MOST]; /* versions that must come back, in order */
    unsigned expected_count;
    unsigned replayed;
    unsigned torn; /* segments that must be told of */
    unsigned told;
};

static unsigned draw(struct image *image, size_t below)
{
    return (unsigned)sta_random_below(&image->random, below);
}

/* ---- records, each of which follows from its version ---- */

static struct sta_journal_record record_of(uint64_t version)
{
    static char key[32], value[VALUE_MOST];
    uint64_t random = version;
    enum sta_journal_type type = STA_JOURNAL_SET + (unsigned)sta_random_below(&random, 3);
    bool large = sta_random_below(&random, 8) == 0;
    size_t len = (size_t)sta_random_below(&random, large ? VALUE_MOST : 200);
    bool zeros = sta_random_below(&random, 4) == 0; /* as what a hole in a file reads as */
    for (size_t i = 0; i < len; i++)
        value[i] = zeros ? 0 : (char)sta_random_next(&random);
    (void)snprintf(key, sizeof key, "k%llu", (unsigned long long)(version % 7));
    return (struct sta_journal_record){
        .type = type,
        .version = version,
        .ttl_ms = type == STA_JOURNAL_SET && large ? 5000 : STA_NEVER,
        .wall_ms = 1700000000000 + version,
        .key = strata_text(key),
        .value = strata_bytes(value, type == STA_JOURNAL_SET ? len : 0),
    };
}

static bool is_same(const struct sta_journal_record *a, const struct sta_journal_record *b)
{
    return a->type == b->type && a->version == b->version && a->key.len == b->key.len &&
           memcmp(a->key.data, b->key.data, a->key.len) == 0 && a->value.len == b->value.len &&
           (a->value.len == 0 || memcmp(a->value.data, b->value.data, a->value.len) == 0) &&
           (a->type != STA_JOURNAL_SET || (a->ttl_ms == b->ttl_ms && a->wall_ms == b->wall_ms));
}

static int on_replayed(void *arg, const struct sta_journal_record *record)
{
    struct image *image = arg;
    if (image->replayed == image->expected_count)
        fail_msg("image %u: version %llu is replayed past the tear", image->number,
                 (unsigned long long)record->version);
    struct sta_journal_record expected = record_of(image->expected[image->replayed]);
    if (!is_same(record, &expected))
        fail_msg("image %u: record %u is not the one that was written", image->number,
                 image->replayed);
    image->replayed++;
    return STRATA_OK;
}

/* ---- what happens to a segment ---- */

static void random_bytes(struct image *image, uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)draw(image, 256);
}

/* Works on bytes[0 .. *len); there is room for a sector more. */
static void damage(struct image *image, uint8_t *bytes, size_t *len)
{
    size_t at = draw(image, *len + 1);
    size_t left = *len - at;
    size_t part = left < SECTOR ? left : SECTOR;
    switch (draw(image, 6)) {
    case 0: /* cut: what was after it never reached the disk */
        *len = at;
        break;
    case 1: /* a file system that knew the length, and lost the bytes */
        memset(bytes + at, 0, left);
        break;
    case 2: /* one sector of it */
        memset(bytes + at, 0, part);
        break;
    case 3: /* other bytes: of a file that was there before */
        random_bytes(image, bytes + at, left);
        break;
    case 4: /* a bit; whole records stand behind it */
        if (left > 0)
            bytes[at] ^= (uint8_t)(1u << draw(image, 8));
        break;
    default: /* something behind the end */
        random_bytes(image, bytes + *len, SECTOR);
        *len += SECTOR;
    }
}

static size_t first_difference(struct strata_bytes was, const uint8_t *is, size_t is_len)
{
    const uint8_t *bytes = was.data;
    size_t most = was.len < is_len ? was.len : is_len;
    size_t at = 0;
    while (at < most && bytes[at] == is[at])
        at++;
    return at;
}

/* What must come of it. `ends[i]` is where record i ends, ends[-1] the head. */
static void expect(struct image *image, uint64_t first_version, const size_t *ends, unsigned count,
                   size_t good, size_t len)
{
    size_t end = good >= ends[0] ? ends[0] : 0;
    for (unsigned i = 1; i <= count && ends[i] <= good; i++) {
        image->expected[image->expected_count++] = first_version + i - 1;
        end = ends[i];
    }
    image->torn += len != end;
}

static void segment_path(const struct image *image, unsigned segment, char path[static 128])
{
    (void)snprintf(path, 128, "%s/%016x.journal", image->directory, segment + 1);
}

static void write_file(const struct image *image, unsigned segment, const uint8_t *bytes,
                       size_t len)
{
    char path[128];
    segment_path(image, segment, path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void leave_segment(struct image *image, unsigned segment, uint64_t *version)
{
    struct sta_buffer whole;
    size_t ends[1 + RECORDS_MOST] = {STA_JOURNAL_HEAD_LEN};
    unsigned count = draw(image, RECORDS_MOST + 1);
    uint64_t first_version = *version;
    sta_buffer_init(&whole, SIZE_MAX);
    assert_int_equal(sta_buffer_append(&whole, strata_text(STA_JOURNAL_HEAD)), STRATA_OK);
    for (unsigned i = 1; i <= count; i++) {
        struct sta_journal_record record = record_of((*version)++);
        assert_int_equal(sta_journal_record_append(&whole, &record), STRATA_OK);
        ends[i] = sta_buffer_len(&whole);
    }
    struct strata_bytes was = sta_buffer_bytes(&whole);
    size_t len = was.len;
    uint8_t *is = malloc(len + SECTOR);
    assert_non_null(is);
    memcpy(is, was.data, len);
    if (draw(image, 4) > 0)
        damage(image, is, &len);
    expect(image, first_version, ends, count, first_difference(was, is, len), len);
    write_file(image, segment, is, len);
    free(is);
    sta_buffer_fini(&whole);
}

/* ---- an image ---- */

static void on_log(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct image *image = arg;
    (void)level;
    (void)room;
    image->told += strstr(line, "is torn") != NULL;
}

static void try_image(const char *directory, unsigned number, unsigned *torn)
{
    struct image image = {.number = number, .random = number, .directory = directory};
    struct sta_journal *journal = NULL;
    struct sta_log log;
    unsigned segments = 1 + draw(&image, SEGMENTS_MOST);
    uint64_t version = 1 + 1000 * (uint64_t)number;
    char path[128];
    for (unsigned i = 0; i < segments; i++)
        leave_segment(&image, i, &version);
    sta_log_init(&log, on_log, &image, STRATA_LOG_DEFAULT);
    assert_int_equal(sta_journal_open(&journal, directory, STA_JOURNAL_ALWAYS, &log), STRATA_OK);
    assert_int_equal(sta_journal_replay(journal, on_replayed, &image), STRATA_OK);
    sta_journal_close(&journal);
    if (image.replayed != image.expected_count || image.told != image.torn)
        fail_msg("image %u: %u of %u records replayed, %u of %u tears told of", number,
                 image.replayed, image.expected_count, image.told, image.torn);
    *torn += image.torn > 0;
    for (unsigned i = 0; i < segments; i++) {
        segment_path(&image, i, path);
        assert_int_equal(unlink(path), 0);
    }
}

static void of_a_torn_journal_what_stands_before_the_tear_is_replayed_and_no_more(void **state)
{
    (void)state;
    char directory[] = "/tmp/test_journal_torn.XXXXXX";
    char lock[64];
    unsigned torn = 0, number = 0;
    assert_non_null(mkdtemp(directory));
    while (torn < (is_long_form() ? 20 * IMAGES : IMAGES))
        try_image(directory, number++, &torn);
    print_message("# %u journals, %u of them torn\n", number, torn);
    (void)snprintf(lock, sizeof lock, "%s/lock", directory);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_torn_journal_what_stands_before_the_tear_is_replayed_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
