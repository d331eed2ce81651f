/* SPDX-License-Identifier: MIT
 *
 * Records of the journal, whole, torn and flipped; its files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/journal.h"
#include "core/clock.h"
#include "core/crc32c.h"
#include "core/random.h"
#include "strata/status.h"
#include "support/folder.h"

static void the_crc_is_castagnolis(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    assert_int_equal(sta_crc32c(0, strata_text("123456789")), 0xe3069283);
    assert_int_equal(sta_crc32c(0, strata_bytes(zeros, 32)), 0x8a9136aa); /* RFC 3720, B.4 */
    uint32_t half = sta_crc32c(0, strata_text("1234"));
    assert_int_equal(sta_crc32c(half, strata_text("56789")), 0xe3069283);
}

/* ---- records ---- */

static const struct sta_journal_record samples[] = {
    {STA_JOURNAL_SET, 1, 5000, 1700000000000, {"key", 3}, {"value", 5}, {NULL, 0}},
    {STA_JOURNAL_SET, 2, STA_NEVER, 1, {"k", 1}, {"", 0}, {NULL, 0}},
    {STA_JOURNAL_DELETE, 3, STA_NEVER, 0, {"key", 3}, {NULL, 0}, {NULL, 0}},
    {STA_JOURNAL_DONE, 2, 0, 0, {"k", 1}, {NULL, 0}, {NULL, 0}},
    {STA_JOURNAL_SET, 4, 5000, 1700000000000, {"key", 3}, {"value", 5}, {"basis", 5}},
    {STA_JOURNAL_SET, 5, STA_NEVER, 1, {"key", 3}, {"", 0}, {"basis", 5}},
    {STA_JOURNAL_DELETE, 6, STA_NEVER, 0, {"key", 3}, {NULL, 0}, {"b", 1}},
    {STA_JOURNAL_BASIS, 6, STA_NEVER, 0, {"key", 3}, {NULL, 0}, {"basis", 5}},
};
#define SAMPLES (sizeof samples / sizeof samples[0])

static void assert_same(const struct sta_journal_record *a, const struct sta_journal_record *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(a->version == b->version && a->ttl_ms == b->ttl_ms && a->wall_ms == b->wall_ms);
    assert_int_equal(a->key.len, b->key.len);
    assert_memory_equal(a->key.data, b->key.data, a->key.len);
    assert_int_equal(a->basis.len, b->basis.len);
    if (a->basis.len > 0)
        assert_memory_equal(a->basis.data, b->basis.data, a->basis.len);
    assert_int_equal(a->value.len, b->value.len);
    if (a->value.len > 0)
        assert_memory_equal(a->value.data, b->value.data, a->value.len);
}

/* `ends` takes where each record ends. */
static void append_samples(struct sta_buffer *out, size_t *ends)
{
    sta_buffer_init(out, SIZE_MAX);
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_int_equal(sta_journal_record_append(out, &samples[i]), STRATA_OK);
        ends[i] = sta_buffer_len(out);
    }
}

/* How many records are read; each must be the one that was written there. */
static size_t read_back(struct strata_bytes bytes, int *status)
{
    struct sta_journal_record record;
    size_t count = 0;
    while ((*status = sta_journal_record_next(&bytes, &record)) == STRATA_OK) {
        assert_true(count < SAMPLES);
        assert_same(&record, &samples[count++]);
    }
    return count;
}

static void records_come_back_and_a_cut_anywhere_ends_them_there(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    size_t ends[SAMPLES];
    append_samples(&buffer, ends);
    struct strata_bytes whole = sta_buffer_bytes(&buffer);
    for (size_t len = 0; len <= whole.len; len++) {
        uint8_t *cut =
            malloc(len > 0 ? len : 1); /* of its own, so that ASan sees every step beyond */
        size_t complete = 0;
        int status;
        memcpy(cut, whole.data, len);
        while (complete < SAMPLES && ends[complete] <= len)
            complete++;
        assert_int_equal(read_back(strata_bytes(cut, len), &status), complete);
        bool at_end = len == (complete > 0 ? ends[complete - 1] : 0);
        assert_int_equal(status, at_end ? STRATA_MISS : STRATA_ERR_PROTOCOL);
        free(cut);
    }
    sta_buffer_fini(&buffer);
}

