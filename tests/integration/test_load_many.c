/* SPDX-License-Identifier: MIT
 *
 * strata_get_or_load_many(): one call of the loader for all that neither tier has, an answer for
 * each key, and batches that want the same keys at the same time. Against a real Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/load_pool.h"
#include "integration/cache_rig.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define SOON_MS    60u /* a TTL */
#define LONG_MS    100000u
#define PREFIX     "atp:cache:"
#define OWN_ERROR  (-1234)
#define MOST       8u /* keys of one call, but for the large one */

/* ---- a source of values: a key says itself what becomes of it ---- */

struct source {
    int returns;
    bool ill;
    bool held; /* a load waits for `open` */
    atomic_bool open;
    atomic_uint begun, asked; /* calls of the loader, and keys in them */
    char last[64];            /* the keys of the last one, with blanks between them */
};

static bool is_open(void *arg)
{
    return atomic_load(&((struct source *)arg)->open);
}

static bool has_begun(void *arg)
{
    return atomic_load(&((struct source *)arg)->begun) > 0;
}

/* "v...": its own name; "n...": there is none, for long; "e...": an error; "x...": no answer;
 * "t...": its own name, for long; "o...": its own name, an error while the source is ill. */
static void answer(const struct source *source, struct strata_load *load)
{
    struct strata_bytes key = strata_load_key(load);
    switch (*(const char *)key.data) {
    case 'v':
        assert_int_equal(strata_load_set(load, key, 0), STRATA_OK);
        break;
    case 't':
        assert_int_equal(strata_load_set(load, key, LONG_MS), STRATA_OK);
        break;
    case 'n':
        strata_load_set_none(load, LONG_MS);
        break;
    case 'e':
        assert_int_equal(strata_load_set_error(load, 0), STRATA_ERR_INVALID);
        assert_int_equal(strata_load_set_error(load, OWN_ERROR), STRATA_OK);
        break;
    case 'o':
        if (source->ill)
            (void)strata_load_set_error(load, OWN_ERROR);
        else
            assert_int_equal(strata_load_set(load, key, 0), STRATA_OK);
        break;
    default:
        break;
    }
}

