/* SPDX-License-Identifier: MIT
 *
 * Write-behind with a version guard and a journal: what the writes of a process were based on is
 * known to the next one, so that kill -9 neither loses a write to ourselves nor overwrites what
 * others wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
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
#include "support/fault_proxy.h"
#include "support/folder.h"

#define LONG_MS   60000u
#define PREFIX    "atp:cache:"
#define NEVER_YET 3600000u

static char directory[FOLDER_CAP];

static int prepare(void **state)
{
    return folder_make(directory, "test_wb_guard") == 0 ? cache_rig_flush(state) : -1;
}

static int clear(void **state)
{
    (void)state;
    return folder_remove(directory);
}

static struct strata_options journaled(enum strata_guard guard)
{
    return (struct strata_options){
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = NEVER_YET,
        .write_behind_guard = guard,
        .write_behind_journal = directory,
    };
}

/* ---- a child that writes and is killed; a pipe each way, a byte for each step ---- */

struct writer {
    pid_t pid;
    int to;
    int from;
};

static void step_said(int fd)
{
    char byte = '.';
    if (write(fd, &byte, 1) != 1)
        _exit(5);
}

static void step_heard(int fd)
{
    char byte;
    if (read(fd, &byte, 1) != 1)
        _exit(6);
}

static struct writer start_writer(void (*run)(int in, int out))
{
    int down[2], up[2];
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(down[1]);
        (void)close(up[0]);
        run(down[0], up[1]);
        _exit(1);
    }
    (void)close(down[0]);
    (void)close(up[1]);
    return (struct writer){pid, down[1], up[0]};
}

static void await_step(const struct writer *writer)
{
    char byte;
    assert_int_equal(read(writer->from, &byte, 1), 1);
}

static void go_on(const struct writer *writer)
{
    assert_int_equal(write(writer->to, ".", 1), 1);
}

static void kill_writer(const struct writer *writer)
{
    int status;
    (void)kill(writer->pid, SIGKILL);
    assert_int_equal(waitpid(writer->pid, &status, 0), writer->pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(writer->to);
    (void)close(writer->from);
}

/* In the child. */
static struct strata *child_open(struct strata_options options)
{
    struct strata *cache = NULL;
    if (options.redis_url == NULL)
        options.redis_url = cache_rig_url();
    if (strata_open(&cache, &options, NULL) != STRATA_OK)
        _exit(2);
    return cache;
}

static void child_set(struct strata *cache, const char *key, const char *value)
{
    if (strata_set(cache, strata_text(key), strata_text(value), 0) != STRATA_OK)
        _exit(3);
}

/* ---- what is based on what ---- */

static void write_three(int in, int out)
{
    struct strata *cache = child_open(journaled(STRATA_GUARD_ON));
    struct strata_value value = {0};
    if (strata_get(cache, strata_text("read"), &value) != STRATA_OK)
        _exit(4);
    child_set(cache, "read", "ours");
    child_set(cache, "blind", "ours");
    child_set(cache, "quiet", "first");
    child_set(cache, "quiet", "ours");
    step_said(out);
    step_heard(in);
}

static void after_kill_9_what_others_wrote_meanwhile_stays(void **state)
{
    (void)state;
    redis_do("SET", PREFIX "read", "old");
    redis_do("SET", PREFIX "blind", "old");
    struct writer writer = start_writer(write_three);
    await_step(&writer);
    kill_writer(&writer);
    redis_do("SET", PREFIX "read", "theirs");
    redis_do("SET", PREFIX "blind", "theirs");
    struct strata *cache = cache_rig_open(journaled(STRATA_GUARD_ON));
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "read", "theirs");
    assert_in_redis(PREFIX "blind", "theirs");
    assert_in_redis(PREFIX "quiet", "ours");
    assert_int_equal(numbers(cache).write_behind.overtaken, 2);
    strata_close(&cache);
}

