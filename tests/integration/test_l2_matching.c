/* SPDX-License-Identifier: MIT
 *
 * No reply is ever given to the wrong request: millions of pipelined requests of two threads
 * through one connection, with values that say which key and which write they belong to, while
 * another thread has Redis cut the connection at random moments and freezes it now and then.
 *
 * Each thread owns keys of its own and a window of requests in flight. What a thread submits
 * arrives in order, so a GET must bring a value of its very key, written by a SET that is not
 * older than the last one that was acknowledged when the GET was submitted, and not newer than
 * the last one submitted. SET and GET sent as one request must bring exactly what was set.
 * Client-side tracking is switched on now and then: Redis then pushes invalidations in between
 * the replies of one request. Some requests have no time at all, and leave late replies behind.
 *
 * STRATA_TEST_REQUESTS says how many requests must be answered: 10 million by default, 300
 * thousand under sanitizers.
 */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l2/l2.h"
#include "strata/status.h"
#include "support/redis_server.h"
#include "support/wait.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REQUESTS_DEFAULT 300000
#else
#define REQUESTS_DEFAULT 10000000
#endif

#define THREADS     2
#define WINDOW      256 /* requests in flight of a thread; a power of two */
#define KEYS        64  /* of a thread */
#define TEXT_CAP    320
#define BUDGET_NS   (10 * STA_NS_SEC)
#define HURRY_NS    (2 * STA_NS_MS) /* of one request in HURRY_EVERY */
#define HURRY_EVERY 997
#define PATIENCE_MS 120000

enum kind { ECHO, SET, GET, SET_AND_GET, TRACKING, KINDS };

struct slot {
    struct sta_operation operation;
    struct worker *worker;
    enum kind kind;
    unsigned key;
    uint64_t sequence; /* of the write, or of the echo */
    uint64_t at_least; /* the write that a GET must see, or a newer one */
    uint64_t at_most;  /* fixed at submission: nothing newer had been submitted before it */
    int status;
    atomic_bool in_flight;
    char wire[2 * TEXT_CAP + 256];
};

struct worker {
    struct test *test;
    unsigned number;
    pthread_t thread;
    uint64_t random;
    uint64_t sequence;
    uint64_t submitted;
    uint64_t wanted; /* answers */

    /* Done slots on their way back: filled by the loop thread, emptied by the worker. `back`
     * counts them, and orders the accesses. */
    struct slot *returned[WINDOW];
    unsigned returned_in;
    unsigned returned_out;
    sem_t back;

    /* Of the loop thread; at_least is read through `acknowledged` by the worker. */
    _Atomic(uint64_t) acknowledged[KEYS]; /* newest write of each key that Redis confirmed */
    uint64_t answered;
    uint64_t statuses[64]; /* by -status */

    uint64_t written[KEYS]; /* newest write of each key that was submitted; the worker's */
    struct slot slots[WINDOW];
};

struct test {
    struct redis_server *server;
    struct sta_redis_url url;
    struct sta_loop *loop;
    struct sta_l2 *l2;
    struct worker workers[THREADS];
    atomic_uint working;
    atomic_uint wrong;
    pthread_mutex_t lock;
    char first_wrong[512]; /* guarded by lock */
};

/* ---- what is said ---- */

/* "k1:17#42#" and a tail whose letter and length the number decides. */
static size_t value_text(char *text, const struct worker *worker, unsigned key, uint64_t sequence)
{
    int len =
        snprintf(text, TEXT_CAP, "k%u:%u#%llu#", worker->number, key, (unsigned long long)sequence);
    size_t tail = (size_t)(sequence * 7919 % 200);
    memset(text + len, 'a' + (int)(sequence % 26), tail);
    return (size_t)len + tail;
}

static size_t put_bulk(char *out, const char *text, size_t len)
{
    int head = snprintf(out, 32, "$%zu\r\n", len);
    memcpy(out + head, text, len);
    memcpy(out + (size_t)head + len, "\r\n", 2);
    return (size_t)head + len + 2;
}

