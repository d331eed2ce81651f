/* SPDX-License-Identifier: MIT
 *
 * Write-behind with a journal: what was acknowledged survives kill -9, and what is torn is not
 * replayed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/journal_record.h"
#include "core/clock.h"
#include "integration/log_record.h"
#include "support/folder.h"
#include "support/long_form.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define LONG_MS   60000u
#define PREFIX    "atp:cache:"
#define NEVER_YET 3600000u
#define NOWHERE   "redis://127.0.0.1:1"

static char directory[FOLDER_CAP];

static int prepare(void **state)
{
    return folder_make(directory, "test_wb_journal") == 0 ? cache_rig_flush(state) : -1;
}

static int clear(void **state)
{
    (void)state;
    return folder_remove(directory);
}

static struct strata_options journaled(void)
{
    return (struct strata_options){
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = NEVER_YET,
        .write_behind_journal = directory,
        .write_behind_drain_timeout_ms = 1,
    };
}

/* As if the process had died: Redis got nothing, and the journal stays. */
static struct strata *open_away(void)
{
    struct strata_options options = journaled();
    options.redis_url = NOWHERE;
    return cache_rig_open(options);
}

static void what_a_closed_cache_owed_is_written_by_the_next(void **state)
{
    (void)state;
    redis_do("SET", PREFIX "b", "old");
    struct strata *cache = open_away();
    assert_int_equal(set_text(cache, "a", "1", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "a", "2", 50000), STRATA_OK);
    assert_int_equal(strata_delete(cache, strata_text("b")), STRATA_OK);
    strata_close(&cache);
    for (int i = 0; i < 2; i++) { /* once more, from what the one before recorded anew */
        cache = open_away();
        assert_value(cache, "a", "2");
        assert_int_equal(get_status(cache, "b"), STRATA_MISS);
        assert_int_equal(numbers(cache).write_behind.entries, 2);
        strata_close(&cache);
    }
    cache = cache_rig_open(journaled());
    assert_value(cache, "a", "2");
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "a", "2");
    assert_in_redis(PREFIX "b", NULL);
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL " PREFIX "a");
    assert_in_range(reply->integer, 1, 50000);
    freeReplyObject(reply);
    strata_close(&cache);
    cache = open_away();
    assert_int_equal(numbers(cache).write_behind.entries, 0);
    strata_close(&cache);
}

static bool is_written(void *arg)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "GET %s", (const char *)arg);
    bool is_written = reply->type == REDIS_REPLY_STRING && strcmp(reply->str, "new") == 0;
    freeReplyObject(reply);
    return is_written;
}

/* By a program that only reads from now on. */
static void what_is_replayed_is_written_though_nobody_writes_any_more(void **state)
{
    (void)state;
    static const enum strata_fsync syncs[] = {STRATA_FSYNC_ALWAYS, STRATA_FSYNC_INTERVAL,
                                              STRATA_FSYNC_NEVER};
    for (size_t i = 0; i < sizeof syncs / sizeof syncs[0]; i++) {
        struct strata *cache = open_away();
        assert_int_equal(set_text(cache, "a", "new", 0), STRATA_OK);
        strata_close(&cache);
        redis_do("SET", PREFIX "a", "old");
        struct strata_options options = journaled();
        options.write_behind_interval_ms = 10;
        options.write_behind_fsync = syncs[i];
        cache = cache_rig_open(options);
        assert_true(wait_until(is_written, PREFIX "a", LONG_MS));
        assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
        strata_close(&cache);
    }
}

/* One key stays owed, and with it the segment that has the record of the other. */
static void what_redis_has_is_not_written_again(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct strata_options options = journaled();
    assert_int_equal(redis_server_start(&server, NULL), 0);
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    options.redis_url = redis_server_url(server);
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "done", "1", 0), STRATA_OK);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    freeReplyObject(redisCommand(redis, "SET " PREFIX "done theirs"));
    redis_server_freeze(server);
    assert_int_equal(set_text(cache, "owed", "1", 0), STRATA_OK);
    strata_close(&cache);
    redis_server_thaw(server);
    cache = cache_rig_open(options);
    assert_int_equal(numbers(cache).write_behind.entries, 1);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    redisReply *reply = redisCommand(redis, "MGET " PREFIX "done " PREFIX "owed");
    assert_string_equal(reply->element[0]->str, "theirs");
    assert_string_equal(reply->element[1]->str, "1");
    freeReplyObject(reply);
    strata_close(&cache);
    redisFree(redis);
    redis_server_stop(&server);
}

