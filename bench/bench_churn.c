/* SPDX-License-Identifier: MIT
 *
 * bench_churn [SECONDS [MEGABYTES [THREADS]]]
 *
 * Keeps a tier full with values of 10 bytes to 1 MB (log-normal, median 1 KB) that are stored,
 * read, leased for a while and invalidated, and watches the process' resident memory. Ends with
 * 1 where it was ever more than 1.10 x the tier's bound + 16 MiB beyond what the process had
 * before (the generator's own buffers are in there), or where the tier is not valid at the end.
 */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/random.h"
#include "l1/l1.h"
#include "strata/status.h"

#define THREADS_MAX 16u
#define VALUE_LEAST 10u
#define VALUE_MOST  1000000u
#define MEDIAN      1024.0
#define SIGMA       2.0
#define KEYS        2000000u
#define LEASES      8u

struct churn {
    struct sta_l1 *l1;
    uint8_t *bytes;
    _Atomic bool stop;
};

struct worker {
    struct churn *churn;
    uint64_t random;
    pthread_t thread;
    uint64_t stores;
};

static uint64_t resident(void)
{
    uint64_t size = 0;
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &size, &pages) != 2)
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double uniform(uint64_t *random)
{
    return ((double)(sta_random_next(random) >> 11) + 0.5) / 9007199254740992.0;
}

static size_t random_size(uint64_t *random)
{
    double normal = sqrt(-2 * log(uniform(random))) * cos(6.283185307179586 * uniform(random));
    double size = MEDIAN * exp(SIGMA * normal);
    if (size < VALUE_LEAST)
        return VALUE_LEAST;
    return size > VALUE_MOST ? VALUE_MOST : (size_t)size;
}

static void *churn(void *arg)
{
    struct worker *worker = arg;
    struct sta_l1 *l1 = worker->churn->l1;
    struct sta_l1_lease leases[LEASES] = {0};
    while (!atomic_load_explicit(&worker->churn->stop, memory_order_relaxed)) {
        uint64_t id = sta_random_below(&worker->random, KEYS);
        struct sta_key key = sta_l1_key(l1, strata_bytes(&id, sizeof id));
        struct sta_l1_lease *lease = &leases[worker->stores % LEASES];
        sta_l1_release(l1, lease);
        if (sta_l1_get(l1, &key, 1, lease) == STRATA_OK && id % 16 == 0)
            sta_l1_invalidate(l1, &key, 1, NULL);
        struct sta_l1_entry entry = {
            .value = strata_bytes(worker->churn->bytes, random_size(&worker->random)),
            .deadline_ms = STA_NEVER};
        sta_l1_set(l1, &key, &entry, 1);
        worker->stores++;
    }
    for (uint32_t i = 0; i < LEASES; i++)
        sta_l1_release(l1, &leases[i]);
    return NULL;
}

static uint64_t watch(struct churn *shared, uint64_t seconds)
{
    uint64_t most = 0;
    for (uint64_t i = 0; i < seconds * 10; i++) {
        usleep(100000);
        uint64_t now = resident();
        most = now > most ? now : most;
    }
    atomic_store_explicit(&shared->stop, true, memory_order_relaxed);
    return most;
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 600;
    uint64_t max_bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 256) << 20;
    uint64_t threads = argc > 3 ? strtoull(argv[3], NULL, 10) : 2;
    struct churn shared = {.bytes = calloc(1, VALUE_MOST)};
    struct sta_l1_config config = {.max_bytes = max_bytes, .hash_seed = 7};
    struct worker workers[THREADS_MAX];
    struct sta_l1_statistics numbers;
    if (seconds == 0 || max_bytes == 0 || threads == 0 || threads > THREADS_MAX ||
        shared.bytes == NULL || sta_l1_create(&shared.l1, &config) != STRATA_OK) {
        fprintf(stderr, "usage: bench_churn [SECONDS [MEGABYTES [THREADS]]]\n");
        return 2;
    }
    uint64_t before = resident();
    for (uint64_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){.churn = &shared, .random = i + 1};
        pthread_create(&workers[i].thread, NULL, churn, &workers[i]);
    }
    uint64_t most = watch(&shared, seconds) - before;
    uint64_t stores = 0;
    for (uint64_t i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        stores += workers[i].stores;
    }
    bool valid = sta_l1_valid(shared.l1);
    sta_l1_statistics(shared.l1, &numbers);
    uint64_t allowed = max_bytes + max_bytes / 10 + (16u << 20);
    printf("stores %" PRIu64 ", entries %" PRIu64 ", counted %" PRIu64 " of %" PRIu64
           ", resident at most %" PRIu64 ", allowed %" PRIu64 ", %s\n",
           stores, numbers.entries, numbers.memory_bytes, max_bytes, most, allowed,
           valid ? "valid" : "not valid");
    sta_l1_destroy(&shared.l1);
    free(shared.bytes);
    return valid && most <= allowed ? 0 : 1;
}