/* An array of two or three: verb, key or text, value. */
static size_t put_command(char *out, const char *verb, const char *key, size_t key_len,
                          const char *value, size_t value_len)
{
    size_t len = (size_t)sprintf(out, "*%d\r\n", value != NULL ? 3 : 2);
    len += put_bulk(out + len, verb, strlen(verb));
    len += put_bulk(out + len, key, key_len);
    return value != NULL ? len + put_bulk(out + len, value, value_len) : len;
}

static size_t slot_wire(struct slot *slot)
{
    char key[32];
    char value[TEXT_CAP];
    size_t key_len = (size_t)snprintf(key, sizeof key, "k%u:%u", slot->worker->number, slot->key);
    size_t value_len = value_text(value, slot->worker, slot->key, slot->sequence);
    size_t len = 0;
    switch (slot->kind) {
    case ECHO:
        return put_command(slot->wire, "ECHO", value, value_len, NULL, 0);
    case TRACKING:
        return (size_t)sprintf(slot->wire, "CLIENT TRACKING %s\r\n",
                               slot->sequence % 2 == 0 ? "ON" : "OFF");
    case GET:
        return put_command(slot->wire, "GET", key, key_len, NULL, 0);
    case SET:
        return put_command(slot->wire, "SET", key, key_len, value, value_len);
    default:
        len = put_command(slot->wire, "SET", key, key_len, value, value_len);
        return len + put_command(slot->wire + len, "GET", key, key_len, NULL, 0);
    }
}

/* ---- what is answered; on the loop thread ---- */

static bool is_text(struct strata_bytes replies, const char *text)
{
    return replies.len == strlen(text) && memcmp(replies.data, text, replies.len) == 0;
}

static bool is_bulk(struct strata_bytes replies, const char *text, size_t len)
{
    char expected[TEXT_CAP + 32];
    size_t expected_len = put_bulk(expected, text, len);
    return replies.len == expected_len && memcmp(replies.data, expected, expected_len) == 0;
}

/* The value names its write: that must be one that this GET may see, and every byte right. */
static bool is_value_in_range(const struct slot *slot, struct strata_bytes replies)
{
    char copy[TEXT_CAP + 32];
    char value[TEXT_CAP];
    if (is_text(replies, "_\r\n"))
        return slot->at_least == 0;
    if (replies.len >= sizeof copy)
        return false;
    memcpy(copy, replies.data, replies.len);
    copy[replies.len] = 0;
    const char *hash = strchr(copy, '#');
    if (hash == NULL)
        return false;
    uint64_t sequence = strtoull(hash + 1, NULL, 10);
    return sequence >= slot->at_least && sequence <= slot->at_most &&
           is_bulk(replies, value, value_text(value, slot->worker, slot->key, sequence));
}

static bool slot_is_right(const struct slot *slot, struct strata_bytes replies)
{
    char value[TEXT_CAP];
    size_t len = value_text(value, slot->worker, slot->key, slot->sequence);
    switch (slot->kind) {
    case ECHO:
        return is_bulk(replies, value, len);
    case TRACKING:
    case SET:
        return is_text(replies, "+OK\r\n");
    case GET:
        return is_value_in_range(slot, replies);
    default:
        return replies.len > 5 && is_text(strata_bytes(replies.data, 5), "+OK\r\n") &&
               is_bulk(strata_bytes((const char *)replies.data + 5, replies.len - 5), value, len);
    }
}

static void test_note_wrong(struct test *test, const struct slot *slot, struct strata_bytes replies,
                            const char *what)
{
    atomic_fetch_add(&test->wrong, 1);
    pthread_mutex_lock(&test->lock);
    if (test->first_wrong[0] == 0)
        (void)snprintf(test->first_wrong, sizeof test->first_wrong,
                       "%s: kind %d, key k%u:%u, write %llu (%llu..%llu): %.*s", what,
                       (int)slot->kind, slot->worker->number, slot->key,
                       (unsigned long long)slot->sequence, (unsigned long long)slot->at_least,
                       (unsigned long long)slot->at_most,
                       (int)(replies.len < 200 ? replies.len : 200), (const char *)replies.data);
    pthread_mutex_unlock(&test->lock);
}

