/* SPDX-License-Identifier: MIT
 *
 * stratad before a Redis with TLS: its clients speak plain RESP, and never notice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "core/clock.h"
#include "integration/tls_rig.h"
#include "support/stratad_process.h"

/* A client to whom Redis answers: on a busy machine the first attempt of a lane to connect may take
 * longer than it is given. */
static redisContext *client_of(const struct stratad_process *stratad, bool answered)
{
    uint64_t give_up_ms = sta_clock_now_ms() + 20000;
    redisContext *client = redisConnectUnix(stratad_process_socket(stratad));
    assert_int_equal(client->err, 0);
    (void)redisSetTimeout(client, (struct timeval){.tv_sec = 20});
    while (answered) {
        redisReply *shared = redisCommand(client, "SET ready 1");
        redisReply *plain = redisCommand(client, "HGET ready? 1");
        answered = shared->type == REDIS_REPLY_ERROR || plain->type == REDIS_REPLY_ERROR;
        freeReplyObject(shared);
        freeReplyObject(plain);
        assert_true(sta_clock_now_ms() < give_up_ms);
    }
    return client;
}

#define ASSERT_SAYS(client, expected, ...)                                                         \
    do {                                                                                           \
        redisReply *reply_ = redisCommand(client, __VA_ARGS__);                                    \
        assert_non_null(reply_);                                                                   \
        assert_string_equal(reply_->str, expected);                                                \
        freeReplyObject(reply_);                                                                   \
    } while (0)

static void clients_are_served(void **state)
{
    struct tls_rig *rig = *state;
    struct stratad_process *stratad = NULL;
    char ready[64];
    assert_int_equal(
        stratad_process_start(&stratad, tls_rig_url(rig, rig->redis, "localhost", ""), NULL), 0);
    (void)snprintf(ready, sizeof ready, "rediss://localhost:%d/0", redis_tls_port(rig->redis));
    redisContext *client = client_of(stratad, true);
    assert_true(stratad_process_says(stratad, ready));
    ASSERT_SAYS(client, "OK", "SET k v");
    ASSERT_SAYS(client, "v", "GET k");
    ASSERT_SAYS(client, "OK", "HMSET h f 1");
    ASSERT_SAYS(client, "1", "HGET h f");
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* Two workers, before the Redis that demands a certificate of its clients. */
static struct stratad_process *start_with_certificate(const struct tls_rig *rig)
{
    struct stratad_process *stratad = NULL;
    char url[64];
    const char *args[] = {"--tls-ca-file",
                          rig->files.ca_file,
                          "--tls-cert-file",
                          rig->files.client_file,
                          "--tls-key-file",
                          rig->files.client_key,
                          "--workers",
                          "2",
                          NULL};
    (void)snprintf(url, sizeof url, "rediss://localhost:%d/0", redis_tls_port(rig->careful));
    assert_int_equal(stratad_process_start(&stratad, url, args), 0);
    return stratad;
}

/* Every lane of every worker shakes hands with what was loaded once. */
static void a_client_certificate_comes_from_the_options(void **state)
{
    struct tls_rig *rig = *state;
    struct stratad_process *stratad = start_with_certificate(rig);
    for (unsigned i = 0; i < 4; i++) {
        redisContext *client = client_of(stratad, true);
        ASSERT_SAYS(client, "OK", "SET k %u", i);
        ASSERT_SAYS(client, "PONG", "PING");
        redisFree(client);
    }
    stratad_process_stop(&stratad);
}

static void assert_integer_and_free(redisReply *reply, long long expected)
{
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    assert_int_equal(reply->integer, expected);
    freeReplyObject(reply);
}

/* A client's own connection shakes hands as the others do, with the client's certificate; plainly
 * this port answers nobody. */
static void connections_of_clients_own_have_it_too(void **state)
{
    struct tls_rig *rig = *state;
    struct stratad_process *stratad = start_with_certificate(rig);
    redisReply *reply = NULL;
    redisContext *client = client_of(stratad, true), *other = client_of(stratad, true);
    ASSERT_SAYS(client, "OK", "WATCH own");
    ASSERT_SAYS(client, "OK", "MULTI");
    ASSERT_SAYS(client, "QUEUED", "SET own inside");
    reply = redisCommand(client, "EXEC");
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    freeReplyObject(reply);
    ASSERT_SAYS(other, "inside", "GET own");
    assert_integer_and_free(redisCommand(client, "WAIT 0 0"), 0);
    assert_int_equal(redisAppendCommand(client, "BLPOP own:list 0"), REDIS_OK);
    for (int done = 0; !done;)
        assert_int_equal(redisBufferWrite(client, &done), REDIS_OK);
    assert_integer_and_free(redisCommand(other, "RPUSH own:list x"), 1);
    assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    assert_string_equal(reply->element[1]->str, "x");
    freeReplyObject(reply);
    reply = redisCommand(client, "SUBSCRIBE own");
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    freeReplyObject(reply);
    assert_integer_and_free(redisCommand(other, "PUBLISH own message"), 1);
    assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    assert_string_equal(reply->element[2]->str, "message");
    freeReplyObject(reply);
    ASSERT_SAYS(other, "OK", "MONITOR");
    redisFree(client);
    redisFree(other);
    stratad_process_stop(&stratad);
}

static void a_redis_that_cannot_prove_who_it_is_is_said_and_not_used(void **state)
{
    struct tls_rig *rig = *state;
    struct stratad_process *stratad = NULL;
    struct redis_tls *other =
        tls_rig_start(rig, &(struct certificate_plan){.cn = "Other", .names = "DNS:elsewhere"});
    assert_int_equal(
        stratad_process_start(&stratad, tls_rig_url(rig, other, "localhost", ""), NULL), 0);
    assert_true(stratad_process_says(
        stratad, "cannot be reached: the server's certificate is for elsewhere, not for localhost; "
                 "trying on"));
    redisContext *client = client_of(stratad, false);
    redisReply *reply = redisCommand(client, "GET k");
    assert_int_equal(reply->type, REDIS_REPLY_ERROR);
    assert_memory_equal(reply->str, "UNAVAILABLE strata:", 19);
    freeReplyObject(reply);
    redisFree(client);
    stratad_process_stop(&stratad);
    redis_tls_stop(&other);
}

static void a_file_that_cannot_be_used_ends_it_at_once(void **state)
{
    (void)state;
    char text[512];
    const char *args[] = {"--listen", "127.0.0.1:0", "--redis-url", "rediss://localhost?cacert=/no",
                          NULL};
    assert_int_equal(stratad_process_run(args, text, sizeof text), 2);
    assert_string_equal(text, "stratad: tls_ca_file=\"/no\": No such file or directory\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_served),
        cmocka_unit_test(a_client_certificate_comes_from_the_options),
        cmocka_unit_test(connections_of_clients_own_have_it_too),
        cmocka_unit_test(a_redis_that_cannot_prove_who_it_is_is_said_and_not_used),
        cmocka_unit_test(a_file_that_cannot_be_used_ends_it_at_once),
    };
    return cmocka_run_group_tests(tests, tls_rig_open, tls_rig_close);
}