static void a_flipped_bit_anywhere_ends_them_before_it(void **state)
{
    (void)state;
    struct sta_buffer buffer;
    size_t ends[SAMPLES];
    append_samples(&buffer, ends);
    uint8_t *bytes = buffer.data + buffer.head;
    size_t len = sta_buffer_len(&buffer);
    for (size_t bit = 0; bit < len * 8; bit++) {
        size_t whole = 0;
        int status;
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        while (whole < SAMPLES && ends[whole] <= bit / 8)
            whole++;
        assert_int_equal(read_back(strata_bytes(bytes, len), &status), whole);
        assert_int_equal(status, STRATA_ERR_PROTOCOL);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    sta_buffer_fini(&buffer);
}

static void what_is_left_of_a_ttl_is_never_more_than_it_was(void **state)
{
    (void)state;
    struct sta_journal_record record = {.ttl_ms = 1000, .wall_ms = 50000};
    assert_int_equal(sta_journal_record_left_ms(&record, 50400), 600);
    assert_int_equal(sta_journal_record_left_ms(&record, 51000), 0);
    assert_int_equal(sta_journal_record_left_ms(&record, 90000), 0);
    assert_int_equal(sta_journal_record_left_ms(&record, 10), 1000); /* the clock was set back */
    record.ttl_ms = STA_NEVER;
    assert_true(sta_journal_record_left_ms(&record, 90000) == STA_NEVER);
}

/* ---- what goes to the disk: these stand before those of libc ---- */

#define SYNCED_MOST 1024

static struct {
    pthread_mutex_t gate; /* who holds it keeps fdatasync() waiting */
    pthread_mutex_t lock;
    size_t count;
    struct {
        ino_t inode;
        off_t bytes; /* it had when it was synced */
    } synced[SYNCED_MOST];
} disk = {.gate = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};

static int listing_fails; /* errno for who lists a directory; 0: it does not */

static void disk_note_file(ino_t inode, off_t bytes)
{
    pthread_mutex_lock(&disk.lock);
    if (disk.count < SYNCED_MOST) {
        disk.synced[disk.count].inode = inode;
        disk.synced[disk.count++].bytes = bytes;
    }
    pthread_mutex_unlock(&disk.lock);
}

static void disk_note(int fd)
{
    struct stat stat = {0};
    if (fstat(fd, &stat) == 0)
        disk_note_file(stat.st_ino, stat.st_size);
}

int fdatasync(int fd)
{
    pthread_mutex_lock(&disk.gate);
    disk_note(fd);
    pthread_mutex_unlock(&disk.gate);
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    disk_note(fd);
    return (int)syscall(SYS_fsync, fd);
}

/* By this name, whatever this file's own readdir() is called. */
struct dirent *next_listed(DIR *listing) __asm__("readdir");

struct dirent *next_listed(DIR *listing)
{
    struct dirent *(*next)(DIR *) = (struct dirent * (*)(DIR *)) dlsym(RTLD_NEXT, "readdir");
    if (listing_fails == 0)
        return next(listing);
    errno = listing_fails;
    return NULL;
}

/* How many bytes the file had when it was synced last; -1: it never was. */
static off_t bytes_synced(const char *path)
{
    struct stat stat_of;
    off_t bytes = -1;
    assert_int_equal(stat(path, &stat_of), 0);
    pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < disk.count; i++) {
        if (disk.synced[i].inode == stat_of.st_ino)
            bytes = disk.synced[i].bytes;
    }
    pthread_mutex_unlock(&disk.lock);
    return bytes;
}

/* ---- files ---- */

static char directory[FOLDER_CAP];

static int make_directory(void **state)
{
    (void)state;
    disk.count = 0;
    return folder_make(directory, "test_journal");
}

static int remove_directory(void **state)
{
    (void)state;
    return folder_remove(directory);
}

static size_t count_segments(void)
{
    size_t count = 0;
    const struct dirent *entry;
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    while ((entry = readdir(listing)) != NULL)
        count += strstr(entry->d_name, ".journal") != NULL;
    closedir(listing);
    return count;
}