static void a_second_cache_may_not_have_the_same_journal(void **state)
{
    (void)state;
    struct strata *cache = open_away();
    struct strata *second = NULL;
    struct strata_options options = journaled();
    struct strata_error error;
    options.redis_url = NOWHERE;
    assert_int_equal(strata_open(&second, &options, &error), STRATA_ERR_BUSY);
    assert_non_null(strstr(error.text, directory));
    assert_non_null(strstr(error.text, "another process uses it"));
    strata_close(&cache);
}

static void a_journal_that_cannot_be_had_is_named_with_the_reason(void **state)
{
    (void)state;
    char path[FOLDER_CAP + 16];
    struct strata *cache = NULL;
    struct strata_options options = journaled();
    struct strata_error error;
    options.redis_url = NOWHERE;
    options.write_behind_journal = "/proc/none/journal";
    assert_int_equal(strata_open(&cache, &options, &error), STRATA_ERR_SYSTEM);
    assert_non_null(
        strstr(error.text, "write_behind_journal=\"/proc/none/journal\": No such file"));
    (void)snprintf(path, sizeof path, "%s/file", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    options.write_behind_journal = path;
    assert_int_equal(strata_open(&cache, &options, &error), STRATA_ERR_SYSTEM);
    assert_non_null(strstr(error.text, "Not a directory"));
    assert_null(cache);
}

static void a_torn_journal_gives_what_stands_before_the_tear(void **state)
{
    (void)state;
    char path[128], key[16];
    static struct log_record log;
    struct strata_options options = journaled();
    struct strata *cache = open_away();
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(set_text(cache, key, "v", 0), STRATA_OK);
    }
    strata_close(&cache);
    (void)snprintf(path, sizeof path, "%s/0000000000000001.journal", directory);
    assert_int_equal(truncate(path, 8 + 9 * (8 + 27 + 3) + 20), 0); /* in the middle of k9 */
    log_record_init(&log);
    options.log_sink = log_record_sink;
    options.log_arg = &log;
    options.redis_url = NOWHERE;
    cache = cache_rig_open(options);
    assert_int_equal(log_record_count(&log, "is torn", 0), 1);
    assert_int_equal(numbers(cache).write_behind.entries, 9);
    assert_value(cache, "k8", "v");
    strata_close(&cache);
}

/* ---- journals as a crash may leave them ---- */

struct left {
    enum sta_journal_type type;
    const char *key;
    const char *value;
    bool torn; /* a byte of it is missing */
};

static void leave_segment(unsigned number, const struct left *records, size_t count)
{
    char path[128];
    struct sta_buffer out;
    (void)snprintf(path, sizeof path, "%s/%016x.journal", directory, number);
    sta_buffer_init(&out, SIZE_MAX);
    assert_int_equal(sta_buffer_append(&out, strata_text(STA_JOURNAL_HEAD)), STRATA_OK);
    for (size_t i = 0; i < count; i++) {
        struct sta_journal_record record = {
            .type = records[i].type,
            .version = i + 1,
            .ttl_ms = STA_NEVER,
            .wall_ms = 1,
            .key = strata_text(records[i].key),
            .value = strata_text(records[i].value),
        };
        assert_int_equal(sta_journal_record_append(&out, &record), STRATA_OK);
    }
    size_t len = sta_buffer_len(&out) - records[count - 1].torn;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(sta_buffer_bytes(&out).data, 1, len, file), len);
    fclose(file);
    sta_buffer_fini(&out);
}

