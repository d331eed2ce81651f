/* SPDX-License-Identifier: MIT
 *
 * One load for all processes: many of them on a cold key, an owner that is killed, one that fails,
 * one that is late. Caches of other processes, and other caches of this one. Against a real Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "integration/cache_rig.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define PREFIX     "atp:cache:"
#define PROCESSES  10
#define THREADS    100
#define LONG_MS    60000u /* longer than a test has patience */
#define SHORT_MS   500u
#define OWN_ERROR  (-1234)

/* ---- loaders ---- */

/* Counts in Redis, where all processes see it. */
static void count_load(void)
{
    struct redisContext *redis = redisConnectUnix(getenv("TEST_REDIS_SOCKET"));
    freeReplyObject(redisCommand(redis, "INCR loads"));
    redisFree(redis);
}

static int loads(void)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "GET loads");
    int count = reply->type == REDIS_REPLY_STRING ? atoi(reply->str) : 0;
    freeReplyObject(reply);
    return count;
}

static bool are_loads(void *arg)
{
    return loads() >= *(int *)arg;
}

static void assert_loads_reach(int count)
{
    assert_true(wait_until(are_loads, &count, PATIENT_MS));
}

struct source {
    _Atomic uint64_t begun_ms; /* the last load */
    const char *value;
    int error;
    unsigned ms; /* a load takes */
    bool held;   /* a load waits for `open` */
    atomic_bool open;
};

static bool is_open(void *arg)
{
    return atomic_load(&((struct source *)arg)->open);
}

static int load_it(struct strata_load *load, void *arg)
{
    struct source *source = arg;
    struct timespec time = {.tv_nsec = (long)source->ms * (long)STA_NS_MS};
    atomic_store(&source->begun_ms, sta_clock_now_ms());
    count_load();
    (void)nanosleep(&time, NULL);
    if (source->held && !wait_until(is_open, source, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    return source->error != 0 ? source->error
                              : strata_load_set(load, strata_text(source->value), 0);
}

/* ---- calls ---- */

struct call {
    struct strata *cache;
    struct source *source;
    struct strata_load_options options;
    pthread_t thread;
    int status;
    char got[32];
};

static void *call_run(void *arg)
{
    struct call *call = arg;
    struct strata_value value = {0};
    call->status = strata_get_or_load(call->cache, strata_text("k"), load_it, call->source,
                                      &call->options, &value);
    (void)snprintf(call->got, sizeof call->got, "%.*s", (int)value.bytes.len,
                   value.bytes.len > 0 ? (const char *)value.bytes.data : "");
    strata_release(&value);
    return NULL;
}

static void call_start(struct call *call)
{
    assert_int_equal(pthread_create(&call->thread, NULL, call_run, call), 0);
}

static void call_expect(struct call *call, int status, const char *got)
{
    pthread_join(call->thread, NULL);
    assert_int_equal(call->status, status);
    assert_string_equal(call->got, got);
}

/* ---- processes ---- */

/* Redis answers it. */
static bool is_connected(void *arg)
{
    return get_status(arg, "other") == STRATA_MISS;
}

/* In a process of its own: `threads` calls as soon as `go` is closed. Its exit code says whether
 * all were answered. */
static pid_t process_start(const int go[2], unsigned threads, struct source *source,
                           struct strata_load_options options)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct call calls[THREADS];
    struct strata *cache = NULL;
    /* Where Redis does not say in time whose the lease is, or cannot be reached, who asks loads
     * without one. */
    struct strata_options with = {.redis_url = cache_rig_url(), .socket_timeout_ms = LONG_MS};
    char byte;
    unsigned wrong = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)close(go[1]);
    if (strata_open(&cache, &with, NULL) != STRATA_OK ||
        !wait_until(is_connected, cache, PATIENT_MS) || read(go[0], &byte, 1) != 0)
        _exit(2);
    for (unsigned i = 0; i < threads; i++) {
        calls[i] = (struct call){.cache = cache, .source = source, .options = options};
        wrong += pthread_create(&calls[i].thread, NULL, call_run, &calls[i]) != 0;
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(calls[i].thread, NULL);
        wrong += calls[i].status != STRATA_OK || strcmp(calls[i].got, source->value) != 0;
    }
    strata_close(&cache);
    _exit(wrong == 0 ? 0 : 1);
}

