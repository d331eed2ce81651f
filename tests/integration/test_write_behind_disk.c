/* SPDX-License-Identifier: MIT
 *
 * Write-behind with a journal that cannot be written: what is turned away, what is not lost, and
 * what is said when it ends so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "integration/log_record.h"
#include "support/folder.h"

#define LONG_MS   60000u
#define PREFIX    "atp:cache:"
#define NEVER_YET 3600000u
#define NOWHERE   "redis://127.0.0.1:1"

static char directory[FOLDER_CAP];

/* ---- a disk that takes its time: the linker leads the journal's syncs here (--wrap) ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool hangs;
    unsigned waiting;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    pthread_mutex_lock(&disk.lock);
    disk.waiting++;
    pthread_cond_broadcast(&disk.news);
    while (disk.hangs)
        pthread_cond_wait(&disk.news, &disk.lock);
    disk.waiting--;
    pthread_mutex_unlock(&disk.lock);
    return __real_fdatasync(fd);
}

static void disk_hangs(bool hangs)
{
    pthread_mutex_lock(&disk.lock);
    disk.hangs = hangs;
    pthread_cond_broadcast(&disk.news);
    pthread_mutex_unlock(&disk.lock);
}

/* Somebody waits for it. */
static void await_hanging(void)
{
    pthread_mutex_lock(&disk.lock);
    while (disk.waiting == 0)
        pthread_cond_wait(&disk.news, &disk.lock);
    pthread_mutex_unlock(&disk.lock);
}

static int prepare(void **state)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    return folder_make(directory, "test_wb_disk") == 0 ? cache_rig_flush(state) : -1;
}

static void limit_files(rlim_t bytes);

static int clear(void **state)
{
    (void)state;
    limit_files(RLIM_INFINITY); /* where a test failed */
    disk_hangs(false);
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

/* Its log goes to `log`, which begins anew. */
static struct strata_options journaled_and_told(struct log_record *log)
{
    struct strata_options options = journaled();
    log_record_init(log);
    options.log_sink = log_record_sink;
    options.log_arg = log;
    return options;
}

/* As if the process had died: Redis got nothing, and the journal stays. */
static struct strata *open_away(void)
{
    struct strata_options options = journaled();
    options.redis_url = NOWHERE;
    return cache_rig_open(options);
}

/* A file that may not grow stands for a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_a_full_queue_until_there_is_room_again(void **state)
{
    (void)state;
    static struct log_record log;
    struct strata_options options = journaled_and_told(&log);
    char value[4000];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = '\0';
    options.write_behind_full = STRATA_FULL_REJECT;
    options.redis_url = NOWHERE;
    options.socket_timeout_ms = 1000;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "a", "before", 0), STRATA_OK);
    limit_files(4);
    int status = set_text(cache, "b", value, 0);
    assert_true(status == STRATA_ERR_TIMEOUT || status == STRATA_ERR_BUSY);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; status != STRATA_ERR_BUSY;) {
        status = set_text(cache, "c", value, 0);
        assert_int_not_equal(status, STRATA_OK);
        assert_true(sta_clock_now_ms() < end);
    }
    assert_true(log_record_count(&log, "journal: cannot be written", 0) > 0);
    limit_files(RLIM_INFINITY);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; status != STRATA_OK;) {
        status = set_text(cache, "d", "after", 0);
        assert_true(sta_clock_now_ms() < end);
    }
    strata_close(&cache);
    cache = open_away();
    assert_value(cache, "a", "before");
    assert_value(cache, "d", "after");
    strata_close(&cache);
}

/* The thread that writes the journal has seen that it cannot. */
static void await_broken(struct log_record *log)
{
    for (uint64_t end = sta_clock_now_ms() + LONG_MS;
         log_record_count(log, "journal: cannot be written", 0) == 0;) {
        assert_true(sta_clock_now_ms() < end);
        usleep(1000);
    }
}

/* Room in the queue, and none in the journal: Redis is there, and does not get it at once. */
static void what_the_journal_has_no_room_for_does_not_go_through(void **state)
{
    (void)state;
    static const enum strata_full ways[] = {STRATA_FULL_THROUGH, STRATA_FULL_REJECT};
    static struct log_record log;
    for (size_t way = 0; way < 2; way++) {
        struct strata_options options = journaled_and_told(&log);
        options.write_behind_full = ways[way];
        options.socket_timeout_ms = LONG_MS; /* who waited for it would be seen */
        options.write_behind_fsync = STRATA_FSYNC_INTERVAL;
        struct strata *cache = cache_rig_open(options);
        limit_files(4);
        assert_int_equal(set_text(cache, "broke", "1", 0), STRATA_OK);
        await_broken(&log);
        uint64_t begun_ms = sta_clock_now_ms();
        assert_int_equal(set_text(cache, "k", "1", 0), STRATA_ERR_BUSY);
        assert_true(sta_clock_now_ms() - begun_ms < LONG_MS / 2);
        assert_in_redis(PREFIX "k", NULL);
        assert_int_equal(numbers(cache).write_behind.through, 0);
        limit_files(RLIM_INFINITY);
        strata_close(&cache);
    }
}

/* With fsync `always` who is turned away does not wait for a disk that is not there. */
static void who_is_turned_away_does_not_wait_for_the_disk(void **state)
{
    (void)state;
    static struct log_record log;
    struct strata_options options = journaled_and_told(&log);
    options.write_behind_full = STRATA_FULL_REJECT;
    options.socket_timeout_ms = 2000;
    struct strata *cache = cache_rig_open(options);
    limit_files(4);
    assert_int_equal(set_text(cache, "broke", "1", 0), STRATA_ERR_TIMEOUT);
    await_broken(&log);
    uint64_t best_ms = LONG_MS;
    for (int i = 0; i < 5; i++) {
        uint64_t begun_ms = sta_clock_now_ms();
        assert_int_equal(set_text(cache, "k", "1", 0), STRATA_ERR_BUSY);
        if (sta_clock_now_ms() - begun_ms < best_ms)
            best_ms = sta_clock_now_ms() - begun_ms;
    }
    assert_true(best_ms < 2000);
    limit_files(RLIM_INFINITY);
    strata_close(&cache);
}

/* With fsync `always` a write whose record is not on disk is not in Redis; others are not held up
 * by it. */
static void redis_has_nothing_that_the_disk_has_not(void **state)
{
    (void)state;
    static struct log_record log;
    struct strata_options options = journaled_and_told(&log);
    options.socket_timeout_ms = 500;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "safe", "1", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "both", "1", 0), STRATA_OK);
    limit_files(4);
    assert_int_equal(set_text(cache, "both", "2", 0), STRATA_ERR_TIMEOUT);
    await_broken(&log);
    assert_int_equal(strata_flush(cache, 1500), STRATA_ERR_TIMEOUT);
    assert_in_redis(PREFIX "safe", "1");
    assert_in_redis(PREFIX "both", NULL);
    limit_files(RLIM_INFINITY);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "both", "2");
    strata_close(&cache);
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

