/* SPDX-License-Identifier: MIT
 *
 * Two processes with four threads each read and change the same rows, 95 to 5, and write down in
 * shared memory what each change had stored and when it returned. No read may answer what was
 * there before a change of its own process, nor before anybody's that returned `bound` ago.
 *
 * Long form (STRATA_LONG=1): a million reads, ten minutes at most.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/random.h"
#include "support/child.h"
#include "support/long_form.h"
#include "support/redis_server.h"

#define ROWS    60 /* keys 1 to 60; ten to a provider */
#define GROUPS  6
#define THREADS 4 /* in each process */
#define ACKS    256

struct ack {
    int64_t version;
    uint64_t ns;
};

/* What is known of a row by both processes. */
struct ledger_row {
    pthread_mutex_t
        writing; /* one change of it at a time, so that versions are committed in order */
    pthread_mutex_t lock;
    int64_t next;          /* guarded by writing */
    struct ack acks[ACKS]; /* guarded by lock, as what follows */
    unsigned count;
};

struct ledger {
    struct ledger_row rows[ROWS + 1];
    uint64_t bound_ns; /* fixed, as the next */
    uint64_t end_ns;
    _Atomic uint64_t reads;
    _Atomic uint64_t checked;
    _Atomic uint64_t changes;
    _Atomic uint64_t stale;
    _Atomic uint64_t failed;
    _Atomic uint64_t hits;
};

static struct ledger *ledger;
static struct repository_user user;
static _Atomic int64_t own[ROWS + 1]; /* the latest version of this process' changes */

/* ---- the ledger ---- */

static void ledger_ack(int64_t id, int64_t version)
{
    struct ledger_row *row = &ledger->rows[id];
    (void)pthread_mutex_lock(&row->lock);
    row->acks[row->count++ % ACKS] = (struct ack){version, sta_clock_now_ns()};
    (void)pthread_mutex_unlock(&row->lock);
    atomic_store(&own[id], version);
}

/* No read that begins now may answer less. */
static int64_t ledger_floor(int64_t id, uint64_t now_ns)
{
    struct ledger_row *row = &ledger->rows[id];
    int64_t least = atomic_load(&own[id]);
    (void)pthread_mutex_lock(&row->lock);
    unsigned kept = row->count < ACKS ? row->count : ACKS;
    for (unsigned i = 0; i < kept; i++) {
        const struct ack *ack = &row->acks[i];
        if (ack->ns + ledger->bound_ns <= now_ns && ack->version > least)
            least = ack->version;
    }
    (void)pthread_mutex_unlock(&row->lock);
    return least;
}

static void ledger_make(const char *path, uint64_t bound_ms, uint64_t length_ms)
{
    pthread_mutexattr_t shared;
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(file, sizeof *ledger), 0);
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_ptr_not_equal(ledger, MAP_FAILED);
    (void)close(file);
    (void)pthread_mutexattr_init(&shared);
    (void)pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    for (int i = 0; i <= ROWS; i++) {
        (void)pthread_mutex_init(&ledger->rows[i].writing, &shared);
        (void)pthread_mutex_init(&ledger->rows[i].lock, &shared);
    }
    (void)pthread_mutexattr_destroy(&shared);
    ledger->bound_ns = bound_ms * STA_NS_MS;
    ledger->end_ns = sta_clock_now_ns() + length_ms * STA_NS_MS;
}

/* ---- the load ---- */

static void mix_change(int64_t id)
{
    struct strata_error error;
    struct ledger_row *row = &ledger->rows[id];
    (void)pthread_mutex_lock(&row->writing);
    int64_t version = ++row->next;
    const struct strata_change change = {"cost", strata_field_real((double)version)};
    int status = strata_repository_update_columns(user.machines, NULL, strata_field_integer(id),
                                                  &change, 1, NULL, &error);
    if (status == STRATA_OK)
        ledger_ack(id, version);
    (void)pthread_mutex_unlock(&row->writing);
    atomic_fetch_add(status == STRATA_OK ? &ledger->changes : &ledger->failed, 1);
    if (status != STRATA_OK)
        (void)fprintf(stderr, "change: %s\n", error.text);
}

static void mix_check(const struct strata_rows *found, const int64_t *floors)
{
    const struct machine *machines = found->rows;
    for (size_t i = 0; i < found->count; i++) {
        int64_t least = floors[machines[i].id];
        atomic_fetch_add(&ledger->checked, least > 0);
        if (machines[i].cost < (double)least) {
            (void)fprintf(stderr, "row %lld: %g where %lld was due\n", (long long)machines[i].id,
                          machines[i].cost, (long long)least);
            atomic_fetch_add(&ledger->stale, 1);
        }
    }
}