static void a_done_takes_an_older_write_along_where_its_own_is_torn(void **state)
{
    (void)state;
    const struct left before[] = {{STA_JOURNAL_SET, "k", "old", false},
                                  {STA_JOURNAL_SET, "k", "new", true}};
    const struct left after[] = {{STA_JOURNAL_SET, "other", "1", false},
                                 {STA_JOURNAL_DONE, "k", "", false}};
    leave_segment(1, before, 2);
    leave_segment(2, after, 2);
    redis_do("SET", PREFIX "k", "new");
    struct strata *cache = cache_rig_open(journaled());
    assert_int_equal(numbers(cache).write_behind.entries, 1);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", "new");
    assert_in_redis(PREFIX "other", "1");
    strata_close(&cache);
}

/* The DONE of one key is torn, and so more is owed than the bounds allow. */
static void a_journal_of_more_than_the_bounds_is_replayed_and_leaves_no_room(void **state)
{
    (void)state;
    const struct left before[] = {{STA_JOURNAL_SET, "a", "1", false},
                                  {STA_JOURNAL_SET, "b", "1", false},
                                  {STA_JOURNAL_DONE, "a", "", true}};
    const struct left after[] = {{STA_JOURNAL_SET, "c", "1", false}};
    static struct log_record log;
    struct strata_options options = journaled();
    leave_segment(1, before, 3);
    leave_segment(2, after, 1);
    log_record_init(&log);
    options.log_sink = log_record_sink;
    options.log_arg = &log;
    options.write_behind_max_entries = 2;
    options.write_behind_full = STRATA_FULL_REJECT;
    options.redis_url = NOWHERE;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(numbers(cache).write_behind.entries, 3);
    assert_int_equal(log_record_count(&log, "journal: holds more than", 0), 1);
    assert_int_equal(set_text(cache, "d", "1", 0), STRATA_ERR_BUSY);
    strata_close(&cache);
    options.redis_url = NULL;
    cache = cache_rig_open(options);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "c", "1");
    assert_int_equal(set_text(cache, "d", "1", 0), STRATA_OK);
    strata_close(&cache);
}

/* ---- kill -9 ---- */

#define KILL_LANES                                                                                 \
    10 /* journals, and prefixes, of their own: what they owe settles at the same time */
#define KILL_THREADS 4
#define KILL_KEYS    40 /* a multiple of it: a key is one thread's */

/* Thread t writes the numbers that leave t. */
struct killed {
    struct strata *cache;
    uint32_t next;
    int out;
};

/* Writes, and says so when each was acknowledged: its number. */
static void *write_on(void *arg)
{
    const struct killed *writer = arg;
    char key[16], value[16];
    for (uint32_t i = writer->next;; i += KILL_THREADS) {
        (void)snprintf(key, sizeof key, "k%u", i % KILL_KEYS);
        (void)snprintf(value, sizeof value, "%u", i);
        if (strata_set(writer->cache, strata_text(key), strata_text(value), 0) != STRATA_OK)
            _exit(3);
        if (write(writer->out, &i, sizeof i) != (ssize_t)sizeof i)
            _exit(4);
    }
}

struct lane {
    char directory[80];
    char prefix[24];
    uint32_t last[KILL_THREADS];
    struct strata *next; /* the process after it */
};

static void lane_begin(struct lane *lane, unsigned index)
{
    (void)snprintf(lane->directory, sizeof lane->directory, "%s/%u", directory, index);
    (void)snprintf(lane->prefix, sizeof lane->prefix, PREFIX "%u:", index);
}

static struct strata_options lane_options(const struct lane *lane)
{
    struct strata_options options = journaled();
    options.redis_url = cache_rig_url();
    options.l2_key_prefix = lane->prefix;
    options.write_behind_journal = lane->directory;
    options.write_behind_interval_ms = 20;
    return options;
}

static void write_until_killed(const struct lane *lane, int out, uint32_t from)
{
    struct strata_options options = lane_options(lane);
    struct killed writers[KILL_THREADS];
    struct strata *cache = NULL;
    pthread_t thread;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strata_open(&cache, &options, NULL) != STRATA_OK)
        _exit(2);
    for (uint32_t i = 0; i < KILL_THREADS; i++) {
        writers[i] = (struct killed){cache, from + i, out};
        if (i > 0 && pthread_create(&thread, NULL, write_on, &writers[i]) != 0)
            _exit(5);
    }
    (void)write_on(&writers[0]);
}