static void on_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct slot *slot = STA_CONTAINER(operation, struct slot, operation);
    struct worker *worker = slot->worker;
    if (!atomic_exchange_explicit(&slot->in_flight, false, memory_order_relaxed)) {
        test_note_wrong(worker->test, slot, replies, "done twice");
        return;
    }
    worker->statuses[-status]++;
    slot->status = status;
    if (status == STRATA_OK) {
        worker->answered++;
        if (!slot_is_right(slot, replies))
            test_note_wrong(worker->test, slot, replies, "wrong reply");
        /* Released with the semaphore. */
        if (slot->kind == SET || slot->kind == SET_AND_GET)
            atomic_store_explicit(&worker->acknowledged[slot->key], slot->sequence,
                                  memory_order_relaxed);
    }
    worker->returned[worker->returned_in++ % WINDOW] = slot;
    (void)sem_post(&worker->back);
}

/* ---- the workers ---- */

static bool is_ready(void *arg)
{
    struct test *test = arg;
    struct sta_connection_statistics statistics;
    sta_l2_statistics(test->l2, &statistics);
    return statistics.state == STA_CONNECTION_READY;
}

static enum kind worker_choose(struct worker *worker)
{
    static const enum kind kinds[] = {ECHO, ECHO, SET, GET, GET, GET, SET_AND_GET, SET_AND_GET};
    if (worker->number == 0 && worker->submitted % 30000 == 1)
        return TRACKING;
    return kinds[sta_random_below(&worker->random, sizeof kinds / sizeof kinds[0])];
}

static void worker_submit(struct worker *worker, struct slot *slot)
{
    uint64_t budget_ns = worker->submitted % HURRY_EVERY == 0 ? HURRY_NS : BUDGET_NS;
    slot->kind = worker_choose(worker);
    slot->key = (unsigned)sta_random_below(&worker->random, KEYS);
    slot->sequence = ++worker->sequence;
    slot->at_least = atomic_load_explicit(&worker->acknowledged[slot->key], memory_order_relaxed);
    slot->at_most = worker->written[slot->key];
    if (slot->kind == SET || slot->kind == SET_AND_GET)
        worker->written[slot->key] = slot->sequence;
    slot->operation = (struct sta_operation){
        .request = {.wire = strata_bytes(slot->wire, slot_wire(slot)),
                    .commands = slot->kind == SET_AND_GET ? 2 : 1,
                    .deadline_ns = sta_clock_now_ns() + budget_ns},
        .done = on_done,
    };
    atomic_store_explicit(&slot->in_flight, true, memory_order_relaxed);
    worker->submitted++;
    sta_l2_submit(worker->test->l2, &slot->operation);
}

static struct slot *worker_take_back(struct worker *worker)
{
    while (sem_wait(&worker->back) != 0)
        ; /* interrupted */
    return worker->returned[worker->returned_out++ % WINDOW];
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    uint64_t answers = 0;
    unsigned out = WINDOW;
    for (unsigned i = 0; i < WINDOW; i++)
        worker_submit(worker, &worker->slots[i]);
    while (out > 0) {
        struct slot *slot = worker_take_back(worker);
        answers += slot->status == STRATA_OK;
        if (slot->status == STRATA_ERR_UNAVAILABLE)
            (void)wait_until(is_ready, worker->test, PATIENCE_MS);
        if (answers < worker->wanted)
            worker_submit(worker, slot);
        else
            out--;
    }
    atomic_fetch_sub(&worker->test->working, 1);
    return NULL;
}

/* ---- the disturber ---- */

static void nap_ms(uint64_t ms)
{
    const struct timespec nap = {.tv_sec = 0, .tv_nsec = (long)(ms * STA_NS_MS)};
    (void)nanosleep(&nap, NULL);
}

/* A nap is not waiting for anything here: it is the random moment. */
static unsigned disturb_until_done(struct test *test, uint64_t *random)
{
    unsigned kills = 0;
    redisContext *redis = redisConnectUnix(redis_server_socket(test->server));
    assert_non_null(redis);
    while (atomic_load(&test->working) > 0) {
        nap_ms(5 + sta_random_below(random, 100));
        if (sta_random_below(random, 10) == 0) {
            redis_server_freeze(test->server);
            nap_ms(1 + sta_random_below(random, 20));
            redis_server_thaw(test->server);
        }
        redisReply *reply = redisCommand(redis, "CLIENT KILL TYPE normal");
        assert_non_null(reply);
        kills += (unsigned)reply->integer;
        freeReplyObject(reply);
    }
    redisFree(redis);
    return kills;
}