/* By key, by name, or as one of a list. */
static void mix_read(uint64_t *seed)
{
    int64_t id = 1 + (int64_t)sta_random_below(seed, ROWS);
    uint64_t way = sta_random_below(seed, 4);
    int64_t floors[ROWS + 1] = {0}, group = (id - 1) % GROUPS;
    uint64_t now_ns = sta_clock_now_ns();
    struct strata_rows found = {0};
    struct strata_error error;
    char text[24];
    struct strata_match by = {.column = way == 0 ? "name" : "provider"};
    const struct strata_query query = {.where = &by, .where_count = 1};
    int status;
    for (int64_t i = 1; i <= ROWS; i++) {
        if (way == 1 ? (i - 1) % GROUPS == group : i == id)
            floors[i] = ledger_floor(i, now_ns);
    }
    (void)snprintf(text, sizeof text, "%c%lld", way == 0 ? 'm' : 'p',
                   (long long)(way == 0 ? id : group));
    by.field = strata_field_text(text);
    if (way == 0)
        status = strata_repository_find_one_by_cached(user.machines, &by, 1, &found, &error);
    else if (way == 1)
        status = strata_repository_list_cached(user.machines, &query, &found, &error);
    else
        status =
            strata_repository_find_cached(user.machines, strata_field_integer(id), &found, &error);
    if (status != STRATA_OK || found.count != (way == 1 ? ROWS / GROUPS : 1)) {
        (void)fprintf(stderr, "read: %s, %zu rows: %s\n", strata_status_name(status), found.count,
                      error.text);
        atomic_fetch_add(&ledger->failed, 1);
    }
    mix_check(&found, floors);
    strata_rows_release(&found);
    atomic_fetch_add(&ledger->reads, 1);
}

static void *mix_thread(void *arg)
{
    uint64_t seed = sta_random_seed();
    (void)arg;
    while (sta_clock_now_ns() < ledger->end_ns) {
        if (is_long_form() && atomic_load(&ledger->reads) >= 1000000)
            break;
        if (sta_random_below(&seed, 20) == 0)
            mix_change(1 + (int64_t)sta_random_below(&seed, ROWS));
        else
            mix_read(&seed);
    }
    return NULL;
}

static void mix_start(pthread_t *threads)
{
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mix_thread, NULL), 0);
}

static void mix_join(pthread_t *threads)
{
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    atomic_fetch_add(&ledger->hits, repository_numbers(&user).hits);
}

/* ---- the processes ---- */

static void mix_open(const char *url, const char *redis_url)
{
    const struct strata_options options = {.redis_url = redis_url, .socket_timeout_ms = 1000};
    const struct strata_database_options database_options = {.connections = THREADS + 1,
                                                             .timeout_ms = 60000};
    repository_user_open_as(&user, url, options, database_options, repository_rig_driver());
}

/* The role: argv is program, database, Redis, ledger. */
static int play(char **argv)
{
    pthread_t threads[THREADS];
    int file = open(argv[3], O_RDWR | O_CLOEXEC);
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || ledger == MAP_FAILED)
        return 1;
    mix_open(argv[1], argv[2]);
    mix_start(threads);
    mix_join(threads);
    repository_user_close(&user);
    return 0;
}

static void create_rows(void)
{
    char name[16], provider[16];
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(name, sizeof name, "m%d", i + 1);
        (void)snprintf(provider, sizeof provider, "p%d", i % GROUPS);
        assert_int_equal(machine_create(&user, name, provider, 0), i + 1);
    }
}

static void assert_nothing_stale(void)
{
    print_message("%llu reads, %llu from the cache, %llu rows checked, %llu changes, %llu stale, "
                  "%llu failed\n",
                  (unsigned long long)ledger->reads, (unsigned long long)ledger->hits,
                  (unsigned long long)ledger->checked, (unsigned long long)ledger->changes,
                  (unsigned long long)ledger->stale, (unsigned long long)ledger->failed);
    assert_int_equal(ledger->stale, 0);
    assert_int_equal(ledger->failed, 0);
    assert_true(ledger->changes > 0);
    assert_true(ledger->checked > 0);
    assert_true(ledger->hits > 0);
}

/* Two processes for so long; meanwhile Redis hangs for hang_ms, a second after the beginning. */
static void mix(uint64_t bound_ms, uint64_t length_ms, unsigned hang_ms)
{
    pthread_t threads[THREADS];
    struct child child;
    struct redis_server *redis = NULL;
    char path[] = "/tmp/strata-ledger-XXXXXX";
    const char *url = repository_rig_fresh();
    assert_int_equal(redis_server_start(&redis, NULL), 0);
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    memset((void *)own, 0, sizeof own);
    mix_open(url, redis_server_url(redis));
    create_rows();
    ledger_make(path, bound_ms, length_ms);

    const char *const argv[] = {"/proc/self/exe", url, redis_server_url(redis), path, NULL};
    assert_int_equal(child_start(&child, argv, "/dev/stderr"), 0);
    mix_start(threads);
    if (hang_ms > 0) {
        (void)usleep(1000000);
        redis_server_freeze(redis);
        (void)usleep(hang_ms * 1000);
        redis_server_thaw(redis);
    }
    mix_join(threads);
    assert_int_equal(child_wait(&child, 120000), 0);
    assert_int_equal(child.status, 0);
    repository_user_close(&user);
    redis_server_stop(&redis);
    (void)unlink(path);
    assert_nothing_stale();
    (void)munmap(ledger, sizeof *ledger);
}

static void nothing_old_is_answered_past_the_bound(void **state)
{
    (void)state;
    mix(2000, is_long_form() ? 600000 : 5000, 0);
}

static void nothing_old_is_answered_while_and_after_redis_hangs(void **state)
{
    (void)state;
    mix(4000, 9000, 1500);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_old_is_answered_past_the_bound),
        cmocka_unit_test(nothing_old_is_answered_while_and_after_redis_hangs),
    };
    if (argc == 4)
        return play(argv);
    return cmocka_run_group_tests(tests, repository_rig_start, repository_rig_stop);
}