static void processes_on_a_cold_key_load_it_once(void **state)
{
    (void)state;
    struct source source = {.value = "v", .ms = 200};
    pid_t pids[PROCESSES];
    int go[2], status;
    assert_int_equal(pipe(go), 0);
    for (unsigned i = 0; i < PROCESSES; i++) {
        pids[i] =
            process_start(go, THREADS, &source,
                          (struct strata_load_options){.lease_ms = LONG_MS, .wait_ms = LONG_MS});
        assert_true(pids[i] > 0);
    }
    (void)close(go[0]);
    (void)close(go[1]);
    for (unsigned i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(loads(), 1);
    assert_in_redis(PREFIX "k", "v");
    assert_in_redis(PREFIX "k:strata-lease", NULL);
}

static long long lease_left_ms(void)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL " PREFIX "k:strata-lease");
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    long long ms = reply->integer;
    freeReplyObject(reply);
    return ms;
}

static void a_dead_owner_holds_a_lease_no_longer_than_its_ttl(void **state)
{
    (void)state;
    struct source dies = {.value = "never", .held = true}, source = {.value = "v"};
    int go[2], status;
    assert_int_equal(pipe(go), 0);
    pid_t pid = process_start(go, 1, &dies, (struct strata_load_options){.lease_ms = 2000});
    assert_true(pid > 0);
    (void)close(go[0]);
    (void)close(go[1]);
    assert_loads_reach(1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    uint64_t killed_ms = sta_clock_now_ms();
    long long left_ms = lease_left_ms();
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct call call = {.cache = cache, .source = &source};
    call.options.lease_ms = LONG_MS;
    call.options.wait_ms = PATIENT_MS;
    (void)call_run(&call);
    assert_int_equal(call.status, STRATA_OK);
    assert_string_equal(call.got, "v");
    assert_int_equal(loads(), 2);
    print_message("# the next load began %llu ms after the kill; %lld ms were left of the lease\n",
                  (unsigned long long)(source.begun_ms - killed_ms), left_ms);
    strata_close(&cache);
}

/* ---- two caches ---- */

struct two {
    struct source source;
    struct call owner, other;
};

/* The owner is in its loader, the other one has not begun. */
static void two_open(struct two *two, struct strata_options options, uint64_t lease_ms)
{
    options.socket_timeout_ms = PATIENT_MS;
    two->source.held = true;
    two->owner = (struct call){.cache = cache_rig_open(options), .source = &two->source};
    two->owner.options.lease_ms = lease_ms;
    two->other = two->owner;
    two->other.cache = cache_rig_open(options);
    call_start(&two->owner);
    assert_loads_reach(1);
}

static void two_close(struct two *two)
{
    strata_close(&two->owner.cache);
    strata_close(&two->other.cache);
}

/* It has asked Redis for the key, which is not there. */
static bool has_asked(void *arg)
{
    return numbers(arg).l2.misses >= 1;
}

static void assert_woken(struct strata_options options, uint64_t misses_most)
{
    struct two two = {.source = {.value = "v"}};
    struct timespec while_it_waits = {.tv_nsec = 300 * (long)STA_NS_MS};
    two_open(&two, options, LONG_MS);
    call_start(&two.other);
    assert_true(wait_until(has_asked, two.other.cache, PATIENT_MS));
    (void)nanosleep(&while_it_waits, NULL);
    atomic_store(&two.source.open, true);
    call_expect(&two.owner, STRATA_OK, "v");
    call_expect(&two.other, STRATA_OK, "v");
    assert_int_equal(loads(), 1);
    assert_true(numbers(two.other.cache).l2.misses <= misses_most);
    two_close(&two);
}

static void who_waits_is_woken_by_redis_and_does_not_ask_again_and_again(void **state)
{
    (void)state;
    assert_woken((struct strata_options){0}, 2);
    assert_int_equal(cache_rig_flush(NULL), 0);
    assert_woken((struct strata_options){.tracking = STRATA_TRACKING_BCAST}, 2);
}

/* 5, 10, 20, ... 200 ms. */
static void without_tracking_who_waits_asks_less_and_less_often(void **state)
{
    (void)state;
    assert_woken((struct strata_options){.tracking = STRATA_TRACKING_OFF}, PATIENT_MS / 200 + 8);
}

static void an_owner_that_fails_lets_the_next_one_load_at_once(void **state)
{
    (void)state;
    struct two two = {.source = {.value = "v", .error = OWN_ERROR}};
    struct source works = {.value = "v"};
    two_open(&two, (struct strata_options){0}, LONG_MS);
    two.other.source = &works;
    call_start(&two.other);
    assert_true(wait_until(has_asked, two.other.cache, PATIENT_MS));
    atomic_store(&two.source.open, true);
    call_expect(&two.owner, OWN_ERROR, "");
    call_expect(&two.other, STRATA_OK, "v");
    assert_int_equal(loads(), 2);
    two_close(&two);
}

static void who_waits_for_another_process_has_a_budget_of_his_own(void **state)
{
    (void)state;
    struct two two = {.source = {.value = "v"}};
    two_open(&two, (struct strata_options){0}, LONG_MS);
    two.other.options.wait_ms = 50;
    call_start(&two.other);
    call_expect(&two.other, STRATA_ERR_TIMEOUT, "");
    /* One that has time is not told that another of its process had none. */
    struct call patient = two.other;
    patient.options.wait_ms = PATIENT_MS;
    call_start(&two.other);
    call_start(&patient);
    call_expect(&two.other, STRATA_ERR_TIMEOUT, "");
    atomic_store(&two.source.open, true);
    call_expect(&patient, STRATA_OK, "v");
    call_expect(&two.owner, STRATA_OK, "v");
    assert_int_equal(loads(), 1);
    two_close(&two);
}

static bool is_over(void *arg)
{
    (void)arg;
    redisReply *reply = redisCommand(cache_rig_foreign(), "EXISTS " PREFIX "k:strata-lease");
    bool over = reply->integer == 0;
    freeReplyObject(reply);
    return over;
}

/* Its lease was over, another has loaded and stored since, and somebody has deleted that. */
static void a_late_owner_stores_nothing(void **state)
{
    (void)state;
    struct two two = {.source = {.value = "old"}};
    struct source new = {.value = "new"};
    two_open(&two, (struct strata_options){0}, SHORT_MS);
    two.other.source = &new;
    two.other.options.lease_ms = LONG_MS;
    assert_true(wait_until(is_over, NULL, PATIENT_MS));
    call_start(&two.other);
    call_expect(&two.other, STRATA_OK, "new");
    assert_in_redis(PREFIX "k", "new");
    redis_do("DEL", PREFIX "k", NULL);
    atomic_store(&two.source.open, true);
    call_expect(&two.owner, STRATA_OK, "old");
    assert_in_redis(PREFIX "k", NULL);
    two_close(&two);
}

/* Nobody else has come, but the lease is over: what was loaded may be too old. */
static void a_late_owner_stores_nothing_where_nobody_came_after_it(void **state)
{
    (void)state;
    struct two two = {.source = {.value = "old"}};
    two_open(&two, (struct strata_options){.tracking = STRATA_TRACKING_OFF}, SHORT_MS);
    assert_true(wait_until(is_over, NULL, PATIENT_MS));
    atomic_store(&two.source.open, true);
    call_expect(&two.owner, STRATA_OK, "old");
    assert_in_redis(PREFIX "k", NULL);
    two_close(&two);
}

static int start(void **state)
{
    if (cache_rig_start(state) != 0)
        return -1;
    return setenv("TEST_REDIS_SOCKET", cache_rig_socket(), 1);
}

static bool is_lease_there(void *arg)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "EXISTS " PREFIX "k:strata-lease");
    bool there = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    freeReplyObject(reply);
    return there == *(bool *)arg;
}

