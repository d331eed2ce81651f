/* SPDX-License-Identifier: MIT
 *
 * Threads that read and write through a cache and check each answer.
 */
#include "integration/load.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/stall.h"
#include "support/wait.h"

#define VALUE_MOST 2048u
#define BATCH_MOST 64u

/* What a thread knows of one of its keys. */
struct known {
    uint32_t acknowledged; /* 0: nothing yet */
    uint32_t attempted;
};

struct worker {
    struct load *load;
    pthread_t thread;
    unsigned number;
    uint64_t draw;
    struct known *keys;
    _Atomic uint64_t calls;
    _Atomic uint64_t streak; /* calls without an error, up to now */
};

struct load {
    struct load *next; /* of `running` */
    struct load_config config;
    _Atomic bool ending;
    pthread_mutex_t lock; /* of result */
    struct load_result result;
    struct worker *workers;
};

static struct load *running; /* of the thread that runs the tests */

/* ---- values that describe themselves ---- */

static void key_text(const struct worker *worker, unsigned key, char *text, size_t cap)
{
    (void)snprintf(text, cap, "%s:%u:%u", worker->load->config.prefix, worker->number, key);
}

static uint32_t mix(uint32_t value)
{
    value = (value ^ (value >> 16)) * 0x45d9f3bu;
    return value ^ (value >> 13);
}

/* The value of a key's n-th write; its length differs from write to write. */
static size_t make_value(const char *key, uint32_t number, char *value)
{
    uint32_t seed = number;
    for (const char *c = key; *c != '\0'; c++)
        seed = mix(seed + (unsigned char)*c);
    int head = snprintf(value, VALUE_MOST, "%s=%u|", key, number);
    size_t len = (size_t)head + seed % 64 + (seed % 16 == 0 ? 1500 : 0);
    for (size_t i = (size_t)head; i < len; i++)
        value[i] = (char)('!' + mix(seed + (uint32_t)i) % 90);
    return len;
}

/* The number of the write that the value is of; 0 where it is none of this key's. */
static uint32_t value_number(const char *key, struct strata_bytes value)
{
    char expected[VALUE_MOST];
    char head[128];
    size_t len = value.len < sizeof head - 1 ? value.len : sizeof head - 1;
    memcpy(head, value.data, len);
    head[len] = '\0';
    const char *number = strrchr(head, '=') != NULL ? strchr(head, '=') + 1 : "0";
    uint32_t told = (uint32_t)strtoul(number, NULL, 10);
    len = make_value(key, told, expected);
    return len == value.len && memcmp(expected, value.data, len) == 0 ? told : 0;
}

/* ---- counting ---- */

static void count_failure(struct worker *worker, int status)
{
    struct load *load = worker->load;
    (void)pthread_mutex_lock(&load->lock);
    load->result.failed++;
    load->result.errors[-status < LOAD_STATUSES ? -status : 0]++;
    (void)pthread_mutex_unlock(&load->lock);
    atomic_store(&worker->streak, 0);
}

static void count_call(struct worker *worker, struct stall_mark start)
{
    struct load *load = worker->load;
    uint64_t took_ns = stall_took_ns(start);
    (void)pthread_mutex_lock(&load->lock);
    if (took_ns > load->result.longest_ns)
        load->result.longest_ns = took_ns;
    (void)pthread_mutex_unlock(&load->lock);
    atomic_fetch_add(&worker->calls, 1);
    atomic_fetch_add(&worker->streak, 1);
}

static void note_wrong(struct load_result *result, const char *key, const struct known *known,
                       struct strata_bytes value)
{
    if (result->wrong++ == 0)
        (void)snprintf(result->first_wrong, sizeof result->first_wrong,
                       "%s (of %u, %u acknowledged) answered %zu bytes: %.*s", key,
                       known->attempted, known->acknowledged, value.len,
                       (int)(value.len < 64 ? value.len : 64), (const char *)value.data);
}

static void judge(struct worker *worker, unsigned key, int status, struct strata_bytes value)
{
    struct load *load = worker->load;
    const struct known *known = &worker->keys[key];
    char text[96];
    if (status < 0) {
        count_failure(worker, status);
        return;
    }
    key_text(worker, key, text, sizeof text);
    uint32_t number = status == STRATA_OK ? value_number(text, value) : 0;
    (void)pthread_mutex_lock(&load->lock);
    load->result.reads++;
    if (status == STRATA_OK && (number == 0 || number > known->attempted))
        note_wrong(&load->result, text, known, value);
    else if (number < known->acknowledged)
        load->result.lost++;
    (void)pthread_mutex_unlock(&load->lock);
}

/* ---- calls ---- */

static uint64_t draw(struct worker *worker)
{
    worker->draw ^= worker->draw << 13;
    worker->draw ^= worker->draw >> 7;
    worker->draw ^= worker->draw << 17;
    return worker->draw;
}

static void write_one(struct worker *worker, unsigned key)
{
    struct known *known = &worker->keys[key];
    char text[96];
    char value[VALUE_MOST];
    uint32_t number = ++known->attempted;
    key_text(worker, key, text, sizeof text);
    size_t len = make_value(text, number, value);
    int status = strata_set(worker->load->config.cache, strata_text(text),
                            (struct strata_bytes){.data = value, .len = len}, 0);
    if (status != STRATA_OK) {
        count_failure(worker, status);
        return;
    }
    known->acknowledged = number;
    (void)pthread_mutex_lock(&worker->load->lock);
    worker->load->result.writes++;
    (void)pthread_mutex_unlock(&worker->load->lock);
}

