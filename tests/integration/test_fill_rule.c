/* SPDX-License-Identifier: MIT
 *
 * The fill rule, one interleaving at a time: operations are begun, and sent later, so that other
 * events can be put between their steps. Against a real Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "cache/cache.h"
#include "cache/tags.h"
#include "cache/tiers.h"
#include "cache/value.h"
#include "core/clock.h"
#include "l2/command.h"
#include "net/waiter.h"
#include "support/redis_server.h"

static struct redis_server *server;
static struct sta_redis_url url;
static struct sta_cache *cache;

static int start(void **state)
{
    (void)state;
    struct sta_cache_config config = {
        .l1_enabled = true,
        .l1.max_bytes = 1 << 20,
        .l1_ttl_ms = 60000,
        .cleanup_interval_ms = STRATA_UNLIMITED,
        .l2_enabled = true,
        .l2.router.node.connection = {.url = &url, .protocol = 3},
        .l2_ttl_ms = 60000,
        .budget_ms = 2000,
        .write_through = true,
        .read_through = true,
    };
    if (redis_server_start(&server, NULL) != 0)
        return -1;
    if (sta_redis_url_parse(redis_server_url(server), &url, NULL) != STRATA_OK)
        return -1;
    return sta_cache_create(&cache, &config, NULL, NULL);
}

static int stop(void **state)
{
    (void)state;
    sta_cache_destroy(&cache);
    redis_server_stop(&server);
    return 0;
}

/* ---- operations in two steps ---- */

struct reading {
    struct sta_read read;
    struct strata_bytes key;
    struct strata_value value;
    int status;
    struct sta_waiter waiter;
};

static void reading_done(struct sta_read *read)
{
    sta_waiter_signal(&STA_CONTAINER(read, struct reading, read)->waiter);
}

static int reading_begin(struct reading *reading)
{
    *reading = (struct reading){.key = strata_text("k")};
    reading->read.cache = cache;
    reading->read.keys = &reading->key;
    reading->read.count = 1;
    reading->read.values = &reading->value;
    reading->read.statuses = &reading->status;
    reading->read.done = reading_done;
    return sta_read_begin(&reading->read, sta_clock_now_ns());
}

static int reading_end(struct reading *reading)
{
    sta_waiter_init(&reading->waiter, sta_cache_loop(cache));
    sta_read_send(&reading->read);
    sta_waiter_wait(&reading->waiter);
    sta_value_release(&reading->value);
    return reading->status;
}

struct writing {
    struct sta_write write;
    struct strata_item item;
    int status;
    struct sta_waiter waiter;
};

static void writing_done(struct sta_write *write)
{
    sta_waiter_signal(&STA_CONTAINER(write, struct writing, write)->waiter);
}

static void writing_begin(struct writing *writing, const char *value)
{
    *writing = (struct writing){.item = {strata_text("k"), strata_text(value), 0}};
    writing->write.cache = cache;
    writing->write.kind = STA_WRITE_SET;
    writing->write.items = &writing->item;
    writing->write.count = 1;
    writing->write.statuses = &writing->status;
    writing->write.done = writing_done;
    assert_int_equal(sta_write_begin(&writing->write, sta_clock_now_ns()), STRATA_MORE);
}

static int writing_end(struct writing *writing)
{
    sta_waiter_init(&writing->waiter, sta_cache_loop(cache));
    sta_write_send(&writing->write);
    sta_waiter_wait(&writing->waiter);
    return writing->status;
}

static void set_in_redis(const char *value)
{
    redisContext *foreign = redisConnectUnix(redis_server_socket(server));
    freeReplyObject(redisCommand(foreign, "SET k %s", value));
    redisFree(foreign);
}

static void make_doubtful(void)
{
    struct sta_key key = sta_l1_key(cache->l1, strata_text("k"));
    (void)sta_l1_invalidate(cache->l1, &key, sta_clock_now_ms(), NULL);
}