static void no_news(void *arg)
{
    (void)arg;
}

static struct sta_journal *open_journal(enum sta_journal_sync sync)
{
    struct sta_journal *journal = NULL;
    assert_int_equal(sta_journal_open(&journal, directory, sync, NULL), STRATA_OK);
    return journal;
}

static void start(struct sta_journal *journal)
{
    assert_int_equal(sta_journal_start(journal, no_news, NULL), STRATA_OK);
    sta_journal_mend(journal);
}

static uint64_t append(struct sta_journal *journal, size_t sample)
{
    uint64_t position;
    assert_int_equal(sta_journal_append(journal, &samples[sample], &position), STRATA_OK);
    return position;
}

static void await_safe(struct sta_journal *journal)
{
    uint64_t end = sta_journal_end(journal);
    for (uint64_t until = sta_clock_now_ms() + 60000; sta_journal_safe(journal) < end;)
        assert_true(sta_clock_now_ms() < until);
}

static int count_record(void *arg, const struct sta_journal_record *record)
{
    size_t *count = arg;
    assert_same(record, &samples[*count % SAMPLES]);
    (*count)++;
    return STRATA_OK;
}

static size_t replay(struct sta_journal *journal)
{
    size_t count = 0;
    assert_int_equal(sta_journal_replay(journal, count_record, &count), STRATA_OK);
    return count;
}

static void what_was_written_is_replayed_by_the_next_and_kept_until_it_is_trimmed(void **state)
{
    static const enum sta_journal_sync ways[] = {STA_JOURNAL_ALWAYS, STA_JOURNAL_INTERVAL,
                                                 STA_JOURNAL_NEVER};
    (void)state;
    for (size_t way = 0; way < 3; way++) {
        struct sta_journal *journal = open_journal(ways[way]);
        assert_int_equal(replay(journal), 0);
        start(journal);
        for (size_t i = 0; i < SAMPLES; i++)
            (void)append(journal, i);
        await_safe(journal);
        sta_journal_close(&journal);
        for (int again = 0; again < 2; again++) {
            journal = open_journal(ways[way]);
            assert_int_equal(replay(journal), SAMPLES);
            sta_journal_close(&journal);
        }
        journal = open_journal(ways[way]);
        assert_int_equal(replay(journal), SAMPLES);
        start(journal);
        sta_journal_trim(journal, sta_journal_end(journal));
        sta_journal_close(&journal);
        assert_int_equal(count_segments(), 0);
    }
}

static void a_second_one_is_kept_out(void **state)
{
    (void)state;
    struct sta_journal *journal = open_journal(STA_JOURNAL_ALWAYS);
    struct sta_journal *second = NULL;
    assert_int_equal(sta_journal_open(&second, directory, STA_JOURNAL_ALWAYS, NULL),
                     STRATA_ERR_BUSY);
    assert_null(second);
    sta_journal_close(&journal);
    journal = open_journal(STA_JOURNAL_ALWAYS);
    sta_journal_close(&journal);
    assert_int_equal(sta_journal_open(&second, "/proc/none/journal", STA_JOURNAL_ALWAYS, NULL),
                     STRATA_ERR_SYSTEM);
}

static void segments_are_deleted_from_the_oldest_on(void **state)
{
    (void)state;
    struct sta_journal *journal = open_journal(STA_JOURNAL_ALWAYS);
    char *value = calloc(1, 6 << 20);
    struct sta_journal_record large = {
        .type = STA_JOURNAL_SET, .key = {"k", 1}, .value = {value, 6 << 20}};
    uint64_t positions[8];
    start(journal);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(sta_journal_append(journal, &large, &positions[i]), STRATA_OK);
        await_safe(journal);
    }
    assert_int_equal(count_segments(), 3);
    sta_journal_trim(journal, positions[1]);
    (void)append(journal, 0);
    await_safe(journal);
    assert_int_equal(count_segments(), 3); /* the first has records beyond it */
    sta_journal_trim(journal, positions[7]);
    (void)append(journal, 0);
    await_safe(journal);
    assert_int_equal(count_segments(), 1);
    free(value);
    sta_journal_close(&journal);
}