static int load_them(struct strata_load *const *loads, size_t count, void *arg)
{
    struct source *source = arg;
    source->last[0] = '\0';
    atomic_fetch_add(&source->asked, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        struct strata_bytes key = strata_load_key(loads[i]);
        size_t len = strlen(source->last);
        if (len + key.len + 2 < sizeof source->last)
            (void)snprintf(source->last + len, sizeof source->last - len, "%s%.*s",
                           i > 0 ? " " : "", (int)key.len, (const char *)key.data);
    }
    atomic_fetch_add(&source->begun, 1);
    if (source->held && !wait_until(is_open, source, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    for (size_t i = 0; i < count; i++)
        answer(source, loads[i]);
    return source->returns;
}

/* ---- a call, perhaps of another thread ---- */

struct call {
    struct strata *cache;
    struct source *source;
    struct strata_load_options options;
    const char *keys; /* with blanks between them */
    pthread_t thread;
    size_t count;
    int status, statuses[MOST];
    char got[MOST][32];
};

static void call_run(struct call *call)
{
    struct strata_bytes keys[MOST];
    struct strata_value values[MOST];
    call->count = 0;
    for (const char *c = call->keys; *c != '\0';) {
        size_t len = strcspn(c, " ");
        keys[call->count++] = strata_bytes(c, len);
        c += len + (c[len] == ' ');
    }
    call->status = strata_get_or_load_many(call->cache, keys, call->count, load_them, call->source,
                                           &call->options, values, call->statuses);
    for (size_t i = 0; i < call->count; i++) {
        bool answered = call->statuses[i] == STRATA_OK || call->statuses[i] == STRATA_STALE;
        assert_true(answered || values[i].owner[1] == NULL);
        (void)snprintf(call->got[i], sizeof call->got[i], "%.*s", (int)values[i].bytes.len,
                       values[i].bytes.len > 0 ? (const char *)values[i].bytes.data : "");
        strata_release(&values[i]);
    }
}

static void *call_thread(void *arg)
{
    call_run(arg);
    return NULL;
}

static void call_start(struct call *call)
{
    assert_int_equal(pthread_create(&call->thread, NULL, call_thread, call), 0);
}

/* Each has its own name for a value, where there is one. */
static void call_check(const struct call *call, int status, const int *statuses)
{
    for (size_t i = 0; i < call->count; i++) {
        assert_int_equal(call->statuses[i], statuses[i]);
        if (statuses[i] != STRATA_OK)
            continue;
        size_t len = strlen(call->got[i]);
        const char *at = strstr(call->keys, call->got[i]);
        assert_true(len > 0 && at != NULL && (at[len] == ' ' || at[len] == '\0'));
    }
    assert_int_equal(call->status, status);
}

#define EXPECT(call, status, ...) call_check(call, status, (const int[]){__VA_ARGS__})

/* ---- one call ---- */

static void what_neither_tier_has_is_loaded_by_one_call_of_the_loader(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {0};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 v2 v3 v4 v5"};
    assert_int_equal(set_text(cache, "v2", "v2", 0), STRATA_OK); /* L1 has it */
    redis_do("SET", PREFIX "v4", "v4");                          /* Redis has it */
    uint64_t asked = numbers(cache).l2.hits + numbers(cache).l2.misses;
    call_run(&call);
    EXPECT(&call, STRATA_OK, STRATA_OK, STRATA_OK, STRATA_OK, STRATA_OK, STRATA_OK);
    assert_int_equal(atomic_load(&source.begun), 1);
    assert_string_equal(source.last, "v1 v3 v5");
    assert_int_equal(numbers(cache).l2.hits + numbers(cache).l2.misses, asked + 4);
    assert_in_redis(PREFIX "v1", "v1");
    assert_in_redis(PREFIX "v5", "v5");
    asked = numbers(cache).l2.hits + numbers(cache).l2.misses;
    call_run(&call);
    EXPECT(&call, STRATA_OK, STRATA_OK, STRATA_OK, STRATA_OK, STRATA_OK, STRATA_OK);
    assert_int_equal(atomic_load(&source.begun), 1);
    assert_int_equal(numbers(cache).l2.hits + numbers(cache).l2.misses, asked); /* L1 has all */
    assert_int_equal(numbers(cache).loads, 3);
    strata_close(&cache);
}

static void each_key_has_an_answer_of_its_own(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {.returns = STRATA_MISS};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 n2 e3 x4 t5"};
    call.options.ttl_ms = SOON_MS;
    call_run(&call);
    EXPECT(&call, STRATA_ERR_PARTIAL, STRATA_OK, STRATA_MISS, OWN_ERROR, STRATA_MISS, STRATA_OK);
    /* Known are the values and that there is no n2, whose loader named a time. */
    call.keys = "n2 e3 x4 t5";
    call_run(&call);
    EXPECT(&call, STRATA_ERR_PARTIAL, STRATA_MISS, OWN_ERROR, STRATA_MISS, STRATA_OK);
    assert_string_equal(source.last, "e3 x4");
    assert_int_equal(numbers(cache).loads_failed, 2);
    source.returns = OWN_ERROR; /* of what has no answer */
    call.keys = "v6 x7 n8";
    call_run(&call);
    EXPECT(&call, STRATA_ERR_PARTIAL, STRATA_OK, OWN_ERROR, STRATA_MISS);
    source.returns = STRATA_OK;
    call.keys = "x7 x9";
    call_run(&call);
    EXPECT(&call, STRATA_ERR_INVALID, STRATA_ERR_INVALID, STRATA_ERR_INVALID);
    strata_close(&cache);
}

static bool is_gone_from_redis(void *arg)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "EXISTS %s", (const char *)arg);
    assert_non_null(reply);
    bool gone = reply->integer == 0;
    freeReplyObject(reply);
    return gone;
}