static void read_one(struct worker *worker, unsigned key)
{
    char text[96];
    struct strata_value value = {0};
    key_text(worker, key, text, sizeof text);
    int status = strata_get(worker->load->config.cache, strata_text(text), &value);
    judge(worker, key, status, value.bytes);
    strata_release(&value);
}

static void read_batch(struct worker *worker)
{
    const struct load_config *config = &worker->load->config;
    char texts[BATCH_MOST][96];
    unsigned numbers[BATCH_MOST];
    struct strata_bytes keys[BATCH_MOST];
    struct strata_value values[BATCH_MOST] = {0};
    int statuses[BATCH_MOST];
    for (unsigned i = 0; i < config->batch; i++) {
        numbers[i] = (unsigned)(draw(worker) % config->keys);
        key_text(worker, numbers[i], texts[i], sizeof texts[i]);
        keys[i] = strata_text(texts[i]);
    }
    (void)strata_get_many(config->cache, keys, config->batch, values, statuses);
    for (unsigned i = 0; i < config->batch; i++) {
        judge(worker, numbers[i], statuses[i], values[i].bytes);
        strata_release(&values[i]);
    }
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    const struct load_config *config = &worker->load->config;
    const struct timespec pause = {.tv_nsec = (long)config->pause_us * 1000};
    while (!atomic_load(&worker->load->ending)) {
        struct stall_mark start = stall_mark();
        unsigned key = (unsigned)(draw(worker) % config->keys);
        unsigned choice = (unsigned)(draw(worker) % 4);
        if (choice < 2)
            write_one(worker, key);
        else if (choice == 2 && config->batch > 0)
            read_batch(worker);
        else
            read_one(worker, key);
        count_call(worker, start);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- life ---- */

struct load *load_start(const struct load_config *config)
{
    struct load *load = calloc(1, sizeof *load);
    assert_non_null(load);
    load->config = *config;
    load->config.threads = config->threads != 0 ? config->threads : 4;
    load->config.keys = config->keys != 0 ? config->keys : 200;
    load->config.pause_us = config->pause_us != 0 ? config->pause_us : 300;
    assert_true(config->batch <= BATCH_MOST);
    (void)pthread_mutex_init(&load->lock, NULL);
    load->workers = calloc(load->config.threads, sizeof *load->workers);
    for (unsigned i = 0; i < load->config.threads; i++) {
        struct worker *worker = &load->workers[i];
        *worker = (struct worker){.load = load, .number = i, .draw = 0x9e3779b97f4a7c15u * (i + 1)};
        worker->keys = calloc(load->config.keys, sizeof *worker->keys);
        assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
    }
    load->next = running;
    running = load;
    return load;
}

struct load_result load_look(const struct load *load)
{
    struct load *it = (struct load *)(uintptr_t)load;
    (void)pthread_mutex_lock(&it->lock);
    struct load_result result = it->result;
    (void)pthread_mutex_unlock(&it->lock);
    return result;
}

static struct load_result load_end(struct load *load, bool reads)
{
    struct load **at = &running;
    while (*at != load)
        at = &(*at)->next;
    *at = load->next;
    atomic_store(&load->ending, true);
    for (unsigned i = 0; i < load->config.threads; i++) {
        struct worker *worker = &load->workers[i];
        (void)pthread_join(worker->thread, NULL);
        for (unsigned key = 0; reads && key < load->config.keys; key++)
            read_one(worker, key);
        free(worker->keys);
    }
    struct load_result result = load->result;
    (void)pthread_mutex_destroy(&load->lock);
    free(load->workers);
    free(load);
    return result;
}

struct load_result load_stop(struct load **pointer)
{
    struct load_result result = load_end(*pointer, true);
    *pointer = NULL;
    return result;
}

void load_stop_left(void)
{
    while (running != NULL)
        (void)load_end(running, false);
}

/* ---- waiting and judging ---- */

struct goal {
    const struct load *load;
    unsigned calls;
    uint64_t *from;
};

static bool has_streak(void *arg)
{
    const struct goal *goal = arg;
    for (unsigned i = 0; i < goal->load->config.threads; i++)
        if (atomic_load(&goal->load->workers[i].streak) < goal->calls)
            return false;
    return true;
}

/* Counts anew: what went well before the call is not asked for. */
bool load_recovers(const struct load *load, unsigned calls, unsigned timeout_ms)
{
    struct goal goal = {.load = load, .calls = calls};
    for (unsigned i = 0; i < load->config.threads; i++)
        atomic_store(&load->workers[i].streak, 0);
    return wait_until(has_streak, &goal, timeout_ms);
}

static bool has_gone_on(void *arg)
{
    const struct goal *goal = arg;
    for (unsigned i = 0; i < goal->load->config.threads; i++)
        if (atomic_load(&goal->load->workers[i].calls) < goal->from[i] + goal->calls)
            return false;
    return true;
}

bool load_goes_on(const struct load *load, unsigned calls, unsigned timeout_ms)
{
    uint64_t from[64];
    struct goal goal = {.load = load, .calls = calls, .from = from};
    for (unsigned i = 0; i < load->config.threads; i++)
        from[i] = atomic_load(&load->workers[i].calls);
    return wait_until(has_gone_on, &goal, timeout_ms);
}

void load_assert_right(const struct load_result *result)
{
    if (result->wrong > 0)
        print_error("%llu wrong answers; the first: %s\n", (unsigned long long)result->wrong,
                    result->first_wrong);
    assert_int_equal(result->wrong, 0);
}

void load_assert_none_lost(const struct load_result *result)
{
    assert_int_equal(result->lost, 0);
}
