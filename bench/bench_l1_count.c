/* SPDX-License-Identifier: MIT
 *
 * bench_l1_count CONTENDER OPERATION COUNT
 *
 * Does one operation COUNT times on a hot small entry, and nothing that differs with COUNT
 * besides: run under valgrind with two counts, the difference is what the operation does, to the
 * instruction. scripts/count_l1 does that and makes a table. Prints where things are in memory,
 * and writes to `marker` before and after each operation, so that a trace of addresses can be
 * read. The operations are then done once more by a second thread.
 */
#include <inttypes.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/l1/contender.h"
#include "bench/l1/own.h"
#include "core/key.h"

#define ENTRIES    1000u
#define HOT        7u
#define WARM       16u
#define NEW_FROM   (UINT64_C(1) << 40)
#define ABSENT     (UINT64_C(1) << 50)
#define STACK_PART 65536u
#define SELF_PART  4096u

enum operation { HASH, HIT, MISS, SET, INSERT, LEASE, FILL, BATCH, OPERATIONS };

static const char *const names[OPERATIONS] = {"hash",   "hit",   "miss", "set",
                                              "insert", "lease", "fill", "batch"};

struct count {
    const struct contender *who;
    void *cache;
    enum operation operation;
    uint64_t count;
    uint64_t sum; /* so that nothing is optimised away */
};

static volatile uint64_t marker;

static const volatile uint64_t seed = 1; /* which no compiler knows */

/* What is beside every operation of ours: a call, and the key's hash. */
static uint64_t hash_key(void *cache, const void *key, size_t key_len)
{
    (void)cache;
    return sta_key_make(strata_bytes(key, key_len), seed).hash;
}

static uint64_t (*volatile hash)(void *cache, const void *key, size_t key_len) = hash_key;

static void batch(struct count *count, const struct request *hot, uint8_t *out)
{
    struct request requests[OWN_BATCH];
    for (uint32_t i = 0; i < OWN_BATCH; i++)
        requests[i] = *hot;
    count->sum += own_strata_get_batch(count->cache, requests, out);
}

static void run_times(struct count *count, uint64_t times)
{
    const struct peer *peer = &count->who->peer;
    struct request hot = {.id = HOT};
    struct request absent = {.id = 0};
    uint8_t value[PEER_VALUE_MOST];
    hot.len = stream_key(HOT, hot.key);
    absent.len = stream_key(ABSENT, absent.key);
    stream_value(HOT, value);
    for (uint64_t i = 0; i < times; i++) {
        marker = 1;
        if (count->operation == HASH)
            count->sum += hash(count->cache, hot.key, hot.len);
        else if (count->operation == HIT)
            count->sum += (uint64_t)peer->get(count->cache, hot.key, hot.len, value);
        else if (count->operation == MISS)
            count->sum += (uint64_t)peer->get(count->cache, absent.key, absent.len, value);
        else if (count->operation == SET)
            peer->set(count->cache, hot.key, hot.len, value, sizeof value);
        else if (count->operation == INSERT)
            contender_set(count->who, count->cache, NEW_FROM + count->sum++);
        else if (count->operation == LEASE)
            count->sum += (uint64_t)own_strata_lease(count->cache, hot.key, hot.len);
        else if (count->operation == FILL)
            own_strata_fill(count->cache, hot.key, hot.len, value, sizeof value);
        else
            batch(count, &hot, value);
        marker = 2;
    }
}

/* A range of addresses, for who reads a trace. */
static void print_place(const char *what, uintptr_t from, uintptr_t to)
{
    printf("%s %" PRIxPTR " %" PRIxPTR "\n", what, from, to);
}

static void *run(void *arg)
{
    struct count *count = arg;
    int here = 0;
    uintptr_t stack = (uintptr_t)&here;
    uintptr_t self = (uintptr_t)pthread_self(); /* thread-locals are below it */
    print_place("thread", stack - STACK_PART, stack + STACK_PART);
    print_place("thread", self - SELF_PART, self + SELF_PART);
    fflush(stdout);
    run_times(count, WARM);
    run_times(count, count->count);
    return NULL;
}

static int print_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD)
            print_place("image", from, from + part->p_memsz);
    }
    return 0;
}

static void print_places(struct count *count)
{
    uintptr_t tier = (uintptr_t)count->cache;
    dl_iterate_phdr(print_object, NULL);
    print_place("marker", (uintptr_t)&marker, (uintptr_t)(&marker + 1));
    if (count->who->peer.create == own_strata.create)
        print_place("tier", tier, tier + malloc_usable_size(count->cache));
}

/* By name, or by the path of a shared object. */
static const struct contender *find(struct contenders *contenders, const char *name)
{
    if (strchr(name, '/') != NULL && !contenders_load(contenders, name))
        return NULL;
    for (uint32_t i = 0; i < contenders->count; i++) {
        if (strchr(name, '/') != NULL)
            return &contenders->list[contenders->count - 1];
        if (strcmp(contenders->list[i].peer.name, name) == 0)
            return &contenders->list[i];
    }
    return NULL;
}

static bool parse(struct count *count, struct contenders *contenders, char **argv)
{
    contenders_init(contenders, false, stderr);
    count->who = find(contenders, argv[1]);
    count->count = strtoull(argv[3], NULL, 10);
    count->operation = OPERATIONS;
    for (enum operation i = 0; i < OPERATIONS; i++) {
        if (strcmp(names[i], argv[2]) == 0)
            count->operation = i;
    }
    if (count->who == NULL || count->count == 0 || count->operation == OPERATIONS)
        return false;
    bool own = count->who->peer.create == own_strata.create;
    return own || count->operation < LEASE;
}

int main(int argc, char **argv)
{
    static struct contenders contenders;
    struct count count = {0};
    pthread_t thread;
    if (argc != 4 || !parse(&count, &contenders, argv)) {
        fprintf(stderr, "usage: bench_l1_count floor|strata|PATH.so "
                        "hash|hit|miss|set|insert|lease|fill|batch COUNT\n");
        return 2;
    }
    count.cache = count.who->peer.create(ENTRIES);
    if (count.cache == NULL)
        return 1;
    contender_fill(count.who, count.cache, ENTRIES);
    if (count.operation == INSERT) /* until it evicts */
        run_times(&count, ENTRIES);
    print_places(&count);
    run(&count);
    bool alone = (count.who->peer.flags & PEER_THREADS) == 0;
    if (!alone && pthread_create(&thread, NULL, run, &count) == 0)
        pthread_join(thread, NULL);
    count.who->peer.destroy(count.cache);
    contenders_fini(&contenders);
    return count.sum == 1; /* never: it is used */
}