static void await_segments(size_t count)
{
    for (uint64_t until = sta_clock_now_ms() + 60000; count_segments() != count; usleep(1000))
        assert_true(sta_clock_now_ms() < until);
}

/* Whatever the way of syncing: a segment that is left is not synced by anybody later, and one that
 * is deleted was replaced by what is on disk. */
static void what_is_left_is_on_disk_and_so_is_what_replaces_the_deleted(void **state)
{
    static const enum sta_journal_sync ways[] = {STA_JOURNAL_INTERVAL, STA_JOURNAL_NEVER};
    (void)state;
    char *value = calloc(1, 6 << 20);
    struct sta_journal_record large = {
        .type = STA_JOURNAL_SET, .key = {"k", 1}, .value = {value, 6 << 20}};
    for (size_t way = 0; way < 2; way++) {
        char first[96], second[96];
        struct stat stat_of;
        uint64_t position;
        struct sta_journal *journal = open_journal(ways[way]);
        unsigned number = way == 0 ? 1 : 3;
        (void)snprintf(first, sizeof first, "%s/%016x.journal", directory, number);
        (void)snprintf(second, sizeof second, "%s/%016x.journal", directory, number + 1);
        start(journal);
        if (way == 1) /* of the round before */
            sta_journal_trim(journal, sta_journal_end(journal));
        for (int i = 0; i < 3; i++) {
            uint64_t until = sta_clock_now_ms() + 60000;
            while (sta_journal_append(journal, &large, &position) != STRATA_OK)
                assert_true(sta_clock_now_ms() < until);
        }
        for (uint64_t until = sta_clock_now_ms() + 60000;
             stat(first, &stat_of) != 0 || (size_t)stat_of.st_size < (size_t)3 * (6 << 20);)
            assert_true(sta_clock_now_ms() < until);
        position = append(journal, 0);
        for (uint64_t until = sta_clock_now_ms() + 60000; stat(second, &stat_of) != 0;)
            assert_true(sta_clock_now_ms() < until);
        assert_int_equal(stat(first, &stat_of), 0);
        assert_int_equal(bytes_synced(first), stat_of.st_size);
        sta_journal_trim(journal, position);
        (void)append(journal, 0);
        await_segments(1);
        assert_true(bytes_synced(second) >=
                    (off_t)(STA_JOURNAL_HEAD_LEN + sta_journal_record_len(&samples[0])));
        sta_journal_close(&journal);
    }
    free(value);
}

static void a_directory_that_was_made_has_its_name_on_disk(void **state)
{
    (void)state;
    char path[96];
    struct sta_journal *journal = NULL;
    (void)snprintf(path, sizeof path, "%s/new", directory);
    assert_int_equal(sta_journal_open(&journal, path, STA_JOURNAL_ALWAYS, NULL), STRATA_OK);
    assert_true(bytes_synced(directory) >= 0);
    sta_journal_close(&journal);
}

/* What is in a file that the directory may not know after a loss of power is lost with it. */
static void the_name_of_each_segment_is_on_disk_before_it_is_relied_upon(void **state)
{
    (void)state;
    for (int opened = 0; opened < 2; opened++) {
        struct sta_journal *journal = open_journal(STA_JOURNAL_ALWAYS);
        disk.count = 0; /* nobody writes just now */
        start(journal);
        (void)append(journal, 0);
        await_safe(journal);
        assert_true(bytes_synced(directory) >= 0);
        sta_journal_close(&journal);
    }
}

static void a_directory_that_cannot_be_listed_is_no_empty_one(void **state)
{
    (void)state;
    struct sta_journal *journal = NULL;
    listing_fails = EIO;
    int status = sta_journal_open(&journal, directory, STA_JOURNAL_ALWAYS, NULL);
    int reason = errno;
    listing_fails = 0;
    assert_int_equal(status, STRATA_ERR_SYSTEM);
    assert_int_equal(reason, EIO);
}

/* A DONE that is refused, for whatever reason, makes it less than whole, until all that stood
 * before is gone. */
