/* SPDX-License-Identifier: MIT
 *
 * See sim.h. What is to happen stands in a binary heap by time, then by the order of being asked
 * for.
 */
#include "sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/random.h"

#define BEGIN_NS    (1000 * STA_NS_SEC) /* a process does not begin at the clock's zero */
#define FAILURE_CAP 512u
#define LINE_CAP    512u

struct event {
    uint64_t at_ns;
    uint64_t order;
    void (*run)(void *arg);
    void *arg;
};

struct sim {
    struct sim_hearing hearing;
    uint64_t now_ns;
    uint64_t random;
    uint64_t hash;
    uint64_t order;
    struct event *heap;
    size_t count, cap;
    bool failed;
    char failure[FAILURE_CAP];
};

static struct sim *current;

/* ---- what the code under test asks of a process ---- */

/* The linker leads all calls here (--wrap). */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    now->tv_sec = (time_t)(current->now_ns / STA_NS_SEC);
    now->tv_nsec = (long)(current->now_ns % STA_NS_SEC);
    return 0;
}

/* In place of core/random.c. */
uint64_t sta_random_seed(void)
{
    return sta_random_next(&current->random) | 1;
}

/* ---- life ---- */

struct sim *sim_create(uint64_t seed, struct sim_hearing hearing)
{
    struct sim *sim = calloc(1, sizeof *sim);
    assert(sim != NULL && current == NULL);
    sim->hearing = hearing;
    sim->now_ns = BEGIN_NS;
    sim->random = seed;
    sim->hash = UINT64_C(0xcbf29ce484222325);
    current = sim;
    return sim;
}

void sim_destroy(struct sim **at)
{
    struct sim *sim = *at;
    *at = NULL;
    current = NULL;
    free(sim->heap);
    free(sim);
}

struct sim *sim_current(void)
{
    return current;
}

/* ---- time ---- */

uint64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

static bool is_before(const struct event *one, const struct event *other)
{
    return one->at_ns != other->at_ns ? one->at_ns < other->at_ns : one->order < other->order;
}

static void heap_make_room(struct sim *sim)
{
    if (sim->count < sim->cap)
        return;
    sim->cap = sim->cap == 0 ? 256 : 2 * sim->cap;
    sim->heap = realloc(sim->heap, sim->cap * sizeof *sim->heap);
    assert(sim->heap != NULL);
}

void sim_at(struct sim *sim, uint64_t at_ns, void (*run)(void *arg), void *arg)
{
    struct event event = {at_ns > sim->now_ns ? at_ns : sim->now_ns, sim->order++, run, arg};
    heap_make_room(sim);
    size_t at = sim->count++;
    for (; at > 0 && is_before(&event, &sim->heap[(at - 1) / 2]); at = (at - 1) / 2)
        sim->heap[at] = sim->heap[(at - 1) / 2];
    sim->heap[at] = event;
}

static void nothing(void *arg)
{
    (void)arg;
}

void sim_call_off(struct sim *sim, const void *arg)
{
    for (size_t i = 0; i < sim->count; i++)
        if (sim->heap[i].arg == arg)
            sim->heap[i].run = nothing;
}

static struct event heap_pop(struct sim *sim)
{
    struct event first = sim->heap[0];
    struct event last = sim->heap[--sim->count];
    size_t at = 0;
    for (size_t child = 1; child < sim->count; child = 2 * at + 1) {
        if (child + 1 < sim->count && is_before(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (is_before(&last, &sim->heap[child]))
            break;
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    sim->heap[at] = last;
    return first;
}

void sim_run_until(struct sim *sim, uint64_t until_ns)
{
    while (!sim->failed && sim->count > 0 && sim->heap[0].at_ns <= until_ns) {
        struct event event = heap_pop(sim);
        sim->now_ns = event.at_ns;
        event.run(event.arg);
    }
    if (!sim->failed && sim->now_ns < until_ns)
        sim->now_ns = until_ns;
}

/* ---- chance ---- */

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return sta_random_below(&sim->random, bound);
}

uint64_t sim_between(struct sim *sim, uint64_t least, uint64_t most)
{
    return least + sim_below(sim, most - least + 1);
}

bool sim_chance(struct sim *sim, unsigned per_mille)
{
    return sim_below(sim, 1000) < per_mille;
}

/* ---- the log, and the verdict ---- */

bool sim_is_heard(const struct sim *sim)
{
    return sim->hearing.aloud || sim->hearing.hashed;
}

static void hash_text(struct sim *sim, const char *text)
{
    for (; *text != 0; text++)
        sim->hash = (sim->hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
}

static void say(struct sim *sim, const char *text)
{
    char line[LINE_CAP + 32];
    uint64_t us = (sim->now_ns - BEGIN_NS) / 1000;
    (void)snprintf(line, sizeof line, "%4" PRIu64 ".%06" PRIu64 " %s\n", us / 1000000, us % 1000000,
                   text);
    hash_text(sim, line);
    if (sim->hearing.aloud)
        (void)fputs(line, stdout);
}

void sim_log(struct sim *sim, const char *format, ...)
{
    char text[LINE_CAP];
    va_list args;
    if (!sim_is_heard(sim))
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say(sim, text);
}

uint64_t sim_hash(const struct sim *sim)
{
    return sim->hash;
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list args;
    if (sim->failed)
        return;
    sim->failed = true;
    va_start(args, format);
    (void)vsnprintf(sim->failure, sizeof sim->failure, format, args);
    va_end(args);
    sim_log(sim, "FAILURE %s", sim->failure);
}

const char *sim_failure(const struct sim *sim)
{
    return sim->failed ? sim->failure : NULL;
}
