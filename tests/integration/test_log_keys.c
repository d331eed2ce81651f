/* SPDX-License-Identifier: MIT
 *
 * No line of the log holds a key or a value, whatever goes wrong and however much is logged: errors
 * are provoked under a key and with a value that nothing else is called by.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "integration/cache_rig.h"
#include "integration/log_record.h"
#include "integration/stratad_rig.h"
#include "support/fake_redis.h"
#include "support/folder.h"
#include "support/stratad_process.h"
#include "support/wait.h"

#define PREFIX     "atp:cache:"
#define KEY        "kEy7wQ"
#define VALUE      "vAl9xZ"
#define PATIENT_MS 20000u

static bool tells_too_much(const char *text)
{
    return strstr(text, KEY) != NULL || strstr(text, VALUE) != NULL;
}

/* ---- the library ---- */

static struct listener {
    struct log_record record;
    _Atomic unsigned leaks;
} listener;

static void listener_sink(void *arg, enum strata_log_level level, const char *room,
                          const char *line)
{
    struct listener *to = arg;
    if (tells_too_much(line)) {
        (void)fprintf(stderr, "logged: %s: %s\n", room, line);
        atomic_fetch_add(&to->leaks, 1);
    }
    log_record_sink(&to->record, level, room, line);
}

static int begin(void **state)
{
    log_record_init(&listener.record);
    atomic_store(&listener.leaks, 0);
    return cache_rig_flush(state);
}

static struct strata *open_talking(struct strata_options options)
{
    options.log_level = STRATA_LOG_DEBUG;
    options.log_sink = listener_sink;
    options.log_arg = &listener;
    return cache_rig_open(options);
}

struct awaited {
    const char *text;
};

static bool is_said(void *arg)
{
    const struct awaited *awaited = arg;
    return log_record_count(&listener.record, awaited->text, 0) > 0;
}

static void assert_said(const char *text)
{
    struct awaited awaited = {text};
    if (!wait_until(is_said, &awaited, PATIENT_MS)) {
        log_record_print(&listener.record);
        fail_msg("\"%s\" was not logged", text);
    }
}

static void end(struct strata **cache)
{
    strata_close(cache);
    assert_int_equal(atomic_load(&listener.leaks), 0);
}

/* A user of the rig's Redis with these rights; the URL that leads in with it. */
static const char *url_of(const char *rights)
{
    static char url[300];
    char command[200];
    (void)snprintf(command, sizeof command, "ACL SETUSER few reset on >pw %s", rights);
    redisReply *reply = redisCommand(cache_rig_foreign(), command);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    (void)snprintf(url, sizeof url, "redis://few:pw@%s", strstr(cache_rig_url(), "://") + 3);
    return url;
}

static struct strata_options behind(void)
{
    return (struct strata_options){.write_through = STRATA_OFF,
                                   .write_behind = STRATA_ON,
                                   .write_behind_interval_ms = 10,
                                   .write_behind_drain_timeout_ms = 1};
}

static int fails_to_load(struct strata_load *load, void *arg)
{
    (void)load;
    (void)arg;
    return STRATA_ERR_SERVER;
}

static void what_the_key_of_a_call_cannot_do(void **state)
{
    (void)state;
    static char large[2 << 20];
    struct strata_value value;
    struct strata *cache = open_talking((struct strata_options){0});
    redis_do("LPUSH", PREFIX KEY, VALUE);
    assert_int_equal(get_status(cache, KEY), STRATA_ERR_SERVER);
    memcpy(large, VALUE, sizeof VALUE - 1);
    struct strata_bytes too_long = strata_bytes(large, sizeof large);
    assert_true(strata_set(cache, too_long, strata_text(VALUE), 0) < 0);
    assert_int_equal(
        strata_get_or_load(cache, strata_text("new:" KEY), fails_to_load, NULL, NULL, &value),
        STRATA_ERR_SERVER);
    assert_said("ready");
    end(&cache);
}

/* Whoever connects once more waits, so that of what a node is said to do nothing is left out. */
static void be_answered(const struct fake_rule *rule)
{
    struct fake_redis *fake = fake_redis_start(NULL);
    char url[80];
    (void)snprintf(url, sizeof url, "redis://%s", fake_redis_address(fake));
    struct strata *cache = open_talking((struct strata_options){
        .redis_url = url, .tracking = STRATA_TRACKING_OFF, .socket_timeout_ms = 1000});
    (void)get_status(cache, "other");
    fake_redis_rule(fake, &(struct fake_rule){.pattern = "HELLO*", .deed = FAKE_HANG});
    fake_redis_rule(fake, rule);
    (void)set_text(cache, KEY, VALUE, 0);
    assert_true(fake_redis_seen(fake, "SET *" KEY "*" VALUE "*") > 0);
    end(&cache);
    fake_redis_stop(&fake);
}