/* What L1 holds of "k", or NULL. */
static const char *in_l1(void)
{
    static char text[32];
    struct sta_key key = sta_l1_key(cache->l1, strata_text("k"));
    struct sta_l1_lease lease;
    if (sta_l1_get(cache->l1, &key, sta_clock_now_ms(), &lease) != STRATA_OK)
        return NULL;
    memcpy(text, lease.value.data, lease.value.len);
    text[lease.value.len] = 0;
    sta_l1_release(cache->l1, &lease);
    return text;
}

/* ---- the rule ---- */

static void an_undisturbed_read_fills(void **state)
{
    (void)state;
    struct reading reading;
    set_in_redis("v");
    assert_int_equal(reading_begin(&reading), STRATA_MORE);
    assert_int_equal(reading_end(&reading), STRATA_OK);
    assert_string_equal(in_l1(), "v");
}

static void a_read_that_an_invalidation_overtook_answers_but_does_not_fill(void **state)
{
    (void)state;
    struct reading reading;
    set_in_redis("v");
    assert_int_equal(reading_begin(&reading), STRATA_MORE);
    make_doubtful();
    assert_int_equal(reading_end(&reading), STRATA_OK);
    assert_null(in_l1());
}

static void a_read_from_before_a_write_does_not_fill_and_leaves_nothing_older(void **state)
{
    (void)state;
    struct reading reading;
    struct writing writing;
    set_in_redis("old");
    assert_int_equal(reading_begin(&reading), STRATA_MORE);
    writing_begin(&writing, "new");
    assert_int_equal(writing_end(&writing), STRATA_OK);
    set_in_redis("newer"); /* so that a fill would show */
    assert_int_equal(reading_end(&reading), STRATA_OK);
    assert_null(in_l1()); /* not "newer", and not what is older than that either */
}

static void a_read_begun_during_a_write_does_not_fill_and_leaves_nothing_older(void **state)
{
    (void)state;
    struct reading reading;
    struct writing writing;
    set_in_redis("old");
    writing_begin(&writing, "new");
    assert_int_equal(reading_begin(&reading), STRATA_MORE);
    assert_int_equal(writing_end(&writing), STRATA_OK);
    set_in_redis("newer");
    assert_int_equal(reading_end(&reading), STRATA_OK);
    assert_null(in_l1()); /* not "newer", and not what is older than that either */
}

static void of_two_writes_under_way_neither_leaves_its_value(void **state)
{
    (void)state;
    struct writing first, second;
    writing_begin(&first, "1");
    writing_begin(&second, "2");
    assert_int_equal(writing_end(&first), STRATA_OK);
    assert_null(in_l1());
    assert_int_equal(writing_end(&second), STRATA_OK);
    assert_null(in_l1());
}

static void a_value_leaves_l1_before_its_replacement_is_sent(void **state)
{
    (void)state;
    struct writing writing;
    writing_begin(&writing, "1");
    assert_int_equal(writing_end(&writing), STRATA_OK);
    assert_string_equal(in_l1(), "1");
    writing_begin(&writing, "2");
    assert_null(in_l1());
    assert_int_equal(writing_end(&writing), STRATA_OK);
    assert_string_equal(in_l1(), "2");
}

static void a_failed_write_removes_what_a_read_filled_meanwhile(void **state)
{
    (void)state;
    struct reading reading;
    struct writing writing;
    set_in_redis("old");
    writing_begin(&writing, "new");
    assert_int_equal(reading_begin(&reading), STRATA_MORE);
    assert_int_equal(reading_end(&reading), STRATA_OK);
    assert_string_equal(in_l1(), "old");
    redis_server_kill9(server);
    assert_true(writing_end(&writing) < 0);
    assert_null(in_l1());
}

/* ---- values with tags ---- */

struct together {
    struct sta_read older, newer;
    struct sta_command between;
    struct strata_bytes key;
    struct strata_value values[2];
    int statuses[2];
    unsigned pending;
    struct sta_waiter waiter;
};

