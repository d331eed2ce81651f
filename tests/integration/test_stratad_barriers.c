/* SPDX-License-Identifier: MIT
 *
 * What the fleet deletes by pattern is hidden from stratad's clients while it is far from done,
 * through each of its workers; what they write under it they see. One real Redis, a cache that
 * deletes, and daemons beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "integration/cache_rig.h"
#include "integration/held_pattern.h"
#include "integration/push_thief.h"
#include "integration/stratad_rig.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PREFIX     "atp:cache:"
#define HASH       PREFIX "strata:barriers"
#define PATIENT_MS 40000u
#define KEYS       12000u
#define WARM       90u /* keys that are in L1; more than a slice of the deletion takes */
#define WORKERS    3u

struct bench {
    struct stratad_process *stratad;
    redisContext *clients[WORKERS]; /* one for each worker: sockets are given out by turns */
};

/* ---- words ---- */

static struct bench open_before(const char *url, const char *const *more)
{
    const char *args[12] = {"--workers", "3"};
    struct bench bench = {0};
    for (size_t count = 2; more != NULL && *more != NULL; more++)
        args[count++] = *more;
    assert_int_equal(stratad_process_start(&bench.stratad, url, args), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        bench.clients[i] = rig_client(bench.stratad);
    return bench;
}

static struct bench open_usual(void)
{
    return open_before(cache_rig_url(), NULL);
}

static void close_bench(struct bench *bench)
{
    for (unsigned i = 0; i < WORKERS; i++)
        redisFree(bench->clients[i]);
    stratad_process_stop(&bench->stratad);
}

static void foreign(const char *command)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), command);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", command, reply->str);
    freeReplyObject(reply);
}

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

static void assert_answer(redisReply *reply, const char *expected)
{
    assert_non_null(reply);
    if (expected == NULL ? reply->type != REDIS_REPLY_NIL : !is_text(reply, expected))
        fail_msg("%s, not %s", reply->str != NULL ? reply->str : "nil",
                 expected != NULL ? expected : "nil");
    freeReplyObject(reply);
}

/* `expected` NULL: there is none. */
static void assert_get(redisContext *client, const char *key, const char *expected)
{
    assert_answer(redisCommand(client, "GET %s", key), expected);
}

static long long number(redisContext *client, const char *command)
{
    redisReply *reply = redisCommand(client, command);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    long long integer = reply->integer;
    freeReplyObject(reply);
    return integer;
}

/* L1's hits of all workers. */
static long long hits_of(redisContext *client)
{
    redisReply *reply = redisCommand(client, "STRATA STATS");
    const char *found = strstr(reply->str, "\"hits\":");
    assert_non_null(found);
    long long hits = atoll(found + strlen("\"hits\":"));
    freeReplyObject(reply);
    return hits;
}

/* ---- what is there ---- */

static void name_of(unsigned n, char name[static 48])
{
    (void)snprintf(name, 48, PREFIX "s:%u", n);
}

static void fill(void)
{
    static const char script[] = "for i=1,tonumber(ARGV[1]) do "
                                 "redis.call('SET',KEYS[1]..i,'old') end return 1";
    freeReplyObject(
        redisCommand(cache_rig_foreign(), "EVAL %s 1 %s %u", script, PREFIX "s:", KEYS));
    redis_do("SET", PREFIX "other", "x");
}

static void warm(const struct bench *bench)
{
    char name[48];
    for (unsigned n = 1; n <= WARM; n++) {
        name_of(n, name);
        assert_get(bench->clients[n % WORKERS], name, "old");
    }
    assert_get(bench->clients[0], PREFIX "other", "x");
}

/* One of those keys that Redis still has. */
static void find_witness(char name[static 48])
{
    char command[64];
    for (unsigned n = 1; n <= WARM; n++) {
        name_of(n, name);
        (void)snprintf(command, sizeof command, "EXISTS %s", name);
        if (number(cache_rig_foreign(), command) == 1)
            return;
    }
    fail_msg("all that was warm has been deleted already");
}

struct question {
    redisContext *client;
    const char *key;
    const char *answer; /* NULL: none */
};

static bool is_answered_so(void *arg)
{
    const struct question *question = arg;
    redisReply *reply = redisCommand(question->client, "GET %s", question->key);
    assert_non_null(reply);
    bool so = question->answer == NULL ? reply->type == REDIS_REPLY_NIL
                                       : is_text(reply, question->answer);
    freeReplyObject(reply);
    return so;
}

