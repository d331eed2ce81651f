/* SPDX-License-Identifier: MIT
 *
 * strata_get_or_load_async(): one load for all that want a key, whichever way they ask; nobody is
 * held up, and everybody is answered once. Against a real Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "cache/load.h"
#include "cache/tiers.h"
#include "integration/cache_rig.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define SOON_MS    60u /* a TTL */
#define LONG_MS    100000u
#define PREFIX     "atp:cache:"
#define OWN_ERROR  (-1234)
#define MANY       10000u
#define THREADS    4u /* that ask for them */

/* ---- a source of values ---- */

struct source {
    const char *value; /* NULL: there is none */
    int error;
    bool held; /* a load waits for `open` */
    atomic_bool open;
    atomic_uint begun;
};

static bool is_open(void *arg)
{
    return atomic_load(&((struct source *)arg)->open);
}

static bool has_begun(void *arg)
{
    return atomic_load(&((struct source *)arg)->begun) > 0;
}

static int load_it(struct strata_load *load, void *arg)
{
    struct source *source = arg;
    atomic_fetch_add(&source->begun, 1);
    if (source->held && !wait_until(is_open, source, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    if (source->error != 0)
        return source->error;
    return source->value != NULL ? strata_load_set(load, strata_text(source->value), 0)
                                 : STRATA_MISS;
}

/* ---- a call, and what became of it ---- */

struct call {
    struct strata *cache;
    struct source *source;
    struct strata_load_options options;
    const char *key;
    struct strata_queue *queue;
    int status;
    char got[16];
    pthread_t thread;
    atomic_uint ends;
};

static void note(void *arg, int status, struct strata_value *value)
{
    struct call *call = arg;
    call->status = status;
    call->thread = pthread_self();
    if (value != NULL)
        (void)snprintf(call->got, sizeof call->got, "%.*s", (int)value->bytes.len,
                       (const char *)value->bytes.data);
    atomic_fetch_add(&call->ends, 1);
}

static bool has_ended(void *arg)
{
    return atomic_load(&((struct call *)arg)->ends) > 0;
}

static void call_start(struct call *call)
{
    atomic_store(&call->ends, 0);
    call->got[0] = '\0';
    assert_int_equal(strata_get_or_load_async(call->cache, strata_text(call->key), load_it,
                                              call->source, &call->options,
                                              (struct strata_completion){note, call, call->queue}),
                     STRATA_OK);
}

static void call_expect(struct call *call, int status, const char *got)
{
    assert_true(wait_until(has_ended, call, PATIENT_MS));
    assert_int_equal(call->status, status);
    assert_string_equal(call->got, got);
    assert_int_equal(atomic_load(&call->ends), 1);
}

/* The same by the call that waits, on a thread of its own. */
static void *call_wait(void *arg)
{
    struct call *call = arg;
    struct strata_value value = {0};
    int status = strata_get_or_load(call->cache, strata_text(call->key), load_it, call->source,
                                    &call->options, &value);
    note(call, status, value.owner[1] != NULL ? &value : NULL);
    strata_release(&value);
    return NULL;
}

/* ---- one load ---- */

struct crowd {
    struct call *calls;
    pthread_t thread;
    bool waits;
};

static void *ask_often(void *arg)
{
    struct crowd *crowd = arg;
    for (unsigned i = 0; i < MANY / THREADS; i++)
        call_start(&crowd->calls[i]);
    return NULL;
}

static bool have_all_ended(void *arg)
{
    struct call *calls = arg;
    for (unsigned i = 0; i < MANY; i++)
        if (atomic_load(&calls[i].ends) == 0)
            return false;
    return true;
}

static void ten_thousand_misses_of_a_key_cost_one_read_and_one_load(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {.value = "v", .held = true};
    struct call *calls = calloc(MANY, sizeof *calls);
    struct crowd crowd[THREADS];
    assert_non_null(calls);
    for (unsigned i = 0; i < MANY; i++)
        calls[i] = (struct call){.cache = cache, .source = &source, .key = "k"};
    for (unsigned i = 0; i < MANY; i++)
        calls[i].options.wait_ms = 3 * PATIENT_MS;
    for (unsigned i = 0; i < THREADS; i++) {
        crowd[i].calls = calls + i * (MANY / THREADS);
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, ask_often, &crowd[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(crowd[i].thread, NULL);
    /* What was asked is posted in order: once this is answered, all have joined. */
    assert_int_equal(get_status(cache, "other"), STRATA_MISS);
    atomic_store(&source.open, true);
    assert_true(wait_until(have_all_ended, calls, 3 * PATIENT_MS));
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(calls[i].status, STRATA_OK);
        assert_string_equal(calls[i].got, "v");
        assert_int_equal(atomic_load(&calls[i].ends), 1);
    }
    assert_int_equal(atomic_load(&source.begun), 1);
    assert_int_equal(numbers(cache).l2.hits + numbers(cache).l2.misses, 1 + 1); /* and "other" */
    assert_int_equal(numbers(cache).loads, 1);
    assert_int_equal(numbers(cache).loads_shared, MANY - 1);
    assert_in_redis(PREFIX "k", "v");
    strata_close(&cache);
    free(calls);
}

static void calls_that_wait_and_calls_that_do_not_share_a_load(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct strata *cache = cache_rig_open((struct strata_options){0});
        struct source source = {.value = "v", .held = true};
        struct call waits = {.cache = cache, .source = &source, .key = "k"}, other = waits;
        pthread_t thread;
        waits.options.wait_ms = other.options.wait_ms = PATIENT_MS;
        if (i == 0)
            call_start(&other);
        else
            assert_int_equal(pthread_create(&thread, NULL, call_wait, &waits), 0);
        assert_true(wait_until(has_begun, &source, PATIENT_MS));
        if (i == 0)
            assert_int_equal(pthread_create(&thread, NULL, call_wait, &waits), 0);
        else
            call_start(&other);
        atomic_store(&source.open, true);
        call_expect(&waits, STRATA_OK, "v");
        call_expect(&other, STRATA_OK, "v");
        pthread_join(thread, NULL);
        assert_int_equal(atomic_load(&source.begun), 1);
        strata_close(&cache);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

static void what_a_tier_has_is_not_loaded(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {.value = "loaded"};
    struct call call = {.cache = cache, .source = &source, .key = "k"};
    redis_do("SET", PREFIX "k", "there");
    for (unsigned i = 0; i < 2; i++) { /* from Redis, then from L1 */
        call_start(&call);
        call_expect(&call, STRATA_OK, "there");
        assert_false(pthread_equal(call.thread, pthread_self()));
    }
    assert_int_equal(atomic_load(&source.begun), 0);
    strata_close(&cache);
}

static void each_way_to_answer_gets_through(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source none = {0}, ill = {.error = OWN_ERROR}, source = {.value = "v"};
    struct call call = {.cache = cache, .source = &none, .key = "k"};
    call.options.null_ttl_ms = LONG_MS;
    call_start(&call);
    call_expect(&call, STRATA_MISS, "");
    call_start(&call); /* known */
    call_expect(&call, STRATA_MISS, "");
    assert_int_equal(atomic_load(&none.begun), 1);
    call.key = "e";
    call.source = &ill;
    call_start(&call);
    call_expect(&call, OWN_ERROR, "");
    call.source = &source;
    call.options.lease_ms = LONG_MS;
    call_start(&call); /* errors are not kept */
    call_expect(&call, STRATA_OK, "v");
    assert_in_redis(PREFIX "e", "v");
    assert_in_redis(PREFIX "{e}:strata-lease", NULL);
    assert_in_redis(PREFIX "e:strata-lease", NULL);
    assert_int_equal(strata_get_or_load_async(cache, strata_text(""), load_it, &source, NULL,
                                              (struct strata_completion){note, &call, NULL}),
                     STRATA_ERR_INVALID);
    assert_int_equal(strata_get_or_load_async(cache, strata_text("k"), NULL, NULL, NULL,
                                              (struct strata_completion){note, &call, NULL}),
                     STRATA_ERR_INVALID);
    strata_close(&cache);
}

static void with_a_queue_it_is_told_there_also_after_the_close(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {.value = "v"};
    struct strata_queue *queue = NULL;
    assert_int_equal(strata_queue_open(&queue), STRATA_OK);
    struct call call = {.cache = cache, .source = &source, .key = "k", .queue = queue};
    struct call hit = call;
    struct pollfd fd = {.fd = strata_queue_fd(queue), .events = POLLIN};
    call_start(&call);
    assert_int_equal(poll(&fd, 1, (int)PATIENT_MS), 1);
    assert_int_equal(strata_queue_dispatch(queue, 0), 1);
    call_expect(&call, STRATA_OK, "v");
    assert_true(pthread_equal(call.thread, pthread_self()));
    call_start(&hit); /* L1 has it */
    assert_int_equal(poll(&fd, 1, (int)PATIENT_MS), 1);
    strata_close(&cache);
    assert_int_equal(strata_queue_dispatch(queue, 0), 1);
    call_expect(&hit, STRATA_OK, "v");
    strata_queue_close(&queue);
}

/* ---- overtaken ---- */

enum overtaker { DELETE, DELETE_AND_LOAD, FOREIGN_SET };

static void what_is_overtaken_is_not_kept(void **state)
{
    (void)state;
    for (enum overtaker by = DELETE; by <= FOREIGN_SET; by++) {
        const char *kept[] = {NULL, "new", "theirs"};
        struct strata *cache = cache_rig_open((struct strata_options){0});
        struct source old = {.value = "old", .held = true}, new = {.value = "new"};
        struct call before = {.cache = cache, .source = &old, .key = "k"};
        struct call after = {.cache = cache, .source = &new, .key = "k"};
        call_start(&before);
        assert_true(wait_until(has_begun, &old, PATIENT_MS));
        if (by == FOREIGN_SET)
            redis_do("SET", PREFIX "k", "theirs");
        else
            assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_MISS);
        if (by == DELETE_AND_LOAD) {
            call_start(&after);
            call_expect(&after, STRATA_OK, "new"); /* it does not share what was loaded before */
        }
        atomic_store(&old.open, true);
        assert_true(wait_until(has_ended, &before, PATIENT_MS));
        assert_int_equal(before.status, STRATA_OK);
        assert_in_redis(PREFIX "k", kept[by]);
        if (kept[by] != NULL)
            assert_value(cache, "k", kept[by]);
        else
            assert_int_equal(get_status(cache, "k"), STRATA_MISS);
        strata_close(&cache);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

/* ---- time-outs, and what was there before ---- */

static bool is_kept(void *arg)
{
    return get_status(arg, "k") == STRATA_OK;
}

static bool is_past_its_time(void *arg)
{
    return get_status(arg, "k") == STRATA_MISS;
}

static void a_call_ends_at_its_timeout_and_the_load_goes_on(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.socket_timeout_ms = 300});
    struct source source = {.value = "v", .held = true};
    struct call own = {.cache = cache, .source = &source, .key = "k"};
    struct call hard = own, other = own, patient = own;
    hard.options.hard_timeout_ms = 1;
    patient.options.wait_ms = PATIENT_MS;
    call_start(&own); /* waits for its own load as long as that takes */
    assert_true(wait_until(has_begun, &source, PATIENT_MS));
    call_start(&hard);
    call_start(&other); /* the budget */
    call_start(&patient);
    call_expect(&hard, STRATA_ERR_TIMEOUT, "");
    call_expect(&other, STRATA_ERR_TIMEOUT, "");
    assert_false(has_ended(&own));
    assert_false(has_ended(&patient));
    atomic_store(&source.open, true);
    call_expect(&own, STRATA_OK, "v");
    call_expect(&patient, STRATA_OK, "v");
    assert_true(wait_until(is_kept, cache, PATIENT_MS));
    strata_close(&cache);
}

static void an_old_value_is_for_who_asks_for_it(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source first = {.value = "old"}, ill = {.error = OWN_ERROR, .held = true};
    struct call call = {.cache = cache, .source = &first, .key = "k"};
    call.options = (struct strata_load_options){.ttl_ms = SOON_MS, .stale_ms = LONG_MS};
    call_start(&call);
    call_expect(&call, STRATA_OK, "old");
    assert_true(wait_until(is_past_its_time, cache, PATIENT_MS));
    struct call takes = call, refuses = call, soft = call;
    takes.source = refuses.source = soft.source = &ill;
    takes.options.wait_ms = refuses.options.wait_ms = PATIENT_MS;
    refuses.options.stale_ms = 0;
    soft.options.soft_timeout_ms = 1;
    call_start(&takes);
    assert_true(wait_until(has_begun, &ill, PATIENT_MS));
    call_start(&refuses);
    call_start(&soft);
    call_expect(&soft, STRATA_STALE, "old");
    atomic_store(&ill.open, true);
    call_expect(&takes, STRATA_STALE, "old");
    call_expect(&refuses, OWN_ERROR, "");
    strata_close(&cache);
}

/* ---- nobody is held up ---- */

static void while_a_loader_runs_the_io_thread_is_free(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source held = {.value = "v", .held = true}, source = {.value = "w"};
    struct call slow = {.cache = cache, .source = &held, .key = "k"};
    struct call quick = {.cache = cache, .source = &source, .key = "l"};
    call_start(&slow);
    assert_true(wait_until(has_begun, &held, PATIENT_MS));
    call_start(&quick);
    call_expect(&quick, STRATA_OK, "w");
    assert_false(has_ended(&slow));
    atomic_store(&held.open, true);
    call_expect(&slow, STRATA_OK, "v");
    strata_close(&cache);
}

static void more_loads_than_may_wait_are_turned_away(void **state)
{
    (void)state;
    enum { CALLS = STA_LOAD_POOL_THREADS + STA_LOAD_POOL_JOBS + 40 };
    static struct call calls[CALLS];
    static char names[CALLS][16];
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {.value = "v", .held = true};
    unsigned busy = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%u", i);
        calls[i] = (struct call){.cache = cache, .source = &source, .key = names[i]};
        call_start(&calls[i]);
    }
    assert_true(wait_until(has_begun, &source, PATIENT_MS));
    /* The first is answered after all others have been sent, the second after they have been
     * answered. */
    assert_int_equal(get_status(cache, "other"), STRATA_MISS);
    assert_int_equal(get_status(cache, "another"), STRATA_MISS);
    atomic_store(&source.open, true);
    for (unsigned i = 0; i < CALLS; i++) {
        assert_true(wait_until(has_ended, &calls[i], PATIENT_MS));
        assert_true(calls[i].status == STRATA_OK || calls[i].status == STRATA_ERR_BUSY);
        busy += calls[i].status == STRATA_ERR_BUSY;
    }
    assert_in_range(busy, 40 - STA_LOAD_POOL_THREADS, 40 + STA_LOAD_POOL_THREADS);
    strata_close(&cache);
}

/* A completion begins the next call. */
struct chain {
    struct strata *cache;
    struct source *source;
    unsigned step;
    atomic_bool over;
    int worst;
};

static void next_step(void *arg, int status, struct strata_value *value)
{
    struct chain *chain = arg;
    char key[16];
    (void)value;
    chain->worst = status != STRATA_OK ? status : chain->worst;
    if (chain->step++ == 50) {
        atomic_store(&chain->over, true);
        return;
    }
    (void)snprintf(key, sizeof key, "step%u", chain->step / 2); /* a miss, then a hit */
    status = strata_get_or_load_async(chain->cache, strata_text(key), load_it, chain->source, NULL,
                                      (struct strata_completion){next_step, chain, NULL});
    if (status != STRATA_OK)
        chain->worst = status;
}

static bool is_chain_over(void *arg)
{
    return atomic_load(&((struct chain *)arg)->over);
}

static bool is_waited_for(void *arg)
{
    return sta_flight_holders(&((struct sta_cache *)arg)->flights) == 2;
}

/* As a refresh for which no thread is free does, or a call with time-outs: its flight ends before
 * anybody was asked. Who listens to that finds out for himself. */
static void who_could_not_begin_a_load_turns_nobody_else_away(void **state)
{
    (void)state;
    struct strata *handle = cache_rig_open((struct strata_options){0});
    struct sta_cache *cache = handle->cache;
    struct source source = {.value = "loaded"};
    struct call call = {.cache = handle, .source = &source, .key = "k"};
    const struct strata_load_options options = {0};
    struct sta_load_call refresh = {.cache = cache, .options = &options, .early = true};
    struct strata_load load = {.call = &refresh, .key = strata_text("k")}, *one = &load;
    redis_do("SET", PREFIX "k", "there");
    sta_load_begin(&refresh);
    assert_int_equal(sta_load_join(&load, 0), STRATA_OK);
    call_start(&call);
    assert_true(wait_until(is_waited_for, cache, PATIENT_MS));
    sta_load_abandon(&one, 1, STRATA_ERR_BUSY);
    call_expect(&call, STRATA_OK, "there");
    assert_int_equal(atomic_load(&source.begun), 0);
    strata_close(&handle);
}

static void completions_may_begin_others(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {.value = "v"};
    struct chain chain = {.cache = cache, .source = &source};
    next_step(&chain, STRATA_OK, NULL);
    assert_true(wait_until(is_chain_over, &chain, PATIENT_MS));
    assert_int_equal(chain.worst, STRATA_OK);
    strata_close(&cache);
}

/* ---- from within loaders, on all threads of the cache ---- */

struct outer {
    struct call call;  /* its own */
    struct call begun; /* of another key, begun meanwhile */
    struct call inner; /* by its loader, which waits for that */
    struct source source;
    atomic_uint *all;
    atomic_bool *open;
    char key[16], inner_key[16];
};

static bool have_all_begun(void *arg)
{
    return atomic_load((atomic_uint *)arg) == STA_LOAD_POOL_THREADS;
}

static bool is_set(void *arg)
{
    return atomic_load((atomic_bool *)arg);
}

static int load_outer(struct strata_load *load, void *arg)
{
    struct outer *outer = arg;
    atomic_fetch_add(outer->all, 1);
    if (!wait_until(is_set, outer->open, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    (void)call_wait(&outer->inner);
    return strata_load_set(load, strata_text("outer"), 0);
}

static void outer_start(struct outer *outer, struct strata *cache, unsigned number)
{
    (void)snprintf(outer->key, sizeof outer->key, "outer%u", number);
    (void)snprintf(outer->inner_key, sizeof outer->inner_key, "inner%u", number);
    outer->source.value = "inner";
    outer->begun = (struct call){.cache = cache, .source = &outer->source};
    outer->begun.key = outer->inner_key;
    outer->begun.options.wait_ms = STRATA_UNLIMITED;
    outer->inner = outer->begun;
    assert_int_equal(strata_get_or_load_async(cache, strata_text(outer->key), load_outer, outer,
                                              NULL,
                                              (struct strata_completion){note, &outer->call, NULL}),
                     STRATA_OK);
}

struct holders {
    struct strata *cache;
    unsigned count;
};

static bool has_holders(void *arg)
{
    const struct holders *holders = arg;
    return sta_flight_holders(&holders->cache->cache->flights) == holders->count;
}

static bool do_all_wait(void *arg)
{
    struct sta_load_pool *pool = &((struct strata *)arg)->cache->pool;
    pthread_mutex_lock(&pool->lock);
    bool waiting = pool->waiting == STA_LOAD_POOL_THREADS;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

/* Of loads that no thread has begun: they wait for Redis when they are waited for, or in the queue
 * for threads already. */
static void loaders_wait_for_asynchronous_loads(bool of_redis)
{
    enum { N = STA_LOAD_POOL_THREADS };
    struct redis_server *server = NULL;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache = cache_rig_open((struct strata_options){
        .redis_url = redis_server_url(server), .socket_timeout_ms = LONG_MS});
    struct outer outer[N] = {0};
    atomic_uint all = 0;
    atomic_bool open = false;
    for (unsigned i = 0; i < N; i++) {
        outer[i].all = &all;
        outer[i].open = &open;
        outer_start(&outer[i], cache, i);
    }
    assert_true(wait_until(have_all_begun, &all, PATIENT_MS));
    if (of_redis)
        redis_server_freeze(server);
    for (unsigned i = 0; i < N; i++)
        call_start(&outer[i].begun);
    /* Of each flight that runs, and who listens for it; then the loaders, too. */
    struct holders joined = {cache, 4 * N}, waited = {cache, 5 * N};
    assert_true(of_redis ? wait_until(has_holders, &joined, PATIENT_MS)
                         : wait_until(do_all_wait, cache, PATIENT_MS));
    atomic_store(&open, true);
    if (of_redis) {
        assert_true(wait_until(has_holders, &waited, PATIENT_MS));
        redis_server_thaw(server);
    }
    for (unsigned i = 0; i < N; i++) {
        call_expect(&outer[i].call, STRATA_OK, "outer");
        call_expect(&outer[i].inner, STRATA_OK, "inner");
        call_expect(&outer[i].begun, STRATA_OK, "inner");
    }
    strata_close(&cache);
    redis_server_stop(&server);
}

static void loaders_on_all_threads_may_wait_for_what_is_loaded_asynchronously(void **state)
{
    (void)state;
    loaders_wait_for_asynchronous_loads(false);
    loaders_wait_for_asynchronous_loads(true);
}

/* ---- closing ---- */

/* Some run, some wait for a thread, some wait for these, and some have not been answered by
 * Redis. */
static void closing_ends_each_call_once(void **state)
{
    (void)state;
    enum { CALLS = 40 };
    static struct call calls[CALLS];
    static char names[CALLS][16];
    struct redis_server *frozen = NULL;
    assert_int_equal(redis_server_start(&frozen, NULL), 0);
    struct strata *cache = cache_rig_open((struct strata_options){
        .redis_url = redis_server_url(frozen), .socket_timeout_ms = LONG_MS});
    struct source source = {.value = "v", .held = true}, opens = {.value = "v"};
    for (unsigned i = 0; i < CALLS / 2; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%u", i / 2);
        calls[i] = (struct call){.cache = cache, .source = &source, .key = names[i]};
        calls[i].options.hard_timeout_ms = i % 4 == 0 ? LONG_MS : 0;
        call_start(&calls[i]);
    }
    assert_true(wait_until(has_begun, &source, PATIENT_MS));
    assert_int_equal(get_status(cache, "other"), STRATA_MISS);
    redis_server_freeze(frozen);
    for (unsigned i = CALLS / 2; i < CALLS; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%u", i / 2);
        calls[i] = (struct call){.cache = cache, .source = &opens, .key = names[i]};
        calls[i].options.hard_timeout_ms = i % 4 == 0 ? LONG_MS : 0;
        call_start(&calls[i]);
    }
    atomic_store(&source.open, true);
    redis_server_thaw(frozen);
    strata_close(&cache);
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(atomic_load(&calls[i].ends), 1);
        assert_true(calls[i].status == STRATA_OK || calls[i].status == STRATA_ERR_CLOSED);
    }
    redis_server_stop(&frozen);
}

/* Redis is silent for good. */
static void closing_ends_calls_that_redis_does_not_answer(void **state)
{
    (void)state;
    struct redis_server *frozen = NULL;
    assert_int_equal(redis_server_start(&frozen, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(frozen)});
    struct source source = {.value = "v"};
    struct call first = {.cache = cache, .source = &source, .key = "k"}, second = first;
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    redis_server_freeze(frozen);
    call_start(&first);
    call_start(&second);
    strata_close(&cache);
    assert_int_equal(atomic_load(&first.ends), 1);
    assert_int_equal(atomic_load(&second.ends), 1);
    assert_int_equal(first.status, STRATA_ERR_CLOSED);
    assert_int_equal(second.status, STRATA_ERR_CLOSED);
    assert_int_equal(atomic_load(&source.begun), 0);
    redis_server_thaw(frozen);
    redis_server_stop(&frozen);
}

static void without_redis_it_loads_all_the_same(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF});
    struct source source = {.value = "v"};
    struct call call = {.cache = cache, .source = &source, .key = "k"};
    for (unsigned i = 0; i < 2; i++) {
        call_start(&call);
        call_expect(&call, STRATA_OK, "v");
    }
    assert_int_equal(atomic_load(&source.begun), 1);
    strata_close(&cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)
    const struct CMUnitTest tests[] = {
        TEST(ten_thousand_misses_of_a_key_cost_one_read_and_one_load),
        TEST(calls_that_wait_and_calls_that_do_not_share_a_load),
        TEST(what_a_tier_has_is_not_loaded),
        TEST(each_way_to_answer_gets_through),
        TEST(with_a_queue_it_is_told_there_also_after_the_close),
        TEST(what_is_overtaken_is_not_kept),
        TEST(a_call_ends_at_its_timeout_and_the_load_goes_on),
        TEST(an_old_value_is_for_who_asks_for_it),
        TEST(while_a_loader_runs_the_io_thread_is_free),
        TEST(more_loads_than_may_wait_are_turned_away),
        TEST(who_could_not_begin_a_load_turns_nobody_else_away),
        TEST(completions_may_begin_others),
        TEST(loaders_on_all_threads_may_wait_for_what_is_loaded_asynchronously),
        TEST(closing_ends_each_call_once),
        TEST(closing_ends_calls_that_redis_does_not_answer),
        TEST(without_redis_it_loads_all_the_same),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