/* What the second process has recorded anew says the same. */
static void and_after_another_process_that_reached_no_redis(void **state)
{
    (void)state;
    struct strata_options away = journaled(STRATA_GUARD_ON);
    away.redis_url = "redis://127.0.0.1:1";
    away.write_behind_drain_timeout_ms = 1;
    redis_do("SET", PREFIX "read", "old");
    struct writer writer = start_writer(write_three);
    await_step(&writer);
    kill_writer(&writer);
    struct strata *cache = cache_rig_open(away);
    assert_int_equal(numbers(cache).write_behind.entries, 3);
    strata_close(&cache);
    redis_do("SET", PREFIX "blind", "theirs");
    cache = cache_rig_open(journaled(STRATA_GUARD_ON));
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "blind", "theirs");
    assert_in_redis(PREFIX "read", "ours");
    assert_int_equal(numbers(cache).write_behind.overtaken, 1);
    strata_close(&cache);
}

#define LAST 4u /* keys that others write after a kill */

/* Keys that nothing is known of; a byte for each that was acknowledged. */
static void write_blind(int in, int out)
{
    char key[24];
    struct strata *cache = child_open(journaled(STRATA_GUARD_ON));
    for (unsigned i = 0;; i++) {
        (void)snprintf(key, sizeof key, "%d:%u", (int)getppid(), i);
        child_set(cache, key, "ours");
        step_said(out);
        step_heard(in);
    }
}

static void set_theirs(unsigned key)
{
    freeReplyObject(
        redisCommand(cache_rig_foreign(), "SET " PREFIX "%d:%u theirs", (int)getpid(), key));
}

static void assert_theirs(unsigned key)
{
    char name[48];
    (void)snprintf(name, sizeof name, PREFIX "%d:%u", (int)getpid(), key);
    assert_in_redis(name, "theirs");
}

/* Killed in the moment in which the last one succeeded. */
static void what_succeeded_last_does_not_overwrite_what_others_wrote_after_it(void **state)
{
    for (unsigned kill = 0; kill < 30; kill++) {
        assert_int_equal(cache_rig_flush(state), 0);
        struct writer writer = start_writer(write_blind);
        unsigned acknowledged = LAST + kill % 7;
        for (unsigned i = 0; i < acknowledged; i++) {
            await_step(&writer);
            if (i + 1 < acknowledged)
                go_on(&writer);
        }
        kill_writer(&writer);
        for (unsigned i = 1; i <= LAST; i++)
            set_theirs(acknowledged - i);
        struct strata *cache = cache_rig_open(journaled(STRATA_GUARD_ON));
        assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
        for (unsigned i = 1; i <= LAST; i++)
            assert_theirs(acknowledged - i);
        assert_int_equal(numbers(cache).write_behind.overtaken, LAST);
        strata_close(&cache);
    }
}

/* ---- our own flush, of which nobody was told ---- */

static char proxy_url[64];

/* Through the proxy whose address comes first. */
static void write_unheard(int in, int out)
{
    struct strata_options options = journaled(STRATA_GUARD_ON);
    struct strata_value value = {0};
    if (read(in, proxy_url, sizeof proxy_url) != sizeof proxy_url)
        _exit(6);
    options.redis_url = proxy_url;
    options.write_behind_interval_ms = 1;
    struct strata *cache = child_open(options);
    if (strata_get(cache, strata_text("k"), &value) != STRATA_OK)
        _exit(4);
    step_said(out);
    step_heard(in);
    child_set(cache, "k", "one");
    step_said(out);
    step_heard(in);
    child_set(cache, "k", "two");
    step_said(out);
    step_heard(in);
}

static void await_in_redis(const char *key, const char *expected)
{
    bool is = false;
    for (uint64_t end = sta_clock_now_ms() + LONG_MS; !is;) {
        redisReply *reply = redisCommand(cache_rig_foreign(), "GET %s", key);
        is = reply->type == REDIS_REPLY_STRING && strcmp(reply->str, expected) == 0;
        freeReplyObject(reply);
        assert_true(sta_clock_now_ms() < end);
    }
}