static void wait_for(redisContext *client, const char *key, const char *answer)
{
    struct question question = {client, key, answer};
    assert_true(wait_until(is_answered_so, &question, PATIENT_MS));
}

/* By GET and by MGET, and through every worker. */
static void assert_all_hidden(const struct bench *bench)
{
    char name[48], next[48];
    for (unsigned n = 1; n < WARM; n++) {
        redisContext *client = bench->clients[n % WORKERS];
        name_of(n, name);
        name_of(n + 1, next);
        assert_get(client, name, NULL);
        redisReply *reply = redisCommand(client, "MGET %s " PREFIX "other %s", name, next);
        assert_int_equal(reply->elements, 3);
        assert_int_equal(reply->element[0]->type, REDIS_REPLY_NIL);
        assert_true(is_text(reply->element[1], "x"));
        assert_int_equal(reply->element[2]->type, REDIS_REPLY_NIL);
        freeReplyObject(reply);
    }
}

static void assert_hidden_in_resp3(const struct bench *bench, const char *name)
{
    char request[128];
    size_t len;
    int fd = rig_socket(bench->stratad);
    int request_len = snprintf(request, sizeof request, "HELLO 3\r\nGET %s\r\nQUIT\r\n", name);
    rig_send(fd, request, (size_t)request_len);
    char *text = rig_read_to_end(fd, &len);
    assert_non_null(strstr(text, "_\r\n+OK\r\n"));
    free(text);
    (void)close(fd);
}

/* A cache's deletion of s:*, held, and what is warm hidden from the bench. */
static void begin_held(struct held_pattern *held, const struct bench *bench, char name[static 48])
{
    fill();
    warm(bench);
    held_pattern_begin(held);
    find_witness(name);
    wait_for(bench->clients[0], name, NULL);
}

static void end_held(struct held_pattern *held)
{
    held_pattern_end(held);
    assert_int_equal(held->status, held->give_up ? STRATA_MORE : STRATA_OK);
}

/* ---- hiding ---- */

static void what_is_being_deleted_is_hidden_from_the_clients_of_every_worker(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct bench bench = open_usual();
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    char name[48], command[64];
    begin_held(&held, &bench, name);
    assert_all_hidden(&bench);
    long long hits = hits_of(bench.clients[0]);
    assert_get(bench.clients[0], PREFIX "other", "x");
    assert_int_equal(hits_of(bench.clients[0]),
                     hits + 1); /* what does not match stays where it is */
    assert_get(bench.clients[1], "s:1", NULL);
    redis_do("SET", "s:1", "nobody's"); /* nor does what has no prefix */
    wait_for(bench.clients[1], "s:1", "nobody's");
    (void)snprintf(command, sizeof command, "EXISTS %s", name);
    assert_int_equal(number(bench.clients[2], command), 1); /* what is passed on is Redis' answer */
    assert_hidden_in_resp3(&bench, name);
    struct bench late = open_usual();
    assert_get(late.clients[1], name, NULL); /* with its first question */
    assert_all_hidden(&late);
    find_witness(name); /* and Redis has it all the time */
    end_held(&held);
    assert_int_equal(number(cache_rig_foreign(), "EXISTS " HASH), 0);
    redis_do("SET", PREFIX "s:1", "new"); /* and it is over */
    for (unsigned i = 0; i < WORKERS; i++) {
        wait_for(bench.clients[i], PREFIX "s:1", "new");
        wait_for(late.clients[i], PREFIX "s:1", "new");
    }
    close_bench(&late);
    close_bench(&bench);
    strata_close(&cache);
}

static void what_is_given_up_is_shown_again(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct bench bench = open_usual();
    struct held_pattern held = {.cache = cache, .pattern = "s:*", .give_up = true};
    char name[48];
    begin_held(&held, &bench, name);
    end_held(&held);
    wait_for(bench.clients[1], name, "old");
    long long hits = hits_of(bench.clients[0]);
    assert_get(bench.clients[2], name, "old");
    assert_int_equal(hits_of(bench.clients[0]), hits + 1);
    close_bench(&bench);
    strata_close(&cache);
}