/* Lets a child write for a while and kills it; of each thread the last number that was
 * acknowledged, less than `from` where none was. Returns how many were. */
static unsigned run_and_kill(struct lane *lane, uint32_t from, unsigned us)
{
    uint32_t *last = lane->last;
    int ends[2];
    int status;
    uint32_t number;
    unsigned acknowledged = 0;
    for (uint32_t i = 0; i < KILL_THREADS; i++)
        last[i] = from + i - KILL_THREADS;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        write_until_killed(lane, ends[1], from);
    }
    (void)close(ends[1]);
    while (read(ends[0], &number, sizeof number) == (ssize_t)sizeof number) {
        last[number % KILL_THREADS] = number;
        if (acknowledged++ == 0) { /* it is at work */
            usleep(us);
            (void)kill(pid, SIGKILL);
        }
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(ends[0]);
    return acknowledged;
}

/* The last that a thread wrote of each of its keys, or a later one that it was not told of. */
static void check_redis(const struct lane *lane, uint32_t from, uint32_t last)
{
    for (uint32_t i = last; i + KILL_KEYS > last && i >= from; i -= KILL_THREADS) {
        redisReply *reply =
            redisCommand(cache_rig_foreign(), "GET %sk%u", lane->prefix, i % KILL_KEYS);
        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        uint32_t got = (uint32_t)strtoul(reply->str, NULL, 10);
        if (got < i)
            fail_msg("k%u: %u was acknowledged, and Redis has %u", i % KILL_KEYS, i, got);
        freeReplyObject(reply);
    }
}

/* How many keys the process that was killed has left. */
static uint64_t lane_go_on(struct lane *lane)
{
    lane->next = cache_rig_open(lane_options(lane));
    return numbers(lane->next).write_behind.entries;
}

static void lane_end(struct lane *lane, uint32_t from)
{
    assert_int_equal(strata_flush(lane->next, LONG_MS), STRATA_OK);
    strata_close(&lane->next);
    for (unsigned thread = 0; thread < KILL_THREADS; thread++)
        check_redis(lane, from, lane->last[thread]);
}

/* The threads share what is synced. Long form (STRATA_LONG=1): 1,000 in place of 50. */
static void no_write_that_was_acknowledged_is_missing_after_kill_9(void **state)
{
    (void)state;
    unsigned kills = is_long_form() ? 1000 : 50;
    unsigned random = 1, replayed = 0;
    unsigned long acknowledged = 0, owed = 0;
    uint32_t from = 100 * KILL_KEYS;
    struct lane lanes[KILL_LANES];
    for (unsigned i = 0; i < kills; i += KILL_LANES) {
        /* Who forks has no threads: nothing is opened before the last one is killed. */
        for (unsigned each = 0; each < KILL_LANES; each++) {
            lane_begin(&lanes[each], each);
            acknowledged += run_and_kill(&lanes[each], from, (unsigned)rand_r(&random) % 60000);
        }
        for (unsigned each = 0; each < KILL_LANES; each++) {
            uint64_t entries = lane_go_on(&lanes[each]);
            replayed += entries > 0;
            owed += entries;
        }
        for (unsigned each = 0; each < KILL_LANES; each++)
            lane_end(&lanes[each], from);
        from += 2500 * KILL_KEYS;
    }
    print_message("# %u kills, %u with something owed (%lu keys), %lu writes acknowledged\n", kills,
                  replayed, owed, acknowledged);
    assert_true(replayed > 0); /* or nothing was shown */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_a_closed_cache_owed_is_written_by_the_next),
        CASE(what_is_replayed_is_written_though_nobody_writes_any_more),
        CASE(what_redis_has_is_not_written_again),
        CASE(a_second_cache_may_not_have_the_same_journal),
        CASE(a_journal_that_cannot_be_had_is_named_with_the_reason),
        CASE(a_torn_journal_gives_what_stands_before_the_tear),
        CASE(a_done_takes_an_older_write_along_where_its_own_is_torn),
        CASE(a_journal_of_more_than_the_bounds_is_replayed_and_leaves_no_room),
        CASE(no_write_that_was_acknowledged_is_missing_after_kill_9),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
