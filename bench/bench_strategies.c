/* SPDX-License-Identifier: MIT
 *
 * bench_strategies [--json] [--rounds N] [--dir PATH] [FIGURE...]
 *
 * What strategies cost beside the plain way, on a private Redis on a unix socket. Two ways take
 * turns in slices, and a figure is the median of the ratios of neighbours, which other work on the
 * machine hits alike. Writes go round over 10,000 keys, with values of 100 bytes. A slice of
 * write-behind is timed until its last set is acknowledged, and, told beside it, until Redis has
 * all of it; then it waits for that, so that the next slice begins at rest.
 *
 * Journals are made in a folder of their own in PATH (.), and there the disk is asked, too: a
 * thread that appends 150 bytes and calls fdatasync(), again and again.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "strata/strata.h"
#include "support/redis_server.h"

#define KEYS        10000u
#define VALUE_BYTES 100u
#define APPENDED    150u /* what a set takes in the journal, about */
#define WRITERS     64u
#define ROUNDS_MAX  101u
#define FLUSH_MS    60000u

struct rig {
    struct redis_server *server;
    char url[256];
    char folder[4096];
    unsigned next_folder;
    struct strata *cache; /* of the strategy */
    struct strata *plain; /* beside it */
    int disk;             /* the file that is synced; -1: none */
    uint64_t key;         /* which is written next */
    char keys[KEYS][16];
};

/* What a slice costs. */
struct slice {
    double ns;       /* an operation, until the last one was acknowledged */
    double whole_ns; /* until Redis had it; 0: the same */
};

struct figure {
    const char *name;
    const char *own_name, *peer_name;
    const char *what;
    double goal; /* of the ratio; 0: none */
    bool rate;   /* the ratio is of rates, and the goal a least one; else of times, a most */
    unsigned own_ops, peer_ops; /* in a slice */
    int (*own)(struct rig *rig, unsigned ops, struct slice *slice);
    int (*peer)(struct rig *rig, unsigned ops, struct slice *slice);
    bool behind, journal;
    enum strata_fsync fsync;
    enum strata_guard guard;
};

/* ---- ways ---- */

static int set_some(const struct rig *rig, struct strata *cache, uint64_t first, unsigned ops)
{
    char value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < ops; i++) {
        struct strata_bytes key = strata_text(rig->keys[(first + i) % KEYS]);
        if (strata_set(cache, key, strata_bytes(value, sizeof value), 0) != STRATA_OK)
            return -1;
    }
    return 0;
}

/* The end of a slice: until Redis has all. */
static int slice_end(struct strata *cache, uint64_t begun_ns, unsigned ops, struct slice *slice)
{
    slice->ns = (double)(sta_clock_now_ns() - begun_ns) / ops;
    if (strata_flush(cache, FLUSH_MS) != STRATA_OK)
        return -1;
    slice->whole_ns = (double)(sta_clock_now_ns() - begun_ns) / ops;
    return 0;
}

static int way_set(struct rig *rig, unsigned ops, struct slice *slice)
{
    uint64_t begun_ns = sta_clock_now_ns();
    if (set_some(rig, rig->cache, rig->key, ops) != 0)
        return -1;
    rig->key += ops;
    return slice_end(rig->cache, begun_ns, ops, slice);
}

static int way_set_plain(struct rig *rig, unsigned ops, struct slice *slice)
{
    uint64_t begun_ns = sta_clock_now_ns();
    if (set_some(rig, rig->plain, rig->key, ops) != 0)
        return -1;
    slice->ns = (double)(sta_clock_now_ns() - begun_ns) / ops;
    return 0;
}

struct writer {
    struct rig *rig;
    pthread_t thread;
    unsigned number, ops;
    int failed;
};

static void *write_on(void *arg)
{
    struct writer *writer = arg;
    writer->failed =
        set_some(writer->rig, writer->rig->cache,
                 (uint64_t)writer->number * (KEYS / WRITERS) + writer->rig->key, writer->ops);
    return NULL;
}

