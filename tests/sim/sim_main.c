/* SPDX-License-Identifier: MIT
 *
 * The program: many seeds, one seed aloud, or the mutants. See scripts/sim.
 */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>

#include "core/mutant.h"
#include "sim/sim_scenario.h"

#define MUTANT_SECONDS 60.0
#define HEAP_BYTES     (32 << 20)

enum sta_mutant sta_mutant_now;

struct wish {
    uint64_t first, count; /* seeds */
    struct sim_shares shares;
    struct sim_hearing hearing;
};

/* Which seeds need the guard. */
#define ANY      {60, 150, 250}, ""
#define TAGS     {60, 0, 1000}, " of tags"
#define CLUSTERS {1000, 0, 0}, " of clusters"
#define BEHIND   {60, 1000, 0}, " of write-behind"

static const struct {
    const char *name, *what;
    struct sim_shares shares;
    const char *of;
} mutants[] = {{"none", "nothing", ANY},
#define ROW(name, where, what) {#name, what, where},
               STA_MUTANTS(ROW)
#undef ROW
};

/* Of a processor: others may be busy, too. */
static double seconds(void)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    return (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6;
}

static void sum(struct sim_result *all, const struct sim_result *one)
{
    all->virtual_ns += one->virtual_ns;
    all->operations += one->operations;
    all->reads += one->reads;
    all->hits += one->hits;
    all->failed_reads += one->failed_reads;
    all->writes += one->writes;
    all->faults += one->faults;
}

static bool run_seed(uint64_t seed, const struct wish *wish, struct sim_result *all)
{
    struct sim_result one;
    sim_scenario_run(seed, &wish->shares, wish->hearing, &one);
    sum(all, &one);
    if (one.failed)
        printf("not ok - seed %" PRIu64 ": %s\n#   again, aloud: scripts/sim --clusters %u "
               "--behind %u --tags %u --seed %" PRIu64 " --verbose\n",
               seed, one.reason, wish->shares.clusters, wish->shares.behind, wish->shares.tags,
               seed);
    return !one.failed;
}

static int run_seeds(const struct wish *wish)
{
    uint64_t first = wish->first, count = wish->count;
    struct sim_result all = {0};
    uint64_t failed = 0;
    double began = seconds();
    for (uint64_t seed = first; seed - first < count; seed++)
        failed += !run_seed(seed, wish, &all);
    printf("# %" PRIu64 " operations: %" PRIu64 " reads (%.0f%% of them out of L1, %" PRIu64
           " failed), %" PRIu64 " writes, %" PRIu64 " faults, %.0f s of virtual time in %.1f s\n",
           all.operations, all.reads,
           all.reads == 0 ? 0 : 100.0 * (double)all.hits / (double)all.reads, all.failed_reads,
           all.writes, all.faults, (double)all.virtual_ns / 1e9, seconds() - began);
    printf("%s - seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " broke the contract\n",
           failed == 0 ? "ok" : "not ok", first, first + count - 1, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The same seed is the same run. */
static bool repeats(uint64_t seed, const struct sim_shares *shares)
{
    const struct sim_hearing hashed = {.hashed = true};
    struct sim_result one, other;
    sim_scenario_run(seed, shares, hashed, &one);
    sim_scenario_run(seed, shares, hashed, &other);
    if (one.hash != other.hash)
        printf("not ok - seed %" PRIu64 " is not the same run twice\n", seed);
    return one.hash == other.hash;
}

static int run_repeats(const struct wish *wish)
{
    uint64_t first = wish->first, count = wish->count;
    for (uint64_t seed = first; seed - first < count; seed++)
        if (!repeats(seed, &wish->shares))
            return EXIT_FAILURE;
    printf("ok - %" PRIu64 " seeds are each the same run twice\n", count);
    return EXIT_SUCCESS;
}

static bool run_mutant(enum sta_mutant mutant)
{
    struct sim_result one = {0};
    double began = seconds();
    uint64_t seed = 0;
    const struct sim_shares *shares = &mutants[mutant].shares;
    sta_mutant_now = mutant;
    while (!one.failed && seconds() - began < MUTANT_SECONDS)
        sim_scenario_run(++seed, shares, (struct sim_hearing){0}, &one);
    sta_mutant_now = STA_MUTANT_NONE;
    printf("%s - %-12s %6.2f s, seed %-6" PRIu64 "%s %s\n#   %s\n", one.failed ? "ok" : "not ok",
           mutants[mutant].name, seconds() - began, seed, mutants[mutant].of, mutants[mutant].what,
           one.failed ? one.reason : "nobody noticed");
    (void)fflush(stdout);
    return one.failed;
}

static int run_mutants(void)
{
    bool all = true;
    for (unsigned mutant = STA_MUTANT_NONE + 1; mutant < STA_MUTANT_COUNT; mutant++)
        all &= run_mutant(mutant);
    return all ? EXIT_SUCCESS : EXIT_FAILURE;
}

static enum sta_mutant mutant_by_name(const char *name)
{
    for (unsigned i = 0; i < STA_MUTANT_COUNT; i++)
        if (strcasecmp(mutants[i].name, name) == 0)
            return i;
    (void)fprintf(stderr, "there is no mutant %s\n", name);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},    {"seed", required_argument, NULL, 's'},
        {"verbose", no_argument, NULL, 'v'},        {"mutants", no_argument, NULL, 'm'},
        {"mutant", required_argument, NULL, 'M'},   {"repeat", no_argument, NULL, 'r'},
        {"clusters", required_argument, NULL, 'c'}, {"behind", required_argument, NULL, 'b'},
        {"tags", required_argument, NULL, 't'},     {NULL, 0, NULL, 0},
    };
    struct wish wish = {.first = 1, .count = 1, .shares = sim_shares_usual};
    bool all_mutants = false, repeat = false;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_BYTES); /* see sim_memory.c */
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_BYTES);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'n':
            wish.count = strtoull(optarg, NULL, 10);
            break;
        case 's':
            wish.first = strtoull(optarg, NULL, 10);
            break;
        case 'v':
            wish.hearing.aloud = true;
            break;
        case 'm':
            all_mutants = true;
            break;
        case 'M':
            sta_mutant_now = mutant_by_name(optarg);
            break;
        case 'c':
            wish.shares.clusters = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'b':
            wish.shares.behind = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            wish.shares.tags = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            repeat = true;
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    if (all_mutants)
        return run_mutants();
    return repeat ? run_repeats(&wish) : run_seeds(&wish);
}