static void attempts_to_write_it_again_leave_no_files(void **state)
{
    (void)state;
    static struct log_record log;
    struct strata_options options = journaled_and_told(&log);
    options.redis_url = NOWHERE;
    options.write_behind_fsync = STRATA_FSYNC_INTERVAL;
    struct strata *cache = cache_rig_open(options);
    limit_files(4);
    assert_int_equal(set_text(cache, "k", "1", 0), STRATA_OK);
    await_broken(&log);
    usleep(2500000); /* four attempts, or less: then it shows less */
    assert_true(count_segments() <= 2);
    limit_files(RLIM_INFINITY);
    strata_close(&cache);
    assert_int_equal(count_segments(), 1);
}

/* Where nobody waited for the disk to be told that a write is done, none waits for a disk that is
 * full to get to Redis. */
static void a_full_disk_holds_nothing_up_that_was_acknowledged_without_it(void **state)
{
    (void)state;
    static const enum strata_fsync ways[] = {STRATA_FSYNC_INTERVAL, STRATA_FSYNC_NEVER};
    static struct log_record log;
    for (size_t way = 0; way < 2; way++) {
        struct strata_options options = journaled_and_told(&log);
        options.write_behind_fsync = ways[way];
        struct strata *cache = cache_rig_open(options);
        limit_files(4);
        assert_int_equal(set_text(cache, "k", way == 0 ? "1" : "2", 0), STRATA_OK);
        await_broken(&log);
        assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
        assert_in_redis(PREFIX "k", way == 0 ? "1" : "2");
        limit_files(RLIM_INFINITY);
        strata_close(&cache);
    }
}

/* "k" was written and done, and that could not be recorded. Where its next value passed the queue,
 * which "hold" fills, a replay would bring the old one back. */
static void write_past_a_broken_journal_and_die(int out)
{
    static char most[40001], large[30001];
    struct strata_options options = journaled();
    struct strata *cache = NULL;
    char url[256];
    memset(most, 'm', sizeof most - 1);
    memset(large, 'B', sizeof large - 1);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(url, sizeof url, "redis://picky:secret@%s",
                   cache_rig_url() + strlen("redis://"));
    options.redis_url = url;
    options.write_behind_full = STRATA_FULL_THROUGH;
    options.write_behind_fsync = STRATA_FSYNC_INTERVAL;
    options.write_behind_max_bytes = 65536;
    if (strata_open(&cache, &options, NULL) != STRATA_OK || set_text(cache, "k", "A", 0) < 0)
        _exit(2);
    usleep(1500000); /* it is in a file */
    limit_files(4);
    if (set_text(cache, "hold", most, 0) != STRATA_OK)
        _exit(3);
    while (set_text(cache, "probe", "1", 0) != STRATA_ERR_BUSY)
        usleep(1000);
    (void)strata_flush(cache, 1000); /* "hold" is refused */
    int status = set_text(cache, "k", large, 0);
    if (write(out, &status, sizeof status) != (ssize_t)sizeof status)
        _exit(4);
    (void)kill(getpid(), SIGKILL);
}