/* It loads without one, and the lease that Redis made later holds up nobody. */
static void a_lease_that_redis_was_late_to_give_is_given_back(void **state)
{
    (void)state;
    bool gone = false;
    struct source source = {.value = "v", .error = OWN_ERROR};
    struct strata *cache = cache_rig_open((struct strata_options){.socket_timeout_ms = SHORT_MS});
    struct call call = {.cache = cache, .source = &source, .options = {.lease_ms = LONG_MS}};
    assert_int_equal(get_status(cache, "other"), STRATA_MISS); /* it is connected */
    freeReplyObject(redisCommand(cache_rig_foreign(), "CLIENT PAUSE 700 WRITE"));
    source.held = true;
    call_start(&call);
    redis_do("SET", PREFIX "other", "v"); /* as long as the pause takes */
    atomic_store(&source.open, true);
    call_expect(&call, OWN_ERROR, "");
    assert_true(wait_until(is_lease_there, &gone, PATIENT_MS));
    strata_close(&cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)
    const struct CMUnitTest tests[] = {
        TEST(processes_on_a_cold_key_load_it_once),
        TEST(a_dead_owner_holds_a_lease_no_longer_than_its_ttl),
        TEST(who_waits_is_woken_by_redis_and_does_not_ask_again_and_again),
        TEST(without_tracking_who_waits_asks_less_and_less_often),
        TEST(an_owner_that_fails_lets_the_next_one_load_at_once),
        TEST(who_waits_for_another_process_has_a_budget_of_his_own),
        TEST(a_late_owner_stores_nothing),
        TEST(a_late_owner_stores_nothing_where_nobody_came_after_it),
        TEST(a_lease_that_redis_was_late_to_give_is_given_back),
    };
    return cmocka_run_group_tests(tests, start, cache_rig_stop);
}
