/* SPDX-License-Identifier: MIT
 *
 * Is the tier linearizable? Eight threads act on a few keys and write down what they did and when;
 * afterwards it is checked, key by key, that there is an order of all of it, each call between its
 * begin and its end, in which every hit answers with what was written last.
 *
 * Every value is written once, so the check is exact and simple (P. Gibbons, E. Korach: Testing
 * Shared Memories, SIAM J. Comput. 26, 1997): a value with its write and its hits has a zone, from
 * the first end among them to the last begin. Where that is forwards, the value was the key's
 * throughout. No two such may overlap, and none may have within it another value's whole life. What
 * removes the key is a value that nobody reads. A miss says nothing where entries are evicted;
 * where they are not, it must have a removal to show for it.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>

#include "unit/l1/tier_rig.h"

#define THREADS   8
#define KEYS      12u
#define OPS       (3000u / RIG_SHORTER)
#define OPS_MOST  (THREADS * OPS * 2 + 100)
#define VALUE_MAX (3000u / RIG_SHORTER)

enum kind {
    OP_WRITE,  /* a value is there, whatever was before: set, publish */
    OP_FILL,   /* likewise, under a token that others overtake */
    OP_REMOVE, /* nothing is there: invalidate, a refused set, clear */
    OP_HIT,
    OP_MISS
};

struct op {
    uint64_t begin;
    uint64_t end;
    uint64_t token; /* when the fill's or the publish's token was there; 0: none */
    uint64_t version;
    uint32_t key;
    enum kind kind;
};

struct history {
    struct op *ops;
    size_t count;
};

/* ---- the check ---- */

static bool writes(const struct op *op)
{
    return op->kind == OP_WRITE || op->kind == OP_FILL || op->kind == OP_REMOVE;
}

/* What the value of one write went through. */
struct zone {
    uint64_t first_end;
    uint64_t last_begin;
};

static struct zone zone_of(const struct history *history, const struct op *write)
{
    struct zone zone = {write->end, write->begin};
    for (size_t i = 0; i < history->count && write->kind != OP_REMOVE; i++) {
        const struct op *op = &history->ops[i];
        if (op->kind != OP_HIT || op->version != write->version)
            continue;
        zone.first_end = op->end < zone.first_end ? op->end : zone.first_end;
        zone.last_begin = op->begin > zone.last_begin ? op->begin : zone.last_begin;
    }
    return zone;
}

static bool forward(struct zone zone)
{
    return zone.first_end < zone.last_begin;
}

/* Whether there is an order for both. */
static bool compatible(struct zone a, struct zone b)
{
    if (forward(a) && forward(b))
        return a.last_begin <= b.first_end || b.last_begin <= a.first_end;
    if (forward(a))
        return b.last_begin <= a.first_end || b.first_end >= a.last_begin;
    return !forward(b) || compatible(b, a);
}

static uint64_t bad_zones(const struct history *history)
{
    uint64_t bad = 0;
    size_t count = 0;
    struct zone *zones = calloc(history->count + 1, sizeof *zones);
    for (size_t i = 0; i < history->count; i++) {
        if (!writes(&history->ops[i]))
            continue;
        zones[count] = zone_of(history, &history->ops[i]);
        for (size_t j = 0; j < count; j++)
            bad += !compatible(zones[count], zones[j]);
        count++;
    }
    free(zones);
    return bad;
}

/* Hits of what was never written, or before it was. */
static uint64_t bad_hits(const struct history *history)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct op *hit = &history->ops[i];
        bool found = hit->kind != OP_HIT;
        for (size_t j = 0; j < history->count && !found; j++) {
            const struct op *op = &history->ops[j];
            found = writes(op) && op->kind != OP_REMOVE && op->version == hit->version &&
                    op->begin < hit->end;
        }
        bad += !found;
    }
    return bad;
}

/* What was stored under a token although a write lies wholly between the token and the store. */
static uint64_t bad_fills(const struct history *history)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct op *fill = &history->ops[i];
        for (size_t j = 0; j < history->count && fill->token != 0; j++) {
            const struct op *op = &history->ops[j];
            bad += (op->kind == OP_WRITE || op->kind == OP_REMOVE) && op->begin > fill->token &&
                   op->end < fill->begin;
        }
    }
    return bad;
}

/* Misses after a write that is over, where no removal comes between them. */
static uint64_t bad_misses(const struct history *history)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct op *miss = &history->ops[i];
        uint64_t written = 0; /* begin of the last write that was over; 0: none */
        uint64_t removed = 0; /* end of the last removal that may have been before the miss */
        for (size_t j = 0; j < history->count && miss->kind == OP_MISS; j++) {
            const struct op *op = &history->ops[j];
            if (op->kind == OP_REMOVE && op->begin < miss->end && op->end > removed)
                removed = op->end;
            else if (writes(op) && op->kind != OP_REMOVE && op->end < miss->begin &&
                     op->begin > written)
                written = op->begin;
        }
        bad += written > removed;
    }
    return bad;
}

