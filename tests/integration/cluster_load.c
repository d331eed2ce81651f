/* SPDX-License-Identifier: MIT
 *
 * See cluster_load.h.
 */
#include "cluster_load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "strata/status.h"
#include "support/wait.h"

#define KEYS        200 /* of a thread */
#define THREADS_MAX 16

/* A key's value is a number. Those from `acknowledged` to `submitted` may be there. */
struct known {
    uint64_t acknowledged;
    uint64_t submitted;
};

struct loader {
    struct cluster_load *load;
    unsigned number;
    pthread_t thread;
    uint64_t random;
    struct known keys[KEYS];
    _Atomic uint64_t answered;
    uint64_t awaited;
};

struct cluster_load {
    struct strata_l2 *l2;
    unsigned threads;
    bool forgetful;
    uint64_t name; /* of its keys: no other load has used them */
    atomic_bool stop;
    struct loader loaders[THREADS_MAX];
    pthread_mutex_t lock;
    struct cluster_load_counts counts; /* guarded by lock */
};

static void load_note(struct cluster_load *load, int status, uint64_t began_ns)
{
    uint64_t now_ns = sta_clock_now_ns();
    pthread_mutex_lock(&load->lock);
    struct cluster_load_counts *counts = &load->counts;
    if (status >= 0) {
        counts->answered++;
    } else {
        counts->errors++;
        counts->by_status[-status]++;
        counts->last_error_ns = now_ns;
    }
    if (now_ns - began_ns > counts->slowest_ns)
        counts->slowest_ns = now_ns - began_ns;
    pthread_mutex_unlock(&load->lock);
}

static void load_note_wrong(struct cluster_load *load, const char *key, const struct known *known,
                            int status, const char *value)
{
    pthread_mutex_lock(&load->lock);
    if (load->counts.wrong++ == 0)
        (void)snprintf(load->counts.first_wrong, sizeof load->counts.first_wrong,
                       "%s: status %d, \"%s\", but %llu to %llu may be there", key, status, value,
                       (unsigned long long)known->acknowledged,
                       (unsigned long long)known->submitted);
    pthread_mutex_unlock(&load->lock);
}

static void loader_set(struct loader *loader, const char *key, struct known *known)
{
    char text[32];
    uint64_t began_ns = sta_clock_now_ns();
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)++known->submitted);
    int status = strata_l2_set(loader->load->l2, strata_text(key), strata_text(text), 0);
    load_note(loader->load, status, began_ns);
    if (status == STRATA_OK) {
        known->acknowledged = known->submitted;
        atomic_fetch_add(&loader->answered, 1);
    }
}

static void loader_get(struct loader *loader, const char *key, const struct known *known)
{
    struct strata_value value = {0};
    char text[32] = "";
    uint64_t began_ns = sta_clock_now_ns();
    int status = strata_l2_get(loader->load->l2, strata_text(key), &value);
    load_note(loader->load, status, began_ns);
    if (status < 0)
        return;
    atomic_fetch_add(&loader->answered, 1);
    if (status == STRATA_OK)
        (void)snprintf(text, sizeof text, "%.*s", (int)value.bytes.len,
                       (const char *)value.bytes.data);
    strata_release(&value);
    uint64_t number = strtoull(text, NULL, 10); /* 0 for a miss */
    bool older = number < known->acknowledged && !loader->load->forgetful;
    if (older || number > known->submitted)
        load_note_wrong(loader->load, key, known, status, text);
}

void cluster_load_key(const struct cluster_load *load, unsigned thread, unsigned number, char *key,
                      size_t cap)
{
    (void)snprintf(key, cap, "load:%llx:%u:%u", (unsigned long long)load->name, thread,
                   number % KEYS);
}

static void *load_run(void *arg)
{
    struct loader *loader = arg;
    while (!atomic_load(&loader->load->stop)) {
        char key[64];
        uint64_t i = sta_random_below(&loader->random, KEYS);
        cluster_load_key(loader->load, loader->number, (unsigned)i, key, sizeof key);
        if (sta_random_below(&loader->random, 3) == 0)
            loader_set(loader, key, &loader->keys[i]);
        else
            loader_get(loader, key, &loader->keys[i]);
    }
    return NULL;
}

struct cluster_load *cluster_load_start(struct strata_l2 *l2, unsigned threads, bool forgetful)
{
    struct cluster_load *load = calloc(1, sizeof *load);
    if (load == NULL || threads > THREADS_MAX)
        abort();
    load->l2 = l2;
    load->threads = threads;
    load->forgetful = forgetful;
    load->name = sta_clock_now_ns();
    pthread_mutex_init(&load->lock, NULL);
    for (unsigned i = 0; i < threads; i++) {
        load->loaders[i].load = load;
        load->loaders[i].number = i;
        load->loaders[i].random = i + 1;
        if (pthread_create(&load->loaders[i].thread, NULL, load_run, &load->loaders[i]) != 0)
            abort();
    }
    return load;
}

void cluster_load_stop(struct cluster_load **at)
{
    struct cluster_load *load = *at;
    if (load == NULL)
        return;
    *at = NULL;
    atomic_store(&load->stop, true);
    for (unsigned i = 0; i < load->threads; i++)
        pthread_join(load->loaders[i].thread, NULL);
    pthread_mutex_destroy(&load->lock);
    free(load);
}

struct cluster_load_counts cluster_load_counts(struct cluster_load *load)
{
    pthread_mutex_lock(&load->lock);
    struct cluster_load_counts counts = load->counts;
    pthread_mutex_unlock(&load->lock);
    return counts;
}

void cluster_load_reset(struct cluster_load *load)
{
    pthread_mutex_lock(&load->lock);
    load->counts = (struct cluster_load_counts){0};
    pthread_mutex_unlock(&load->lock);
}

static bool all_were_answered(void *arg)
{
    struct cluster_load *load = arg;
    for (unsigned i = 0; i < load->threads; i++)
        if (atomic_load(&load->loaders[i].answered) < load->loaders[i].awaited)
            return false;
    return true;
}

bool cluster_load_await(struct cluster_load *load, uint64_t answers, unsigned timeout_ms)
{
    for (unsigned i = 0; i < load->threads; i++)
        load->loaders[i].awaited = atomic_load(&load->loaders[i].answered) + answers;
    return wait_until(all_were_answered, load, timeout_ms);
}