/* ---- the test ---- */

static uint64_t requests_wanted(void)
{
    const char *text = getenv("STRATA_TEST_REQUESTS");
    uint64_t count = text != NULL ? strtoull(text, NULL, 10) : 0;
    return count > 0 ? count : REQUESTS_DEFAULT;
}

static void test_open(struct test *test)
{
    char text[256];
    struct sta_l2_config config = {.router.node.connection = {.backoff_max_ns = 20 * STA_NS_MS}};
    assert_int_equal(redis_server_start(&test->server, NULL), 0);
    (void)snprintf(text, sizeof text, "unix://%s", redis_server_socket(test->server));
    assert_int_equal(sta_redis_url_parse(text, &test->url, NULL), STRATA_OK);
    config.router.node.connection.url = &test->url;
    assert_int_equal(sta_loop_create(&test->loop), STRATA_OK);
    assert_int_equal(sta_l2_create(&test->l2, test->loop, &config, NULL), STRATA_OK);
    assert_int_equal(sta_loop_start(test->loop, "test-l2"), STRATA_OK);
    pthread_mutex_init(&test->lock, NULL);
}

static void test_close(struct test *test)
{
    sta_loop_stop(test->loop);
    sta_loop_join(test->loop);
    sta_l2_destroy(&test->l2);
    sta_loop_destroy(&test->loop);
    pthread_mutex_destroy(&test->lock);
    redis_server_stop(&test->server);
}

static void worker_start(struct test *test, unsigned number, uint64_t wanted)
{
    struct worker *worker = &test->workers[number];
    worker->test = test;
    worker->number = number;
    worker->random = 1000 + number;
    worker->wanted = wanted;
    (void)sem_init(&worker->back, 0, 0);
    for (unsigned i = 0; i < WINDOW; i++)
        worker->slots[i].worker = worker;
    assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void test_report(struct test *test, unsigned kills, uint64_t began_ns)
{
    uint64_t counts[64] = {0};
    struct sta_connection_statistics statistics;
    sta_l2_statistics(test->l2, &statistics);
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned status = 0; status < 64; status++)
            counts[status] += test->workers[i].statuses[status];
    print_message("%llu answered, %llu lost, %llu timed out, %llu unavailable; "
                  "%u kills, %llu pushes, %llu late replies; %.1f s\n",
                  (unsigned long long)counts[0], (unsigned long long)counts[-STRATA_ERR_LOST],
                  (unsigned long long)counts[-STRATA_ERR_TIMEOUT],
                  (unsigned long long)counts[-STRATA_ERR_UNAVAILABLE], kills,
                  (unsigned long long)statistics.pushes, (unsigned long long)statistics.late,
                  (double)(sta_clock_now_ns() - began_ns) / STA_NS_SEC);
}

static void no_reply_is_given_to_the_wrong_request(void **state)
{
    (void)state;
    struct test *test = calloc(1, sizeof *test);
    uint64_t random = 4711;
    uint64_t began_ns = sta_clock_now_ns();
    assert_non_null(test);
    test_open(test);
    atomic_store(&test->working, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        worker_start(test, i, requests_wanted() / THREADS);
    unsigned kills = disturb_until_done(test, &random);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(test->workers[i].thread, NULL), 0);
    test_report(test, kills, began_ns);
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *worker = &test->workers[i];
        uint64_t done = 0;
        for (unsigned status = 0; status < 64; status++)
            done += worker->statuses[status];
        assert_int_equal(done, worker->submitted); /* each exactly once */
        assert_true(worker->answered >= worker->wanted);
        (void)sem_destroy(&worker->back);
    }
    assert_string_equal(test->first_wrong, "");
    assert_int_equal(atomic_load(&test->wrong), 0);
    assert_true(kills > 0);
    test_close(test);
    free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_reply_is_given_to_the_wrong_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