static void it_is_whole_again_when_what_a_missing_done_names_is_gone(void **state)
{
    (void)state;
    struct sta_journal *journal = open_journal(STA_JOURNAL_ALWAYS);
    struct sta_journal_record done = {.type = STA_JOURNAL_DONE, .key = strata_text("k")};
    uint64_t position;
    assert_int_equal(sta_journal_start(journal, no_news, NULL), STRATA_OK);
    assert_false(sta_journal_is_whole(journal)); /* MENDED */
    sta_journal_mend(journal);
    assert_true(sta_journal_is_whole(journal));
    (void)append(journal, 0);
    char *key = calloc(1, (size_t)17 << 20); /* no key is so long: there is no room for it */
    done.key = strata_bytes(key, (size_t)17 << 20);
    int status = STRATA_OK;
    pthread_mutex_lock(&disk.gate); /* so something waits sooner or later */
    for (uint64_t until = sta_clock_now_ms() + 60000; status == STRATA_OK;) {
        assert_true(sta_clock_now_ms() < until);
        (void)sta_journal_append(journal, &samples[0], &position);
        status = sta_journal_append(journal, &done, &position);
    }
    pthread_mutex_unlock(&disk.gate);
    assert_int_equal(status, STRATA_ERR_BUSY);
    assert_false(sta_journal_is_whole(journal));
    struct sta_journal_record large = {
        .type = STA_JOURNAL_SET, .key = {"k", 1}, .value = {key, 6 << 20}};
    for (uint64_t until = sta_clock_now_ms() + 60000; !sta_journal_is_whole(journal);
         usleep(1000)) {
        if (sta_journal_append(journal, &large, &position) == STRATA_OK)
            sta_journal_trim(journal, position);
        assert_true(sta_clock_now_ms() < until);
    }
    free(key);
    sta_journal_close(&journal);
}

/* ---- group commit ---- */

#define WRITERS 8

struct writer {
    pthread_t thread;
    struct sta_journal *journal;
};

static void *write_some(void *arg)
{
    const struct writer *writer = arg;
    uint64_t position;
    for (int i = 0; i < 50; i++) {
        if (sta_journal_append(writer->journal, &samples[0], &position) != STRATA_OK)
            return "not appended";
        while (sta_journal_safe(writer->journal) <= position)
            usleep(50);
    }
    return NULL;
}

static void many_threads_append_and_all_of_it_is_there(void **state)
{
    (void)state;
    struct writer writers[WRITERS];
    struct sta_journal *journal = open_journal(STA_JOURNAL_ALWAYS);
    start(journal);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].journal = journal;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_some, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        void *failure;
        pthread_join(writers[i].thread, &failure);
        assert_null(failure);
    }
    sta_journal_close(&journal);
    size_t bytes = 0;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/0000000000000001.journal", directory);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    bytes = (size_t)ftell(file);
    fclose(file);
    assert_int_equal(bytes,
                     STA_JOURNAL_HEAD_LEN + 50 * WRITERS * sta_journal_record_len(&samples[0]));
}

#define WITH_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_crc_is_castagnolis),
        cmocka_unit_test(records_come_back_and_a_cut_anywhere_ends_them_there),
        cmocka_unit_test(a_flipped_bit_anywhere_ends_them_before_it),
        cmocka_unit_test(what_is_left_of_a_ttl_is_never_more_than_it_was),
        WITH_DIRECTORY(what_was_written_is_replayed_by_the_next_and_kept_until_it_is_trimmed),
        WITH_DIRECTORY(a_second_one_is_kept_out),
        WITH_DIRECTORY(segments_are_deleted_from_the_oldest_on),
        WITH_DIRECTORY(what_is_left_is_on_disk_and_so_is_what_replaces_the_deleted),
        WITH_DIRECTORY(a_directory_that_was_made_has_its_name_on_disk),
        WITH_DIRECTORY(the_name_of_each_segment_is_on_disk_before_it_is_relied_upon),
        WITH_DIRECTORY(a_directory_that_cannot_be_listed_is_no_empty_one),
        WITH_DIRECTORY(it_is_whole_again_when_what_a_missing_done_names_is_gone),
        WITH_DIRECTORY(many_threads_append_and_all_of_it_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