static int way_set_threads(struct rig *rig, unsigned ops, struct slice *slice)
{
    struct writer writers[WRITERS];
    unsigned started = 0;
    int failed = 0;
    uint64_t begun_ns = sta_clock_now_ns();
    for (; started < WRITERS; started++) {
        writers[started] = (struct writer){.rig = rig, .number = started, .ops = ops / WRITERS};
        if (pthread_create(&writers[started].thread, NULL, write_on, &writers[started]) != 0)
            break;
    }
    failed = started < WRITERS;
    for (unsigned i = 0; i < started; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        failed |= writers[i].failed;
    }
    rig->key += ops / WRITERS;
    return failed ? -1 : slice_end(rig->cache, begun_ns, ops / WRITERS * WRITERS, slice);
}

static int way_disk(struct rig *rig, unsigned ops, struct slice *slice)
{
    char bytes[APPENDED];
    memset(bytes, 'd', sizeof bytes);
    uint64_t begun_ns = sta_clock_now_ns();
    for (unsigned i = 0; i < ops; i++) {
        if (write(rig->disk, bytes, sizeof bytes) != (ssize_t)sizeof bytes ||
            fdatasync(rig->disk) != 0)
            return -1;
    }
    slice->ns = (double)(sta_clock_now_ns() - begun_ns) / ops;
    return 0;
}

static int no_loader(struct strata_load *load, void *arg)
{
    (void)load;
    (void)arg;
    return STRATA_ERR_INVALID; /* every call is a hit */
}

static int way_load_hit(struct rig *rig, unsigned ops, struct slice *slice)
{
    uint64_t begun_ns = sta_clock_now_ns();
    for (unsigned i = 0; i < ops; i++) {
        struct strata_value value = {0};
        if (strata_get_or_load(rig->cache, strata_text("key:00000"), no_loader, NULL, NULL,
                               &value) != STRATA_OK)
            return -1;
        strata_release(&value);
    }
    slice->ns = (double)(sta_clock_now_ns() - begun_ns) / ops;
    return 0;
}

static int way_hit(struct rig *rig, unsigned ops, struct slice *slice)
{
    uint64_t begun_ns = sta_clock_now_ns();
    for (unsigned i = 0; i < ops; i++) {
        struct strata_value value = {0};
        if (strata_get(rig->cache, strata_text("key:00000"), &value) != STRATA_OK)
            return -1;
        strata_release(&value);
    }
    slice->ns = (double)(sta_clock_now_ns() - begun_ns) / ops;
    return 0;
}

#define BEHIND(name, own, what, goal, journal, fsync, guard)                                       \
    {                                                                                              \
        name, own, "write-through", what, goal, true, 20000, 2000, way_set, way_set_plain, true,   \
            journal, fsync, guard                                                                  \
    }

static const struct figure figures[] = {
    BEHIND("behind", "write-behind", "sets of one thread, no journal", 0, false,
           STRATA_FSYNC_DEFAULT, STRATA_GUARD_DEFAULT),
    BEHIND("behind-guard", "write-behind, guard on", "sets of one thread, no journal", 0, false,
           STRATA_FSYNC_DEFAULT, STRATA_GUARD_ON),
    BEHIND("behind-never", "write-behind, fsync never", "sets of one thread, with a journal", 0,
           true, STRATA_FSYNC_NEVER, STRATA_GUARD_DEFAULT),
    BEHIND("behind-interval", "write-behind, fsync interval", "sets of one thread, with a journal",
           10, true, STRATA_FSYNC_INTERVAL, STRATA_GUARD_DEFAULT),
    {"behind-always", "write-behind, fsync always", "write-through",
     "sets of one thread, with a journal", 0, true, 200, 2000, way_set, way_set_plain, true, true,
     STRATA_FSYNC_ALWAYS, STRATA_GUARD_DEFAULT},
    {"group-commit", "64 writers, fsync always", "fdatasync, one thread",
     "sets that share an fsync, beside the disk's own rate", 0, true, 6400, 200, way_set_threads,
     way_disk, true, true, STRATA_FSYNC_ALWAYS, STRATA_GUARD_DEFAULT},
    {"load-hit", "strata_get_or_load", "strata_get", "hits of one key in L1", 1.2, false, 200000,
     200000, way_load_hit, way_hit, false, false, STRATA_FSYNC_DEFAULT, STRATA_GUARD_DEFAULT},
};