static void each_value_has_the_ttl_that_its_loader_names(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {0};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 t2"};
    call.options.ttl_ms = SOON_MS;
    call_run(&call);
    EXPECT(&call, STRATA_OK, STRATA_OK, STRATA_OK);
    assert_true(wait_until(is_gone_from_redis, PREFIX "v1", PATIENT_MS));
    assert_in_redis(PREFIX "t2", "t2");
    strata_close(&cache);
}

static void a_key_that_is_named_often_is_loaded_once(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {0};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 e2 v1 v3 e2 v1"};
    call_run(&call);
    EXPECT(&call, STRATA_ERR_PARTIAL, STRATA_OK, OWN_ERROR, STRATA_OK, STRATA_OK, OWN_ERROR,
           STRATA_OK);
    assert_string_equal(source.last, "v1 e2 v3");
    strata_close(&cache);
}

static void a_key_that_is_refused_leaves_the_others_alone(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {0};
    struct strata_bytes keys[] = {strata_text("v1"), strata_text("")};
    struct strata_value values[2];
    int statuses[2];
    assert_int_equal(
        strata_get_or_load_many(cache, keys, 2, load_them, &source, NULL, values, statuses),
        STRATA_ERR_PARTIAL);
    assert_int_equal(statuses[0], STRATA_OK);
    assert_int_equal(statuses[1], STRATA_ERR_INVALID);
    strata_release(&values[0]);
    /* Nobody has to look at each. */
    assert_int_equal(
        strata_get_or_load_many(cache, keys, 1, load_them, &source, NULL, values, NULL), STRATA_OK);
    strata_release(&values[0]);
    assert_int_equal(
        strata_get_or_load_many(cache, keys, 0, load_them, &source, NULL, values, NULL), STRATA_OK);
    strata_close(&cache);
}

static void with_leases_it_is_refused(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {0};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 v2"};
    call.options.lease_ms = LONG_MS;
    call_run(&call);
    EXPECT(&call, STRATA_ERR_UNSUPPORTED, STRATA_ERR_UNSUPPORTED, STRATA_ERR_UNSUPPORTED);
    assert_int_equal(atomic_load(&source.begun), 0);
    strata_close(&cache);
}

/* More than go at once anywhere on the way. */
#define LARGE 3000u

struct large {
    unsigned calls;
    size_t asked;
};

static int load_large(struct strata_load *const *loads, size_t count, void *arg)
{
    struct large *large = arg;
    large->calls++;
    large->asked += count;
    for (size_t i = 0; i < count; i++)
        (void)strata_load_set(loads[i], strata_load_key(loads[i]), 0);
    return STRATA_OK;
}

static void a_large_batch_is_loaded_by_one_call_and_kept(void **state)
{
    (void)state;
    static char names[LARGE][16];
    static struct strata_bytes keys[LARGE];
    static struct strata_value values[LARGE];
    struct strata *cache = cache_rig_open((struct strata_options){.l1_max_size = 2 * LARGE});
    struct large large = {0};
    for (unsigned i = 0; i < LARGE; i++) {
        (void)snprintf(names[i], sizeof names[i], "large:%u", i);
        keys[i] = strata_text(names[i]);
    }
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(
            strata_get_or_load_many(cache, keys, LARGE, load_large, &large, NULL, values, NULL),
            STRATA_OK);
        for (unsigned i = 0; i < LARGE; i++) {
            assert_int_equal(values[i].bytes.len, keys[i].len);
            assert_memory_equal(values[i].bytes.data, keys[i].data, keys[i].len);
            strata_release(&values[i]);
        }
        if (round == 0)
            assert_int_equal(large.asked, LARGE);
        assert_in_range(large.calls, 1, round + 1);
    }
    /* But for keys that share a generation with another that was stored before: these look
     * overtaken. One in fifty here. */
    assert_in_range(large.asked, LARGE, LARGE + LARGE / 10);
    strata_close(&cache);
}