/* An owner that died: the hash's own time ends it. */
static void it_ends_when_nobody_renews_it(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    redis_do("SET", PREFIX "s:1", "old");
    assert_get(bench.clients[1], PREFIX "s:1", "old");
    redisReply *reply =
        redisCommand(cache_rig_foreign(), "HSET " HASH " 0123456789abcdef %s", "1000 s:*");
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    freeReplyObject(reply);
    wait_for(bench.clients[1], PREFIX "s:1", NULL);
    foreign("PEXPIRE " HASH " 100");
    wait_for(bench.clients[1], PREFIX "s:1", "old");
    assert_int_equal(number(cache_rig_foreign(), "EXISTS " HASH), 0);
    close_bench(&bench);
}

/* ---- namespaces ---- */

/* `strata invalidate` names keys as Redis has them. */
static void whole_names_are_hidden_as_well(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l2_key_prefix = ""});
    struct bench bench = open_usual();
    struct held_pattern held = {.cache = cache, .pattern = PREFIX "s:*"};
    char name[48];
    begin_held(&held, &bench, name);
    assert_all_hidden(&bench);
    end_held(&held);
    close_bench(&bench);
    strata_close(&cache);
}

static void the_namespace_is_that_of_key_prefix(void **state)
{
    (void)state;
    static const char *const args[] = {"--key-prefix", "mine:", NULL};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct bench bench = open_before(cache_rig_url(), args);
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    char name[48];
    fill();
    redis_do("SET", "mine:a", "v");
    redisReply *reply = redisCommand(cache_rig_foreign(),
                                     "HSET mine:strata:barriers 0123456789abcdef %s", "1000 ?");
    freeReplyObject(reply);
    held_pattern_begin(&held);
    assert_get(bench.clients[0], "mine:a", NULL);
    find_witness(name);
    assert_get(bench.clients[0], name, "old"); /* another one's: as before, until it is deleted */
    end_held(&held);
    close_bench(&bench);
    strata_close(&cache);
}

/* ---- what is written meanwhile ---- */

static void what_is_written_meanwhile_is_seen_by_who_wrote_it(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct bench bench = open_usual(), other = open_usual();
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    char name[48];
    begin_held(&held, &bench, name);
    wait_for(other.clients[0], name, NULL);
    freeReplyObject(redisCommand(bench.clients[0], "SET %s mine", name));
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_get(bench.clients[i], name, "mine"); /* and by his neighbours */
        assert_get(other.clients[i], name, NULL);
    }
    ASSERT_SAYS(bench.clients[1], "OK", "SETEX " PREFIX "s:x 100 1");
    ASSERT_SAYS(bench.clients[1], "OK", "MSET " PREFIX "s:y 2 " PREFIX "s:z 3");
    assert_int_equal(number(bench.clients[1], "SETNX " PREFIX "s:w 4"), 1);
    assert_get(bench.clients[2], PREFIX "s:x", "1");
    redisReply *reply =
        redisCommand(bench.clients[2], "MGET " PREFIX "s:y " PREFIX "s:z " PREFIX "s:w");
    assert_true(is_text(reply->element[0], "2") && is_text(reply->element[1], "3") &&
                is_text(reply->element[2], "4"));
    freeReplyObject(reply);
    redis_do("SET", PREFIX "s:foreign", "theirs");
    assert_get(bench.clients[1], PREFIX "s:foreign", NULL);
    end_held(&held);
    ASSERT_SAYS(other.clients[0], "OK", "SET " PREFIX "s:1 after");
    assert_get(other.clients[1], PREFIX "s:1", "after");
    close_bench(&other);
    close_bench(&bench);
    strata_close(&cache);
}