/* Redis has "one", and the writer is killed without having heard of it. */
static void be_killed_unheard(bool newer)
{
    char target[256], url[sizeof proxy_url] = "";
    redis_do("SET", PREFIX "k", "old");
    struct writer writer = start_writer(write_unheard);
    (void)snprintf(target, sizeof target, "unix:%s", cache_rig_socket());
    struct fault_proxy *proxy = fault_proxy_start(NULL, target);
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(proxy));
    assert_int_equal(write(writer.to, url, sizeof url), sizeof url);
    await_step(&writer);
    fault_proxy_set_way(proxy, FAULT_DOWN, (struct fault_way){.drop = true});
    go_on(&writer);
    await_step(&writer);
    await_in_redis(PREFIX "k", "one");
    if (newer) {
        go_on(&writer);
        await_step(&writer);
    }
    kill_writer(&writer);
    fault_proxy_stop(&proxy);
}

static void a_flush_of_the_process_that_died_is_no_work_of_others(void **state)
{
    (void)state;
    for (int newer = 0; newer < 2; newer++) {
        be_killed_unheard(newer == 1);
        struct strata *cache = cache_rig_open(journaled(STRATA_GUARD_ON));
        assert_int_equal(numbers(cache).write_behind.entries, 1);
        assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
        assert_in_redis(PREFIX "k", newer == 1 ? "two" : "one");
        assert_int_equal(numbers(cache).write_behind.overtaken, 0);
        strata_close(&cache);
    }
}

static void but_what_others_wrote_over_it_stays(void **state)
{
    (void)state;
    be_killed_unheard(true);
    redis_do("SET", PREFIX "k", "theirs");
    struct strata *cache = cache_rig_open(journaled(STRATA_GUARD_ON));
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "k", "theirs");
    assert_int_equal(numbers(cache).write_behind.overtaken, 1);
    strata_close(&cache);
}

/* ---- journals of before, and for afterwards ---- */

static void leave_segment_of_before(void)
{
    char path[128];
    struct sta_buffer out;
    const struct sta_journal_record records[] = {
        {.type = STA_JOURNAL_SET,
         .version = 1,
         .ttl_ms = STA_NEVER,
         .wall_ms = 1,
         .key = strata_text("a"),
         .value = strata_text("ours")},
        {.type = STA_JOURNAL_DELETE,
         .version = 2,
         .ttl_ms = STA_NEVER,
         .wall_ms = 1,
         .key = strata_text("b")},
    };
    (void)snprintf(path, sizeof path, "%s/0000000000000001.journal", directory);
    sta_buffer_init(&out, SIZE_MAX);
    assert_int_equal(sta_buffer_append(&out, strata_text("STRATAJ1")), STRATA_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(sta_journal_record_append(&out, &records[i]), STRATA_OK);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(sta_buffer_bytes(&out).data, 1, sta_buffer_len(&out), file),
                     sta_buffer_len(&out));
    fclose(file);
    sta_buffer_fini(&out);
}

/* Of these it is not known what they were based on: what Redis has when they are replayed. */
static void a_journal_without_bases_is_replayed(void **state)
{
    (void)state;
    leave_segment_of_before();
    redis_do("SET", PREFIX "a", "old");
    redis_do("SET", PREFIX "b", "old");
    struct strata *cache = cache_rig_open(journaled(STRATA_GUARD_ON));
    assert_int_equal(numbers(cache).write_behind.entries, 2);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "a", "ours");
    assert_in_redis(PREFIX "b", NULL);
    strata_close(&cache);
}

static void a_journal_with_bases_is_replayed_without_a_guard(void **state)
{
    (void)state;
    redis_do("SET", PREFIX "read", "old");
    struct writer writer = start_writer(write_three);
    await_step(&writer);
    kill_writer(&writer);
    redis_do("SET", PREFIX "read", "theirs");
    struct strata *cache = cache_rig_open(journaled(STRATA_GUARD_OFF));
    assert_int_equal(numbers(cache).write_behind.entries, 3);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_in_redis(PREFIX "read", "ours");
    assert_in_redis(PREFIX "blind", "ours");
    strata_close(&cache);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, prepare, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(after_kill_9_what_others_wrote_meanwhile_stays),
        CASE(and_after_another_process_that_reached_no_redis),
        CASE(what_succeeded_last_does_not_overwrite_what_others_wrote_after_it),
        CASE(a_flush_of_the_process_that_died_is_no_work_of_others),
        CASE(but_what_others_wrote_over_it_stays),
        CASE(a_journal_without_bases_is_replayed),
        CASE(a_journal_with_bases_is_replayed_without_a_guard),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