static void without_redis_the_tier_that_is_there_keeps_it(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF});
    struct source source = {0};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 n2 v3"};
    for (unsigned round = 0; round < 2; round++) {
        call_run(&call);
        EXPECT(&call, STRATA_OK, STRATA_OK, STRATA_MISS, STRATA_OK);
    }
    assert_int_equal(atomic_load(&source.begun), 1);
    strata_close(&cache);
}

/* ---- batches at the same time ---- */

#define THREADS 8u
#define KEYS    64u
#define ROUNDS  20u

struct crowd {
    struct strata *cache;
    unsigned round;
    atomic_uint loads[KEYS];
    pthread_barrier_t start;
};

struct member {
    struct crowd *crowd;
    unsigned number;
    pthread_t thread;
    unsigned wrong;
};

static int load_for_crowd(struct strata_load *const *loads, size_t count, void *arg)
{
    struct crowd *crowd = arg;
    for (size_t i = 0; i < count; i++) {
        struct strata_bytes key = strata_load_key(loads[i]);
        char name[32]; /* the key's bytes have no end of their own */
        (void)snprintf(name, sizeof name, "%.*s", (int)key.len, (const char *)key.data);
        atomic_fetch_add(&crowd->loads[strtoul(strchr(name, ':') + 1, NULL, 10)], 1);
        if (strata_load_set(loads[i], key, 0) != STRATA_OK)
            return STRATA_ERR_NOMEM;
    }
    return STRATA_OK;
}

/* Each thread asks for the keys in an order of its own. */
static void *ask_for_all(void *arg)
{
    struct member *member = arg;
    struct crowd *crowd = member->crowd;
    char names[KEYS][32];
    struct strata_bytes keys[KEYS];
    struct strata_value values[KEYS];
    int statuses[KEYS];
    static const unsigned steps[THREADS] = {1, 63, 3, 61, 5, 59, 7, 57}; /* odd: all of them */
    struct strata_load_options options = {.wait_ms = PATIENT_MS};
    options.hard_timeout_ms = member->number % 4 == 3 ? PATIENT_MS : 0; /* some by the pool */
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned key = (member->number * 8 + i * steps[member->number]) % KEYS;
        (void)snprintf(names[i], sizeof names[i], "r%u:%u", crowd->round, key);
        keys[i] = strata_text(names[i]);
    }
    (void)pthread_barrier_wait(&crowd->start);
    (void)strata_get_or_load_many(crowd->cache, keys, KEYS, load_for_crowd, crowd, &options, values,
                                  statuses);
    for (unsigned i = 0; i < KEYS; i++) {
        bool right = statuses[i] == STRATA_OK && values[i].bytes.len == keys[i].len &&
                     memcmp(values[i].bytes.data, keys[i].data, keys[i].len) == 0;
        member->wrong += !right;
        strata_release(&values[i]);
    }
    return NULL;
}