static void together_settle(struct together *together)
{
    if (--together->pending == 0)
        sta_waiter_signal(&together->waiter);
}

static void older_done(struct sta_read *read)
{
    together_settle(STA_CONTAINER(read, struct together, older));
}

static void newer_done(struct sta_read *read)
{
    together_settle(STA_CONTAINER(read, struct together, newer));
}

static void between_done(struct sta_command *command, int status, struct strata_bytes replies)
{
    (void)replies;
    assert_int_equal(status, STRATA_OK);
    together_settle(STA_CONTAINER(command, struct together, between));
}

static void one_begins(struct together *together, struct sta_read *read, unsigned which,
                       void (*done)(struct sta_read *read))
{
    *read = (struct sta_read){
        .cache = cache,
        .keys = &together->key,
        .count = 1,
        .values = &together->values[which],
        .statuses = &together->statuses[which],
        .done = done,
    };
    assert_int_equal(sta_read_begin(read, sta_clock_now_ns()), STRATA_MORE);
}

static void set_tagged_in_redis(const char *value)
{
    struct sta_envelope envelope = {
        .tag_count = 1,
        .tags = {{strata_text("t"), 0x0123456789abcdef}},
        .value = strata_text(value),
    };
    struct sta_buffer stored;
    sta_buffer_init(&stored, SIZE_MAX);
    assert_int_equal(sta_envelope_write(&stored, &envelope), STRATA_OK);
    struct strata_bytes bytes = sta_buffer_bytes(&stored);
    redisContext *foreign = redisConnectUnix(redis_server_socket(server));
    freeReplyObject(redisCommand(foreign, "SET " STA_TAGS_PREFIX "t 0123456789abcdef"));
    freeReplyObject(redisCommand(foreign, "SET k %b", bytes.data, bytes.len));
    redisFree(foreign);
    sta_buffer_fini(&stored);
}

/* When it is connected, GET k, SET k new, GET k go out together. The older read asks for the
 * version when its value has come; the newer one is over before that is answered. */
static void a_value_with_tags_does_not_replace_what_was_read_after_it(void **state)
{
    (void)state;
    struct together together = {.key = strata_text("k"), .pending = 3};
    const struct strata_bytes set[] = {strata_text("SET"), together.key, strata_text("new")};
    set_tagged_in_redis("old");
    struct reading first;
    assert_int_equal(reading_begin(&first), STRATA_MORE);
    assert_int_equal(reading_end(&first), STRATA_OK);
    make_doubtful();
    one_begins(&together, &together.older, 0, older_done);
    one_begins(&together, &together.newer, 1, newer_done);
    sta_command_init(&together.between, cache->l2, between_done);
    assert_int_equal(sta_command_add(&together.between, set, 3), STRATA_OK);
    sta_waiter_init(&together.waiter, sta_cache_loop(cache));
    sta_read_send(&together.older);
    sta_command_submit(&together.between, together.key, STA_NEVER);
    sta_read_send(&together.newer);
    sta_waiter_wait(&together.waiter);
    sta_command_fini(&together.between);
    assert_memory_equal(together.values[0].bytes.data, "old", 3);
    assert_memory_equal(together.values[1].bytes.data, "new", 3);
    sta_value_release(&together.values[0]);
    sta_value_release(&together.values[1]);
    assert_string_equal(in_l1(), "new");
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(an_undisturbed_read_fills),
        RULE(a_read_that_an_invalidation_overtook_answers_but_does_not_fill),
        RULE(a_read_from_before_a_write_does_not_fill_and_leaves_nothing_older),
        RULE(a_read_begun_during_a_write_does_not_fill_and_leaves_nothing_older),
        RULE(of_two_writes_under_way_neither_leaves_its_value),
        RULE(a_value_leaves_l1_before_its_replacement_is_sent),
        RULE(a_failed_write_removes_what_a_read_filled_meanwhile),
        RULE(a_value_with_tags_does_not_replace_what_was_read_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