static void a_server_that_repeats_what_it_was_asked(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *line;
    } cases[] = {
        {"-ERR unknown command `SET`, with args beginning with: `" KEY "` `" VALUE "`\r\n",
         "ready"},
        {"-MOVED " KEY " " VALUE "\r\n", "ready"},
        {"-MOVED 99999 127.0.0.1:1 " KEY "\r\n", "ready"},
        {"-ASK 1 [" KEY "\r\n", "ready"},
        {"-NOPERM " KEY "\r\n", "ready"},
        {"-READONLY " KEY "\r\n", "ready"},
        {"+" VALUE "\r\n", "ready"},
        {"*1\r\n$6\r\n" VALUE "\r\n", "ready"},
        {KEY VALUE "\r\n", "connection lost"}, /* no RESP */
        {"$" VALUE "\r\n", "connection lost"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_record_init(&listener.record);
        be_answered(&(struct fake_rule){.pattern = "SET *", .reply = cases[i].reply});
        assert_said(cases[i].line);
    }
    log_record_init(&listener.record);
    be_answered(&(struct fake_rule){
        .pattern = "SET *", .reply = "$6\r\n" VALUE "\r\n", .cut_after = 8, .deed = FAKE_CLOSE});
    assert_said("connection lost");
}

struct astray {
    struct strata *cache;
    struct fake_redis *fake;
};

static bool all_was_answered(void *arg)
{
    struct astray *astray = arg;
    (void)get_status(astray->cache, KEY);
    return fake_redis_seen(astray->fake, "GET *" KEY "*") > 2;
}

static void a_cluster_whose_redirects_lead_nowhere(void **state)
{
    (void)state;
    struct fake_redis *fake = fake_redis_start(NULL);
    const char *const seeds[] = {fake_redis_address(fake)};
    const struct fake_range all = {0, 16383, "127.0.0.1", fake_redis_port(fake)};
    fake_redis_set_slots(fake, &all, 1);
    fake_redis_say(fake, "GET *" KEY "*", 1, "-MOVED 12 127.0.0.1:x" KEY "\r\n");
    fake_redis_say(fake, "GET *" KEY "*", 1, "-CROSSSLOT " KEY "\r\n");
    fake_redis_say(fake, "GET *" KEY "*", 1, "-MOVED 12 127.0.0.1:1\r\n");
    fake_redis_say(fake, "CLUSTER SLOTS", 2, "*1\r\n$6\r\n" VALUE "\r\n");
    struct strata *cache = open_talking((struct strata_options){.cluster_enabled = STRATA_ON,
                                                                .cluster_nodes = seeds,
                                                                .cluster_node_count = 1,
                                                                .tracking = STRATA_TRACKING_OFF,
                                                                .socket_timeout_ms = 300});
    struct astray astray = {cache, fake};
    assert_true(wait_until(all_was_answered, &astray, PATIENT_MS));
    assert_said("no map of the cluster");
    end(&cache);
    fake_redis_stop(&fake);
}

static void writes_that_redis_refuses(void **state)
{
    (void)state;
    struct strata_options options = behind();
    options.redis_url = url_of("~" PREFIX "ok:* ~" PREFIX "strata:* &* +@all");
    struct strata *cache = open_talking(options);
    assert_int_equal(set_text(cache, KEY, VALUE, 0), STRATA_OK);
    assert_said("Redis refuses writes");
    strata_close(&cache);
    assert_said("write-behind: closed before 1 keys");
    end(&cache);
}

static void writes_that_others_have_overtaken(void **state)
{
    (void)state;
    struct strata_options options = behind();
    options.write_behind_interval_ms = 3600000;
    options.write_behind_guard = STRATA_GUARD_ON;
    struct strata *cache = open_talking(options);
    assert_int_equal(set_text(cache, KEY, VALUE, 0), STRATA_OK);
    redis_do("SET", PREFIX KEY, "theirs");
    assert_int_equal(strata_flush(cache, PATIENT_MS), STRATA_OK);
    assert_said("others have written these keys");
    end(&cache);
}

static void a_journal_that_is_opened_again(void **state)
{
    (void)state;
    char folder[FOLDER_CAP];
    assert_int_equal(folder_make(folder, "strata-log-keys"), 0);
    struct strata_options options = behind();
    options.write_behind_journal = folder;
    options.redis_url = "redis://127.0.0.1:1";
    options.socket_timeout_ms = 50;
    struct strata *cache = open_talking(options);
    assert_int_equal(set_text(cache, KEY, VALUE, 0), STRATA_OK);
    strata_close(&cache);
    assert_said("these writes are in the journal");
    options.redis_url = NULL;
    cache = open_talking(options);
    assert_said("1 keys were not in Redis yet");
    assert_int_equal(strata_flush(cache, PATIENT_MS), STRATA_OK);
    end(&cache);
    assert_int_equal(folder_remove(folder), 0);
}