/* Asked for before the write was acknowledged, and answered behind it. */
static void what_is_written_and_read_in_one_pipeline_is_seen(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct bench bench = open_usual();
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    redisContext *client = bench.clients[1];
    redisReply *reply;
    char name[48];
    begin_held(&held, &bench, name);
    redisAppendCommand(client, "GET %s", name);
    redisAppendCommand(client, "SET %s mine", name);
    redisAppendCommand(client, "GET %s", name);
    redisAppendCommand(client, "MGET %s " PREFIX "s:foreign", name);
    redis_do("SET", PREFIX "s:foreign", "theirs");
    assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    assert_answer(reply, NULL);
    assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    assert_answer(reply, "mine");
    assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    assert_true(is_text(reply->element[0], "mine"));
    assert_int_equal(reply->element[1]->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    end_held(&held);
    close_bench(&bench);
    strata_close(&cache);
}

static void what_is_made_of_the_old_value_stays_hidden(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct bench bench = open_usual();
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    char name[48], command[96];
    begin_held(&held, &bench, name);
    (void)snprintf(command, sizeof command, "APPEND %s er", name);
    assert_int_equal(number(bench.clients[0], command), 5);
    (void)snprintf(command, sizeof command, "EXPIRE %s 100", name);
    assert_int_equal(number(bench.clients[0], command), 1);
    (void)snprintf(command, sizeof command, "SETNX %s new", name);
    assert_int_equal(number(bench.clients[0], command), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_get(bench.clients[i], name, NULL);
    end_held(&held);
    close_bench(&bench);
    strata_close(&cache);
}

/* ---- who does not hear at once ---- */

static struct push_thief *start_thief(char url[static 64])
{
    struct push_thief *thief = push_thief_start(atoi(strrchr(cache_rig_url(), ':') + 1));
    (void)snprintf(url, 64, "redis://127.0.0.1:%d/0", push_thief_port(thief));
    return thief;
}

static void where_pushes_are_lost_it_is_heard_of_all_the_same(void **state)
{
    (void)state;
    char url[64], name[48];
    struct push_thief *thief = start_thief(url);
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct bench bench = open_before(url, NULL);
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    fill();
    warm(&bench);
    push_thief_steal(thief, true);
    held_pattern_begin(&held);
    find_witness(name);
    wait_for(bench.clients[2], name, NULL);
    assert_all_hidden(&bench);
    end_held(&held);
    close_bench(&bench);
    strata_close(&cache);
    push_thief_stop(&thief);
}

struct l1_question {
    redisContext *client;
    bool answers;
};

static bool l1_answers_or_not(void *arg)
{
    const struct l1_question *question = arg;
    long long hits = hits_of(question->client);
    assert_get(question->client, PREFIX "other", "x");
    return (hits_of(question->client) > hits) == question->answers;
}

/* Which of stratad's connections, in the order in which they came, reads barriers: it is known by
 * its last command. */
static bool find_reader(void *arg)
{
    unsigned *at = arg;
    bool found = false;
    redisReply *reply = redisCommand(cache_rig_foreign(), "CLIENT LIST");
    char *rest = reply->str, *line;
    *at = 0;
    while (!found && (line = strsep(&rest, "\n")) != NULL) {
        found = strstr(line, " cmd=hgetall ") != NULL;
        *at += !found && strstr(line, " name=stratad ") != NULL;
    }
    freeReplyObject(reply);
    return found;
}

/* The connection by which barriers are read is silent; those of the workers live. */
static void without_a_reading_l1_is_closed_and_redis_answers(void **state)
{
    (void)state;
    static const char *const args[] = {"--socket-timeout", "0.3", NULL};
    char url[64];
    unsigned reader = 0;
    struct push_thief *thief = start_thief(url);
    redis_do("SET", PREFIX "other", "x");
    struct bench bench = open_before(url, args);
    struct l1_question question = {.client = bench.clients[0], .answers = true};
    assert_true(wait_until(l1_answers_or_not, &question, PATIENT_MS));
    assert_true(wait_until(find_reader, &reader, PATIENT_MS));
    push_thief_hold(thief, reader, true);
    question.answers = false;
    assert_true(wait_until(l1_answers_or_not, &question, PATIENT_MS));
    assert_true(l1_answers_or_not(&question)); /* and it stays so */
    push_thief_hold(thief, reader, false);
    question.answers = true;
    assert_true(wait_until(l1_answers_or_not, &question, PATIENT_MS));
    close_bench(&bench);
    push_thief_stop(&thief);
}

static bool is_past(void *arg)
{
    return sta_clock_now_ms() > *(const uint64_t *)arg;
}

static void write_out(redisContext *client)
{
    int done = 0;
    while (done == 0)
        assert_int_equal(redisBufferWrite(client, &done), REDIS_OK);
}

/* Stopped for longer than a reading counts: not a single old answer when it goes on. */
static void who_was_stopped_asks_before_he_answers(void **state)
{
    (void)state;
    static const char *const args[] = {"--max-staleness", "0.3", NULL};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct bench bench = open_before(cache_rig_url(), args);
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    char name[48];
    fill();
    warm(&bench);
    assert_int_equal(kill(stratad_process_pid(bench.stratad), SIGSTOP), 0);
    uint64_t until_ms = sta_clock_now_ms() + 400;
    held_pattern_begin(&held);
    find_witness(name);
    for (unsigned i = 0; i < WORKERS; i++)
        redisAppendCommand(bench.clients[i], "GET %s", name);
    for (unsigned i = 0; i < WORKERS; i++)
        write_out(bench.clients[i]);
    assert_true(wait_until(is_past, &until_ms, PATIENT_MS));
    assert_int_equal(kill(stratad_process_pid(bench.stratad), SIGCONT), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        redisReply *reply;
        assert_int_equal(redisGetReply(bench.clients[i], (void **)&reply), REDIS_OK);
        assert_answer(reply, NULL);
    }
    assert_all_hidden(&bench);
    end_held(&held);
    close_bench(&bench);
    strata_close(&cache);
}

/* ---- the end ---- */

static bool has_asked_redis(void *arg)
{
    redisReply *reply = redisCommand(arg, "STRATA STATS");
    bool has = strstr(reply->str, "\"misses\":1,") != NULL;
    freeReplyObject(reply);
    return has;
}

/* Its client's worker is not the one that hears of barriers; that has no client to wait for, and
 * ends first. It is the first question, so its answer waits for a reading. */
static void an_answer_that_waits_is_given_though_stratad_ends(void **state)
{
    (void)state;
    static const char *const args[] = {"--workers", "2", "--socket-timeout", "5", "--drain-timeout",
                                       "30",        NULL};
    struct redis_server *server;
    struct stratad_process *stratad;
    redisReply *reply;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(server), args), 0);
    redisContext *other = rig_client(stratad), *client = rig_client(stratad);
    redis_server_freeze(server);
    redisAppendCommand(client, "GET nothing");
    write_out(client);
    assert_true(wait_until(has_asked_redis, other, PATIENT_MS));
    assert_int_equal(kill(stratad_process_pid(stratad), SIGTERM), 0);
    assert_true(stratad_process_says(stratad, "finishing what is under way"));
    redis_server_thaw(server);
    assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    freeReplyObject(reply); /* an error where the machine was too slow */
    redisFree(client);
    redisFree(other);
    siginfo_t ended; /* another SIGTERM would not let it finish */
    assert_int_equal(waitid(P_PID, (id_t)stratad_process_pid(stratad), &ended, WEXITED | WNOWAIT),
                     0);
    stratad_process_stop(&stratad);
    redis_server_stop(&server);
}