static uint64_t bad_in(const struct history *history, bool roomy)
{
    uint64_t bad = bad_zones(history) + bad_hits(history) + bad_fills(history);
    return bad + (roomy ? bad_misses(history) : 0);
}

static void the_checker_tells_stale_answers_from_concurrent_ones(void **state)
{
    (void)state;
    static const struct {
        struct op ops[4];
        bool good;
        bool good_if_roomy;
    } cases[] = {
        /* begin, end, token, version, key, kind */
        {{{1, 2, 0, 7, 0, OP_WRITE}, {3, 4, 0, 7, 0, OP_HIT}}, true, true},
        {{{1, 2, 0, 7, 0, OP_WRITE}, {3, 4, 0, 8, 0, OP_HIT}}, false, false},
        {{{3, 4, 0, 7, 0, OP_WRITE}, {1, 2, 0, 7, 0, OP_HIT}}, false, false},
        /* read behind a later write, and beside it */
        {{{1, 2, 0, 7, 0, OP_WRITE}, {3, 4, 0, 8, 0, OP_WRITE}, {5, 6, 0, 7, 0, OP_HIT}},
         false,
         false},
        {{{1, 2, 0, 7, 0, OP_WRITE}, {3, 6, 0, 8, 0, OP_WRITE}, {4, 5, 0, 7, 0, OP_HIT}},
         true,
         true},
        /* one reader goes back */
        {{{1, 9, 0, 7, 0, OP_WRITE},
          {2, 10, 0, 8, 0, OP_WRITE},
          {3, 4, 0, 7, 0, OP_HIT},
          {5, 6, 0, 8, 0, OP_HIT}},
         true,
         true},
        {{{1, 2, 0, 7, 0, OP_WRITE},
          {3, 20, 0, 8, 0, OP_WRITE},
          {5, 6, 0, 8, 0, OP_HIT},
          {7, 8, 0, 7, 0, OP_HIT}},
         false,
         false},
        /* removed, and read all the same */
        {{{1, 2, 0, 7, 0, OP_WRITE}, {3, 4, 0, 0, 0, OP_REMOVE}, {5, 6, 0, 7, 0, OP_HIT}},
         false,
         false},
        {{{1, 2, 0, 7, 0, OP_WRITE}, {3, 6, 0, 0, 0, OP_REMOVE}, {4, 5, 0, 7, 0, OP_HIT}},
         true,
         true},
        /* an overtaken fill */
        {{{5, 6, 1, 7, 0, OP_FILL}, {2, 3, 0, 0, 0, OP_REMOVE}}, false, false},
        {{{5, 6, 2, 7, 0, OP_FILL}, {1, 4, 0, 0, 0, OP_REMOVE}}, true, true},
        /* a miss without a reason, and with one */
        {{{1, 2, 0, 7, 0, OP_WRITE}, {3, 4, 0, 0, 0, OP_MISS}}, true, false},
        {{{1, 3, 0, 7, 0, OP_WRITE}, {2, 4, 0, 0, 0, OP_MISS}}, true, true},
        {{{1, 4, 0, 7, 0, OP_WRITE}, {2, 3, 0, 0, 0, OP_REMOVE}, {5, 6, 0, 0, 0, OP_MISS}},
         true,
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op ops[4];
        struct history history = {ops, 0};
        for (size_t j = 0; j < 4 && cases[i].ops[j].end != 0; j++)
            ops[history.count++] = cases[i].ops[j];
        if ((bad_in(&history, false) == 0) != cases[i].good ||
            (bad_in(&history, true) == 0) != cases[i].good_if_roomy)
            print_error("case %u\n", (unsigned)i);
        assert_int_equal(bad_in(&history, false) == 0, cases[i].good);
        assert_int_equal(bad_in(&history, true) == 0, cases[i].good_if_roomy);
    }
}

/* ---- the run ---- */

struct world {
    struct sta_l1 *l1;
    _Atomic uint64_t clock;
    _Atomic uint64_t torn;
};

struct actor {
    struct world *world;
    pthread_t thread;
    uint64_t random;
    uint64_t version; /* the newest that this thread has written */
    struct history history;
};

/* The clock must not be what orders the threads for the thread sanitizer. */
static uint64_t tick(struct world *world)
{
    atomic_signal_fence(memory_order_seq_cst);
#ifdef __SANITIZE_THREAD__
    uint64_t now = atomic_fetch_add_explicit(&world->clock, 1, memory_order_relaxed);
#else
    uint64_t now = atomic_fetch_add(&world->clock, 1);
#endif
    atomic_signal_fence(memory_order_seq_cst);
    return now + 1;
}

static struct op *note(struct actor *actor, struct op op)
{
    assert(actor->history.count < OPS_MOST);
    actor->history.ops[actor->history.count] = op;
    return &actor->history.ops[actor->history.count++];
}

static struct sta_l1_entry entry_make(struct actor *actor, uint32_t key, uint8_t *bytes)
{
    uint64_t len = sizeof(struct rig_value) +
                   sta_random_below(&actor->random, VALUE_MAX - sizeof(struct rig_value));
    rig_value_make(bytes, key, ++actor->version, len);
    return (struct sta_l1_entry){.value = strata_bytes(bytes, len), .deadline_ms = STA_NEVER};
}

static void act_read(struct actor *actor, const struct sta_key *key, uint32_t index)
{
    struct world *world = actor->world;
    uint8_t bytes[VALUE_MAX];
    struct sta_l1_copy copy = {.buffer = bytes, .cap = sizeof bytes};
    struct sta_l1_lease lease = {0};
    struct strata_bytes value = {0};
    struct op op = {.key = index, .kind = OP_HIT, .begin = tick(world)};
    int status;
    switch (sta_random_below(&actor->random, 4)) {
    case 0:
        status = sta_l1_get(world->l1, key, RIG_NOW, &lease);
        value = lease.value;
        break;
    case 1:
        status = sta_l1_peek(world->l1, key, RIG_NOW, &lease);
        value = lease.value;
        break;
    default:
        status = sta_l1_copy(world->l1, key, RIG_NOW, &copy);
        value = strata_bytes(bytes, copy.len);
    }
    op.end = tick(world);
    if (status != STRATA_OK)
        op.kind = OP_MISS;
    else if (!rig_value_read(value, index, &op.version))
        atomic_fetch_add_explicit(&world->torn, 1, memory_order_relaxed);
    sta_l1_release(world->l1, &lease);
    note(actor, op);
}

static void act_set(struct actor *actor, const struct sta_key *key, uint32_t index)
{
    uint8_t bytes[VALUE_MAX];
    struct sta_l1_entry entry = entry_make(actor, index, bytes);
    struct op op = {.key = index, .version = actor->version, .begin = tick(actor->world)};
    int status = sta_l1_set(actor->world->l1, key, &entry, RIG_NOW);
    op.end = tick(actor->world);
    op.kind = status == STRATA_OK ? OP_WRITE : OP_REMOVE;
    note(actor, op);
}

static void act_remove(struct actor *actor, const struct sta_key *key, uint32_t index)
{
    struct op op = {.key = index, .kind = OP_REMOVE, .begin = tick(actor->world)};
    sta_l1_invalidate(actor->world->l1, key, RIG_NOW, NULL);
    op.end = tick(actor->world);
    note(actor, op);
}

/* A fill; or a delivery, which where it is refused removes what is there: no two values are
 * equal. */
static void act_fill(struct actor *actor, const struct sta_key *key, uint32_t index, bool deliver)
{
    uint8_t bytes[VALUE_MAX];
    struct sta_l1_token token = sta_l1_token(actor->world->l1, key);
    struct op op = {.key = index, .kind = OP_FILL, .token = tick(actor->world)};
    struct sta_l1_entry entry = entry_make(actor, index, bytes);
    op.version = actor->version;
    if (sta_random_below(&actor->random, 4) == 0)
        sched_yield();
    op.begin = tick(actor->world);
    int status = deliver ? sta_l1_deliver(actor->world->l1, key, &entry, token, RIG_NOW)
                         : sta_l1_fill(actor->world->l1, key, &entry, token, RIG_NOW);
    op.end = tick(actor->world);
    if (status != STRATA_OK)
        op = (struct op){.key = index, .kind = OP_REMOVE, .begin = op.begin, .end = op.end};
    if (status == STRATA_OK || deliver)
        note(actor, op);
}

/* A write in its two halves. */
static void act_publish(struct actor *actor, const struct sta_key *key, uint32_t index)
{
    uint8_t bytes[VALUE_MAX];
    struct op first = {.key = index, .kind = OP_REMOVE, .begin = tick(actor->world)};
    struct sta_l1_token token = sta_l1_invalidate(actor->world->l1, key, RIG_NOW, NULL);
    first.end = tick(actor->world);
    note(actor, first);
    struct sta_l1_entry entry = entry_make(actor, index, bytes);
    struct op op = {.key = index, .version = actor->version, .begin = tick(actor->world)};
    int status = sta_l1_publish(actor->world->l1, key, &entry, token, RIG_NOW);
    op.end = tick(actor->world);
    op.kind = status == STRATA_OK ? OP_WRITE : OP_REMOVE;
    op.token = status == STRATA_OK ? first.end : 0;
    note(actor, op);
}

static void act_clear(struct actor *actor)
{
    struct op op = {.kind = OP_REMOVE, .begin = tick(actor->world)};
    sta_l1_clear(actor->world->l1);
    op.end = tick(actor->world);
    for (op.key = 0; op.key < KEYS; op.key++)
        note(actor, op);
}

static void *act(void *arg)
{
    struct actor *actor = arg;
    struct world *world = actor->world;
    for (uint32_t i = 0; i < OPS; i++) {
        char name[16];
        uint32_t index = (uint32_t)sta_random_below(&actor->random, KEYS);
        int len = snprintf(name, sizeof name, "key:%u", index);
        struct sta_key key = sta_l1_key(world->l1, strata_bytes(name, (size_t)len));
        uint64_t what = sta_random_below(&actor->random, 1000);
        if (what < 600)
            act_read(actor, &key, index);
        else if (what < 750)
            act_set(actor, &key, index);
        else if (what < 850)
            act_fill(actor, &key, index, what < 800);
        else if (what < 920)
            act_remove(actor, &key, index);
        else if (what < 960)
            act_publish(actor, &key, index);
        else if (what < 999) /* moves the entry; its value stays what it is */
            sta_l1_set_deadline(world->l1, &key, STA_NEVER - what, RIG_NOW);
        else
            act_clear(actor);
    }
    return NULL;
}

/* What all threads did with one key. */
static struct history history_of(const struct actor *actors, uint32_t key)
{
    struct history history = {calloc(THREADS * OPS_MOST, sizeof(struct op)), 0};
    for (int t = 0; t < THREADS; t++) {
        for (size_t i = 0; i < actors[t].history.count; i++) {
            if (actors[t].history.ops[i].key == key)
                history.ops[history.count++] = actors[t].history.ops[i];
        }
    }
    return history;
}

static void run(struct sta_l1_config config, bool roomy, uint64_t seed)
{
    struct world world = {.l1 = rig_create(config)};
    struct actor actors[THREADS];
    for (uint64_t t = 0; t < THREADS; t++) {
        actors[t] =
            (struct actor){.world = &world, .random = seed * THREADS + t, .version = (t + 1) << 40};
        actors[t].history.ops = calloc(OPS_MOST, sizeof(struct op));
        assert_non_null(actors[t].history.ops);
    }
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&actors[t].thread, NULL, act, &actors[t]), 0);
    for (int t = 0; t < THREADS; t++)
        pthread_join(actors[t].thread, NULL);
    uint64_t bad = 0;
    uint64_t hits = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        struct history history = history_of(actors, key);
        bad += bad_in(&history, roomy);
        for (size_t i = 0; i < history.count; i++)
            hits += history.ops[i].kind == OP_HIT;
        free(history.ops);
    }
    print_message("seed %u: %u hits\n", (unsigned)seed, (unsigned)hits);
    assert_int_equal(atomic_load(&world.torn), 0);
    assert_int_equal(bad, 0);
    assert_true(hits > THREADS * OPS / 20);
    for (int t = 0; t < THREADS; t++)
        free(actors[t].history.ops);
    rig_destroy(world.l1);
}

static void a_roomy_tier_is_a_map_that_all_threads_agree_on(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4 / RIG_SHORTER + 1; seed++)
        run((struct sta_l1_config){.max_bytes = 64 << 20}, true, seed);
}

static void so_is_one_that_evicts_but_for_what_is_gone(void **state)
{
    (void)state;
    for (uint64_t seed = 11; seed <= 11 + 4 / RIG_SHORTER; seed++)
        run((struct sta_l1_config){.max_bytes = 100000, .max_entries = 8}, false, seed);
}

static void so_is_one_of_many_lanes_and_namespaces(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {{strata_text("key:1"), 20000, 0}, {strata_text("key:2"), 0, 1}};
    for (uint64_t seed = 21; seed <= 21 + 3 / RIG_SHORTER; seed++)
        run((struct sta_l1_config){.max_bytes = 256 << 20, .quotas = quotas, .quota_count = 2},
            false, seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checker_tells_stale_answers_from_concurrent_ones),
        cmocka_unit_test(a_roomy_tier_is_a_map_that_all_threads_agree_on),
        cmocka_unit_test(so_is_one_that_evicts_but_for_what_is_gone),
        cmocka_unit_test(so_is_one_of_many_lanes_and_namespaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