static void what_cannot_be_invalidated(void **state)
{
    (void)state;
    uint64_t count;
    struct strata *cache = open_talking((struct strata_options){
        .redis_url = "redis://127.0.0.1:1", .socket_timeout_ms = 50, .invalidation_timeout_ms = 1});
    assert_int_equal(strata_invalidate(cache, strata_text(KEY)), STRATA_OK);
    assert_said("queued invalidations were given up");
    assert_true(strata_invalidate_pattern(cache, strata_text(KEY "*"), &count) < 0);
    end(&cache);

    cache = open_talking((struct strata_options){
        .redis_url = url_of("~* &* +@all -eval -hgetall -client|tracking")});
    redis_do("SET", PREFIX KEY, VALUE);
    assert_value(cache, KEY, VALUE);
    assert_int_equal(strata_invalidate_pattern(cache, strata_text(KEY "*"), &count), STRATA_OK);
    assert_said("a barrier cannot be put up");
    assert_said("does not track reads");
    end(&cache);
}

/* ---- stratad ---- */

static const char *const talking[] = {"--log-level", "debug", "--socket-timeout", "0.3", NULL};

static struct stratad_process *start(const char *url)
{
    struct stratad_process *stratad = NULL;
    assert_int_equal(stratad_process_start(&stratad, url, talking), 0);
    return stratad;
}

static void stop(struct stratad_process **stratad)
{
    assert_int_equal(stratad_process_terminate(*stratad, PATIENT_MS), 0);
    char *log = stratad_process_log(*stratad);
    assert_non_null(strstr(log, "debug l2: ")); /* it did talk */
    if (tells_too_much(log))
        fail_msg("logged: %s", log);
    free(log);
    stratad_process_stop(stratad);
}

/* On a connection of its own: it may not outlive what is sent. */
static void send_garbage(const struct stratad_process *stratad, const char *text)
{
    size_t len;
    int fd = rig_socket(stratad);
    rig_send(fd, text, strlen(text));
    char *answer = rig_read_to_end(fd, &len);
    assert_true(len > 0);
    free(answer);
    (void)close(fd);
}

static void what_clients_of_stratad_cannot_do(void **state)
{
    (void)state;
    struct stratad_process *stratad = start(cache_rig_url());
    redisContext *client = rig_client(stratad);
    ASSERT_SAYS(client, "OK", "SET " KEY " " VALUE);
    ASSERT_SAYS(client, VALUE, "GET " KEY);
    ASSERT_SAYS(client, "WRONGTYPE", "LPUSH " KEY " " VALUE);
    ASSERT_SAYS(client, "ERR", KEY " " VALUE);
    ASSERT_SAYS(client, "ERR", "SET " KEY " " VALUE " PX " KEY);
    ASSERT_SAYS(client, "WRONGPASS", "AUTH " KEY " " VALUE);
    ASSERT_SAYS(client, "ERR", "EVAL " KEY " 1 " KEY " " VALUE);
    ASSERT_SAYS(client, "ERR", "REPLCONF " KEY " " VALUE);
    ASSERT_SAYS(client, "OK", "MULTI");
    ASSERT_SAYS(client, "QUEUED", "LPUSH " KEY " " VALUE);
    freeReplyObject(redisCommand(client, "EXEC"));
    send_garbage(stratad, "*2\r\n$3\r\nGET\r\n:" KEY "\r\n");
    freeReplyObject(redisCommand(client, "SUBSCRIBE " KEY)); /* which it can */
    redisFree(client);
    stop(&stratad);
}

static void a_server_behind_stratad_that_repeats_what_it_was_asked(void **state)
{
    (void)state;
    struct fake_redis *fake = fake_redis_start(NULL);
    char url[80];
    (void)snprintf(url, sizeof url, "redis://%s", fake_redis_address(fake));
    struct stratad_process *stratad = start(url);
    redisContext *client = rig_client(stratad);
    fake_redis_say(fake, "SET *" KEY "*", 1, "-ERR what is `" KEY "` `" VALUE "`\r\n");
    ASSERT_SAYS(client, "ERR what is `" KEY, "SET " KEY " " VALUE);
    fake_redis_say(fake, "GET " KEY, 1, "-MOVED " KEY " " VALUE "\r\n");
    ASSERT_SAYS(client, "MOVED", "GET " KEY);
    fake_redis_rule(fake, &(struct fake_rule){.pattern = "SET *", .deed = FAKE_CLOSE});
    freeReplyObject(redisCommand(client, "SET " KEY " " VALUE));
    freeReplyObject(redisCommand(client, "GET other")); /* it is connected again */
    fake_redis_rule(fake, &(struct fake_rule){.pattern = "HELLO*", .deed = FAKE_HANG});
    fake_redis_say(fake, "GET " KEY, 1, KEY VALUE "\r\n");
    ASSERT_SAYS(client, "", "GET " KEY);
    assert_true(stratad_process_says(stratad, "connection lost"));
    redisFree(client);
    stop(&stratad);
    fake_redis_stop(&fake);
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_the_key_of_a_call_cannot_do),
        CASE(a_server_that_repeats_what_it_was_asked),
        CASE(a_cluster_whose_redirects_lead_nowhere),
        CASE(writes_that_redis_refuses),
        CASE(writes_that_others_have_overtaken),
        CASE(a_journal_that_is_opened_again),
        CASE(what_cannot_be_invalidated),
        CASE(what_clients_of_stratad_cannot_do),
        CASE(a_server_behind_stratad_that_repeats_what_it_was_asked),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