/* ---- rights ---- */

static void who_may_not_read_them_is_served_from_l1_and_told(void **state)
{
    (void)state;
    char url[300];
    foreign("ACL SETUSER few on >pw +@all -hgetall ~* &*");
    (void)snprintf(url, sizeof url, "redis://few:pw@%s", strstr(cache_rig_url(), "://") + 3);
    struct bench bench = open_before(url, NULL);
    redis_do("SET", PREFIX "other", "x");
    struct l1_question question = {.client = bench.clients[0], .answers = true};
    assert_true(wait_until(l1_answers_or_not, &question, PATIENT_MS));
    assert_true(stratad_process_says(bench.stratad,
                                     "barriers cannot be read from " PREFIX "strata:barriers ("));
    assert_true(
        stratad_process_says(bench.stratad, "barriers cannot be read from strata:barriers ("));
    close_bench(&bench);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_being_deleted_is_hidden_from_the_clients_of_every_worker),
        CASE(what_is_given_up_is_shown_again),
        CASE(it_ends_when_nobody_renews_it),
        CASE(whole_names_are_hidden_as_well),
        CASE(the_namespace_is_that_of_key_prefix),
        CASE(what_is_written_meanwhile_is_seen_by_who_wrote_it),
        CASE(what_is_written_and_read_in_one_pipeline_is_seen),
        CASE(what_is_made_of_the_old_value_stays_hidden),
        CASE(where_pushes_are_lost_it_is_heard_of_all_the_same),
        CASE(without_a_reading_l1_is_closed_and_redis_answers),
        CASE(who_was_stopped_asks_before_he_answers),
        CASE(an_answer_that_waits_is_given_though_stratad_ends),
        CASE(who_may_not_read_them_is_served_from_l1_and_told),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* hiredis writes to whoever has closed */
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