static void batches_of_the_same_keys_load_each_once_and_do_not_hang(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l1_max_size = 10000});
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {.cache = cache, .round = round};
        struct member members[THREADS];
        (void)pthread_barrier_init(&crowd.start, NULL, THREADS);
        for (unsigned i = 0; i < THREADS; i++) {
            members[i] = (struct member){.crowd = &crowd, .number = i};
            assert_int_equal(pthread_create(&members[i].thread, NULL, ask_for_all, &members[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(members[i].thread, NULL);
            assert_int_equal(members[i].wrong, 0);
        }
        for (unsigned i = 0; i < KEYS; i++)
            assert_int_equal(atomic_load(&crowd.loads[i]), 1);
        (void)pthread_barrier_destroy(&crowd.start);
    }
    assert_int_equal(numbers(cache).loads, ROUNDS * KEYS);
    strata_close(&cache);
}

static void what_others_load_is_waited_for_after_the_own_keys_are_there(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source first = {.held = true}, second = {0};
    struct call one = {.cache = cache, .source = &first, .keys = "v1 v2"};
    struct call two = {.cache = cache, .source = &second, .keys = "v2 v3 v1"};
    two.options.wait_ms = PATIENT_MS;
    call_start(&one);
    assert_true(wait_until(has_begun, &first, PATIENT_MS));
    call_start(&two);
    assert_true(wait_until(has_begun, &second, PATIENT_MS));
    assert_string_equal(second.last, "v3");
    atomic_store(&first.open, true);
    pthread_join(one.thread, NULL);
    pthread_join(two.thread, NULL);
    EXPECT(&one, STRATA_OK, STRATA_OK, STRATA_OK);
    EXPECT(&two, STRATA_OK, STRATA_OK, STRATA_OK, STRATA_OK);
    assert_int_equal(numbers(cache).loads, 3);
    assert_int_equal(numbers(cache).loads_shared, 2);
    strata_close(&cache);
}

/* ---- overtaken ---- */

static bool has_let_go(void *arg)
{
    return get_status(arg, "v2") == STRATA_MISS;
}

static void what_is_overtaken_is_not_kept_and_the_rest_is(void **state)
{
    (void)state;
    for (unsigned foreign = 0; foreign < 2; foreign++) {
        struct strata *cache = cache_rig_open((struct strata_options){0});
        struct source source = {.held = true}, after = {0};
        struct call call = {.cache = cache, .source = &source, .keys = "v1 v2"};
        call_start(&call);
        assert_true(wait_until(has_begun, &source, PATIENT_MS));
        if (foreign)
            redis_do("SET", PREFIX "v2", "theirs");
        else
            assert_int_equal(strata_delete(cache, strata_text("v2")), STRATA_MISS);
        atomic_store(&source.open, true);
        pthread_join(call.thread, NULL);
        assert_int_equal(call.statuses[0], STRATA_OK);
        assert_int_equal(call.statuses[1], STRATA_OK);
        assert_in_redis(PREFIX "v1", "v1");
        assert_in_redis(PREFIX "v2", foreign ? "theirs" : NULL);
        if (foreign)
            assert_value(cache, "v2", "theirs");
        else
            assert_true(wait_until(has_let_go, cache, PATIENT_MS));
        call.source = &after;
        call_run(&call);
        assert_int_equal(atomic_load(&after.asked), foreign ? 0 : 1);
        strata_close(&cache);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

/* ---- what was there before, and time-outs ---- */

static bool are_past_their_time(void *arg)
{
    return get_status(arg, "v1") == STRATA_MISS && get_status(arg, "o2") == STRATA_MISS;
}

static void where_a_key_fails_its_old_value_is_the_answer(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {0};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 o2"};
    call.options = (struct strata_load_options){.ttl_ms = SOON_MS, .stale_ms = LONG_MS};
    call_run(&call);
    EXPECT(&call, STRATA_OK, STRATA_OK, STRATA_OK);
    assert_true(wait_until(are_past_their_time, cache, PATIENT_MS));
    source.ill = true;
    call.options.ttl_ms = LONG_MS;
    call_run(&call);
    EXPECT(&call, STRATA_OK, STRATA_OK, STRATA_STALE);
    assert_string_equal(call.got[1], "o2");
    strata_close(&cache);
}

static bool was_asked_for_both(void *arg)
{
    return atomic_load(&((struct source *)arg)->asked) == 2;
}

static void what_is_due_is_loaded_together_in_the_background(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {0}, early = {0};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 v2"};
    call.options = (struct strata_load_options){.ttl_ms = LONG_MS, .refresh_ahead = 0.000001};
    call_run(&call);
    call.source = &early;
    call.options.refresh_ahead = 0.000001;
    do {
        call_run(&call);
        EXPECT(&call, STRATA_OK, STRATA_OK, STRATA_OK);
    } while (!wait_until(has_begun, &early, SOON_MS));
    assert_true(wait_until(was_asked_for_both, &early, PATIENT_MS));
    strata_close(&cache);
    assert_int_equal(atomic_load(&early.begun), 1);
    assert_int_equal(atomic_load(&source.begun), 1);
}

static bool is_kept(void *arg)
{
    return get_status(arg, "v2") == STRATA_OK;
}

static void past_the_hard_timeout_what_is_there_is_answered_and_the_load_goes_on(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source source = {.held = true};
    struct call call = {.cache = cache, .source = &source, .keys = "v1 v2"};
    call.options.hard_timeout_ms = 1500;
    redis_do("SET", PREFIX "v1", "v1");
    call_run(&call);
    EXPECT(&call, STRATA_ERR_PARTIAL, STRATA_OK, STRATA_ERR_TIMEOUT);
    atomic_store(&source.open, true);
    assert_true(wait_until(is_kept, cache, PATIENT_MS));
    strata_close(&cache);
}

/* ---- from within loaders, on all threads of the cache ---- */

struct outer {
    struct strata *cache;
    atomic_uint *begun;
    char key[16];
    pthread_t thread;
    int status, inner_status;
};

static bool have_all_begun(void *arg)
{
    return atomic_load((atomic_uint *)arg) >= STA_LOAD_POOL_THREADS;
}

/* All want one key that is the same for all, and one of their own. */
static int load_outer(struct strata_load *load, void *arg)
{
    struct outer *outer = arg;
    char own[32];
    struct source source = {0};
    const struct strata_load_options options = {.hard_timeout_ms = PATIENT_MS};
    atomic_fetch_add(outer->begun, 1);
    if (!wait_until(have_all_begun, outer->begun, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    (void)snprintf(own, sizeof own, "v:%s", outer->key);
    struct strata_bytes keys[] = {strata_text("v:same"), strata_text(own)};
    struct strata_value values[2];
    outer->inner_status =
        strata_get_or_load_many(outer->cache, keys, 2, load_them, &source, &options, values, NULL);
    strata_release(&values[0]);
    strata_release(&values[1]);
    return strata_load_set(load, strata_text("outer"), 0);
}

static void *ask_outer(void *arg)
{
    struct outer *outer = arg;
    const struct strata_load_options options = {.hard_timeout_ms = 2 * PATIENT_MS};
    struct strata_value value = {0};
    outer->status = strata_get_or_load(outer->cache, strata_text(outer->key), load_outer, outer,
                                       &options, &value);
    strata_release(&value);
    return NULL;
}

static void loaders_on_all_threads_of_the_cache_may_load_batches(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct outer outer[STA_LOAD_POOL_THREADS];
    atomic_uint begun = 0;
    for (unsigned i = 0; i < STA_LOAD_POOL_THREADS; i++) {
        outer[i] = (struct outer){.cache = cache, .begun = &begun};
        (void)snprintf(outer[i].key, sizeof outer[i].key, "outer%u", i);
        assert_int_equal(pthread_create(&outer[i].thread, NULL, ask_outer, &outer[i]), 0);
    }
    for (unsigned i = 0; i < STA_LOAD_POOL_THREADS; i++) {
        pthread_join(outer[i].thread, NULL);
        assert_int_equal(outer[i].inner_status, STRATA_OK);
        assert_int_equal(outer[i].status, STRATA_OK);
    }
    strata_close(&cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)
    const struct CMUnitTest tests[] = {
        TEST(what_neither_tier_has_is_loaded_by_one_call_of_the_loader),
        TEST(each_key_has_an_answer_of_its_own),
        TEST(each_value_has_the_ttl_that_its_loader_names),
        TEST(a_key_that_is_named_often_is_loaded_once),
        TEST(a_key_that_is_refused_leaves_the_others_alone),
        TEST(with_leases_it_is_refused),
        TEST(a_large_batch_is_loaded_by_one_call_and_kept),
        TEST(without_redis_the_tier_that_is_there_keeps_it),
        TEST(batches_of_the_same_keys_load_each_once_and_do_not_hang),
        TEST(what_others_load_is_waited_for_after_the_own_keys_are_there),
        TEST(what_is_overtaken_is_not_kept_and_the_rest_is),
        TEST(where_a_key_fails_its_old_value_is_the_answer),
        TEST(what_is_due_is_loaded_together_in_the_background),
        TEST(past_the_hard_timeout_what_is_there_is_answered_and_the_load_goes_on),
        TEST(loaders_on_all_threads_of_the_cache_may_load_batches),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