#define FIGURES (sizeof figures / sizeof figures[0])

/* ---- the rig ---- */

static int rig_open(struct rig *rig, const char *dir)
{
    const struct strata_options plain = {.redis_url = rig->url, .l1_max_size = (uint64_t)10 * KEYS};
    *rig = (struct rig){.disk = -1};
    for (unsigned i = 0; i < KEYS; i++)
        (void)snprintf(rig->keys[i], sizeof rig->keys[i], "key:%05u", i);
    (void)snprintf(rig->folder, sizeof rig->folder, "%s/strata-bench-XXXXXX", dir);
    if (mkdtemp(rig->folder) == NULL) {
        perror(rig->folder);
        rig->folder[0] = '\0';
        return -1;
    }
    if (redis_server_start(&rig->server, NULL) != 0)
        return -1;
    (void)snprintf(rig->url, sizeof rig->url, "unix://%s", redis_server_socket(rig->server));
    return strata_open(&rig->plain, &plain, NULL) == STRATA_OK ? 0 : -1;
}

static void remove_folder(const char *folder)
{
    char command[8192];
    (void)snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    if (folder[0] != '\0' && system(command) != 0)
        (void)fprintf(stderr, "bench_strategies: %s is left\n", folder);
}

static void rig_close(struct rig *rig)
{
    strata_close(&rig->plain);
    redis_server_stop(&rig->server);
    remove_folder(rig->folder);
}

/* The cache of a figure, with a journal of its own, and the file beside it. */
static int rig_begin(struct rig *rig, const struct figure *figure)
{
    char journal[4200], file[4200];
    struct strata_error error = {.text = ""};
    unsigned number = rig->next_folder++;
    (void)snprintf(journal, sizeof journal, "%s/journal-%u", rig->folder, number);
    (void)snprintf(file, sizeof file, "%s/file-%u", rig->folder, number);
    const struct strata_options options = {
        .redis_url = rig->url,
        .l1_max_size = (uint64_t)10 * KEYS,
        .write_through = figure->behind ? STRATA_OFF : STRATA_ON,
        .write_behind = figure->behind ? STRATA_ON : STRATA_OFF,
        .write_behind_journal = figure->journal ? journal : NULL,
        .write_behind_fsync = figure->fsync,
        .write_behind_guard = figure->guard,
    };
    if (strata_open(&rig->cache, &options, &error) != STRATA_OK) {
        (void)fprintf(stderr, "bench_strategies: %s\n", error.text);
        return -1;
    }
    rig->disk = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return rig->disk >= 0 && set_some(rig, rig->cache, 0, 1) == 0 &&
                   strata_flush(rig->cache, FLUSH_MS) == STRATA_OK
               ? 0
               : -1;
}

static void rig_end(struct rig *rig)
{
    strata_close(&rig->cache);
    if (rig->disk >= 0)
        (void)close(rig->disk);
    rig->disk = -1;
}

/* ---- measuring ---- */

struct results {
    double own[ROUNDS_MAX], whole[ROUNDS_MAX], peer[ROUNDS_MAX], ratio[ROUNDS_MAX];
    unsigned rounds;
};