static char first_byte_in_redis(const char *key)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "GET %s", key);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    char byte = reply->str[0];
    freeReplyObject(reply);
    return byte;
}

static void nothing_passes_a_done_that_could_not_be_recorded(void **state)
{
    (void)state;
    int ends[2], status, answer = STRATA_OK;
    redisReply *reply =
        redisCommand(cache_rig_foreign(), "ACL SETUSER picky on >secret ~" PREFIX "[^h]* &* +@all");
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        write_past_a_broken_journal_and_die(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(read(ends[0], &answer, sizeof answer), sizeof answer);
    (void)close(ends[0]);
    (void)close(ends[1]);
    struct strata *cache = cache_rig_open(journaled());
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    strata_close(&cache);
    assert_int_equal(first_byte_in_redis(PREFIX "k"), answer == STRATA_OK ? 'B' : 'A');
    assert_int_equal(answer, STRATA_ERR_BUSY);
}

/* The disk has room again, or has none, when the cache closes with a broken journal. */
static void closing_tries_the_journal_once_more_and_says_what_is_lost(void **state)
{
    (void)state;
    static struct log_record log;
    for (int again = 0; again < 2; again++) {
        struct strata_options options = journaled_and_told(&log);
        options.redis_url = NOWHERE;
        options.write_behind_fsync = STRATA_FSYNC_INTERVAL;
        struct strata *cache = cache_rig_open(options);
        limit_files(4);
        assert_int_equal(set_text(cache, "k", "1", 0), STRATA_OK);
        await_broken(&log);
        if (again == 1)
            limit_files(RLIM_INFINITY);
        strata_close(&cache);
        limit_files(RLIM_INFINITY);
        bool saved = log_record_count(&log, "these writes are in the journal", 0) == 1;
        bool lost = log_record_count(&log, "these writes are lost", 0) == 1;
        assert_true(saved == (again == 1) && lost == (again == 0));
        cache = open_away();
        assert_int_equal(numbers(cache).write_behind.entries, again == 1 ? 1 : 0);
        strata_close(&cache);
    }
}

/* ---- closing while the disk hangs ---- */

static bool is_running(const char *thread)
{
    bool found = false;
    const struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    while (!found && (entry = readdir(tasks)) != NULL) {
        char path[64], name[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", entry->d_name);
        FILE *file = fopen(path, "r"); /* or it has just ended */
        found = file != NULL && fgets(name, sizeof name, file) != NULL &&
                strncmp(name, thread, strlen(thread)) == 0;
        if (file != NULL)
            (void)fclose(file);
    }
    closedir(tasks);
    return found;
}

/* The disk goes on when the cache that closes can send nothing any more: its loop has ended. */
static void *let_the_disk_go_on(void *arg)
{
    while (is_running("strata-io"))
        usleep(1000);
    disk_hangs(false);
    return arg;
}

/* A flight that waits for the disk when the cache closes does not go any more: what it carried is
 * the next one's, which has it from the journal; who waits for his write hears that it is safe. */
static void closing_lets_nothing_go_that_waits_for_the_disk(void **state)
{
    (void)state;
    static struct log_record log;
    struct strata_options options = journaled_and_told(&log);
    struct answer answer = {0};
    struct strata_completion completion = {.call = take_answer, .arg = &answer};
    pthread_t thread;
    options.socket_timeout_ms = LONG_MS;
    struct strata *cache = cache_rig_open(options);
    assert_int_equal(set_text(cache, "k", "before", 0), STRATA_OK);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    disk_hangs(true);
    assert_int_equal(strata_set_async(cache, strata_text("k"), strata_text("after"), 0, completion),
                     STRATA_OK);
    await_hanging();
    assert_int_equal(strata_flush(cache, 200), STRATA_ERR_TIMEOUT); /* the flight is full */
    assert_int_equal(pthread_create(&thread, NULL, let_the_disk_go_on, NULL), 0);
    strata_close(&cache);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.status, STRATA_OK);
    assert_in_redis(PREFIX "k", "before");
    assert_int_equal(log_record_count(&log, "closed before 1 keys", 0), 1);
    assert_int_equal(log_record_count(&log, "these writes are in the journal", 0), 1);
    cache = cache_rig_open(journaled());
    assert_value(cache, "k", "after");
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", "after");
    strata_close(&cache);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_full_disk_is_a_full_queue_until_there_is_room_again),
        CASE(what_the_journal_has_no_room_for_does_not_go_through),
        CASE(who_is_turned_away_does_not_wait_for_the_disk),
        CASE(redis_has_nothing_that_the_disk_has_not),
        CASE(attempts_to_write_it_again_leave_no_files),
        CASE(a_full_disk_holds_nothing_up_that_was_acknowledged_without_it),
        CASE(nothing_passes_a_done_that_could_not_be_recorded),
        CASE(closing_tries_the_journal_once_more_and_says_what_is_lost),
        CASE(closing_lets_nothing_go_that_waits_for_the_disk),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