/* Who begins alternates, so that a trend favours nobody. The first round is not counted. */
static int figure_run(const struct figure *figure, struct rig *rig, struct results *results)
{
    for (unsigned i = 0; i <= results->rounds; i++) {
        struct slice own = {0}, peer = {0};
        unsigned at = i == 0 ? 0 : i - 1;
        for (unsigned turn = 0; turn < 2; turn++) {
            bool first = (turn + i) % 2 == 0;
            int failed = first ? figure->own(rig, figure->own_ops, &own)
                               : figure->peer(rig, figure->peer_ops, &peer);
            if (failed != 0)
                return -1;
        }
        results->own[at] = own.ns;
        results->whole[at] = own.whole_ns;
        results->peer[at] = peer.ns;
        results->ratio[at] = figure->rate ? peer.ns / own.ns : own.ns / peer.ns;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* ---- printing ---- */

static void print_side(const char *name, double *times, unsigned rounds)
{
    double ns = median(times, rounds);
    printf("  %-30s %10.2f us (%.2f .. %.2f)  %10.0f /s\n", name, ns / 1e3, times[0] / 1e3,
           times[rounds - 1] / 1e3, 1e9 / ns);
}

static void print_text(const struct figure *figure, struct results *results)
{
    printf("%s: %s\n", figure->name, figure->what);
    print_side(figure->own_name, results->own, results->rounds);
    if (median(results->whole, results->rounds) > 0)
        print_side("  until Redis has all", results->whole, results->rounds);
    print_side(figure->peer_name, results->peer, results->rounds);
    double ratio = median(results->ratio, results->rounds);
    printf("  ratio of %s %.2f (%.2f .. %.2f)", figure->rate ? "rates" : "times", ratio,
           results->ratio[0], results->ratio[results->rounds - 1]);
    if (figure->goal > 0)
        printf("  goal %s %.2f", figure->rate ? ">=" : "<=", figure->goal);
    printf("\n");
}

static void print_json(const struct figure *figure, struct results *results)
{
    double ratio = median(results->ratio, results->rounds);
    printf("{\"figure\": \"%s\", \"rounds\": %u, \"own\": \"%s\", \"own_us\": %.3f, "
           "\"own_whole_us\": %.3f, \"peer\": \"%s\", \"peer_us\": %.3f, \"ratio_of\": \"%s\", "
           "\"ratio\": %.3f, \"ratio_least\": %.3f, \"ratio_most\": %.3f, \"goal\": %.2f}\n",
           figure->name, results->rounds, figure->own_name,
           median(results->own, results->rounds) / 1e3,
           median(results->whole, results->rounds) / 1e3, figure->peer_name,
           median(results->peer, results->rounds) / 1e3, figure->rate ? "rates" : "times", ratio,
           results->ratio[0], results->ratio[results->rounds - 1], figure->goal);
}

/* ---- the program ---- */

struct wish {
    bool json;
    unsigned rounds;
    const char *dir;
    char **names;
    int count; /* of names; 0: all */
};

static bool is_wanted(const struct wish *wish, const char *name)
{
    for (int i = 0; i < wish->count; i++) {
        if (strcmp(wish->names[i], name) == 0)
            return true;
    }
    return wish->count == 0;
}

static int run_all(struct rig *rig, const struct wish *wish)
{
    for (size_t i = 0; i < FIGURES; i++) {
        const struct figure *figure = &figures[i];
        struct results results = {.rounds = wish->rounds};
        if (!is_wanted(wish, figure->name))
            continue;
        int failed = rig_begin(rig, figure) != 0 || figure_run(figure, rig, &results) != 0;
        rig_end(rig);
        if (failed) {
            (void)fprintf(stderr, "bench_strategies: %s failed\n", figure->name);
            return 1;
        }
        if (wish->json)
            print_json(figure, &results);
        else
            print_text(figure, &results);
        (void)fflush(stdout);
    }
    return 0;
}

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: bench_strategies [--json] [--rounds 1..%u] [--dir PATH] [FIGURE...]\n"
                  "figures:\n",
                  ROUNDS_MAX);
    for (size_t i = 0; i < FIGURES; i++)
        (void)fprintf(stderr, "  %-16s %s: %s\n", figures[i].name, figures[i].own_name,
                      figures[i].what);
    return 2;
}

int main(int argc, char **argv)
{
    static struct rig rig;
    struct wish wish = {.rounds = 15, .dir = "."};
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--json") == 0)
            wish.json = true;
        else if (strcmp(argv[at], "--rounds") == 0 && at + 1 < argc)
            wish.rounds = (unsigned)strtoul(argv[++at], NULL, 10);
        else if (strcmp(argv[at], "--dir") == 0 && at + 1 < argc)
            wish.dir = argv[++at];
        else
            return usage();
    }
    wish.names = argv + at;
    wish.count = argc - at;
    if (wish.rounds < 1 || wish.rounds > ROUNDS_MAX)
        return usage();
    int failed = rig_open(&rig, wish.dir) != 0 || run_all(&rig, &wish) != 0;
    rig_close(&rig);
    return failed;
}
