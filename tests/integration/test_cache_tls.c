/* SPDX-License-Identifier: MIT
 *
 * The library before a real Redis with TLS: what works, what is refused, and what the log says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "core/clock.h"
#include "integration/tls_rig.h"
#include "strata/tls.h"

#define DAY_S 86400

/* On a busy machine the first attempt to connect may take longer than it is given. */
static void await_redis(struct strata *cache)
{
    uint64_t give_up_ms = sta_clock_now_ms() + 20000;
    while (strata_set(cache, strata_text("ready"), strata_text("?"), 0) != STRATA_OK)
        assert_true(sta_clock_now_ms() < give_up_ms);
}

static void set(struct strata *cache, const char *key, const char *value)
{
    await_redis(cache);
    int status = strata_set(cache, strata_text(key), strata_text(value), 0);
    if (status != STRATA_OK)
        fail_msg("set %s: %s", key, strata_status_text(status));
}

static void check_value(struct strata *cache, const char *key, const char *expected)
{
    struct strata_value value = {0};
    int status = strata_get(cache, strata_text(key), &value);
    if (status != STRATA_OK)
        fail_msg("get %s: %s", key, strata_status_text(status));
    assert_int_equal(value.bytes.len, strlen(expected));
    assert_memory_equal(value.bytes.data, expected, value.bytes.len);
    strata_release(&value);
}

/* ---- what works ---- */

static void values_go_to_redis_and_come_back(void **state)
{
    struct tls_rig *rig = *state;
    struct tls_rig_log log;
    static const char *const hosts[] = {"localhost", "127.0.0.1"};
    for (size_t i = 0; i < 2; i++) {
        struct strata *cache = tls_rig_cache(tls_rig_url(rig, rig->redis, hosts[i], ""), &log);
        set(cache, "k", hosts[i]);
        check_value(cache, "k", hosts[i]);
        tls_rig_await(&log, "/0: ready (protocol 3)");
        strata_close(&cache);
    }
    /* It is in there, for who looks without TLS. */
    redisContext *redis = redisConnectUnix(redis_server_socket(redis_tls_server(rig->redis)));
    redisReply *reply = redisCommand(redis, "GET atp:cache:k");
    assert_string_equal(reply->str, "127.0.0.1");
    freeReplyObject(reply);
    redisFree(redis);
}

static void a_value_of_many_records_comes_back(void **state)
{
    struct tls_rig *rig = *state;
    struct tls_rig_log log;
    struct strata_value value = {0};
    const size_t len = 20u << 20;
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    struct strata *cache =
        tls_rig_cache(tls_rig_url(rig, rig->redis, "localhost", "&timeout=60"), &log);
    await_redis(cache);
    assert_int_equal(strata_set(cache, strata_text("big"), strata_bytes(bytes, len), 0), STRATA_OK);
    assert_int_equal(strata_get(cache, strata_text("big"), &value), STRATA_OK);
    assert_int_equal(value.bytes.len, len);
    assert_memory_equal(value.bytes.data, bytes, len);
    strata_release(&value);
    strata_close(&cache);
    free(bytes);
}

static void a_client_certificate_opens_a_careful_redis(void **state)
{
    struct tls_rig *rig = *state;
    struct tls_rig_log log;
    char options[300];
    (void)snprintf(options, sizeof options, "&cert=%s&key=%s", rig->files.client_file,
                   rig->files.client_key);
    struct strata *cache =
        tls_rig_cache(tls_rig_url(rig, rig->careful, "localhost", options), &log);
    set(cache, "k", "v");
    check_value(cache, "k", "v");
    strata_close(&cache);
}

static void the_tier_alone_takes_tls_too(void **state)
{
    struct tls_rig *rig = *state;
    struct strata_l2 *l2 = NULL;
    struct strata_value value = {0};
    const struct strata_l2_options options = {
        .redis_url = tls_rig_url(rig, rig->redis, "localhost", ""),
        .tls_provider = strata_tls_openssl(),
    };
    assert_int_equal(strata_l2_open(&l2, &options, NULL), STRATA_OK);
    uint64_t give_up_ms = sta_clock_now_ms() + 20000;
    while (strata_l2_set(l2, strata_text("k"), strata_text("v"), 0) != STRATA_OK)
        assert_true(sta_clock_now_ms() < give_up_ms);
    assert_int_equal(strata_l2_get(l2, strata_text("k"), &value), STRATA_OK);
    strata_release(&value);
    strata_l2_close(&l2);
}

static void a_redis_that_was_restarted_is_found_again(void **state)
{
    struct tls_rig *rig = *state;
    struct tls_rig_log log;
    struct redis_tls *mortal =
        tls_rig_start(rig, &(struct certificate_plan){.cn = "Mortal", .names = "DNS:localhost"});
    struct strata *cache = tls_rig_cache(tls_rig_url(rig, mortal, "localhost", ""), &log);
    set(cache, "k", "v");
    assert_int_equal(redis_server_restart(redis_tls_server(mortal)), 0);
    set(cache, "k", "w");
    check_value(cache, "k", "w");
    strata_close(&cache);
    redis_tls_stop(&mortal);
}

/* ---- many threads ---- */

#define THREADS 8
#define ROUNDS  200

struct worker {
    pthread_t thread;
    struct strata *cache;
    unsigned number;
    unsigned wrong;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char key[32], text[64];
        struct strata_value value = {0};
        (void)snprintf(key, sizeof key, "t%u:%u", worker->number, i);
        (void)snprintf(text, sizeof text, "value %u of thread %u", i, worker->number);
        bool right =
            strata_set(worker->cache, strata_text(key), strata_text(text), 0) == STRATA_OK &&
            strata_get(worker->cache, strata_text(key), &value) == STRATA_OK &&
            value.bytes.len == strlen(text) && memcmp(value.bytes.data, text, value.bytes.len) == 0;
        worker->wrong += !right;
        strata_release(&value);
    }
    return NULL;
}

static void many_threads_share_a_connection(void **state)
{
    struct tls_rig *rig = *state;
    struct tls_rig_log log;
    struct worker workers[THREADS];
    struct strata *cache = tls_rig_cache(tls_rig_url(rig, rig->redis, "localhost", ""), &log);
    await_redis(cache);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.cache = cache, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    strata_close(&cache);
}

/* ---- what is refused ---- */

/* One error line with this reason, and calls that fail at once instead of in the clear. */
static void check_refused(const char *url, enum strata_log_level level, const char *reason)
{
    struct tls_rig_log log;
    struct strata_value value = {0};
    char line[400];
    struct strata *cache = tls_rig_cache(url, &log);
    (void)snprintf(line, sizeof line, "/0: cannot connect: %s\n", reason);
    tls_rig_await(&log, line);
    assert_int_equal(log.lines[level], 1);
    assert_int_equal(strata_get(cache, strata_text("k"), &value), STRATA_ERR_UNAVAILABLE);
    strata_close(&cache);
    assert_int_equal(log.lines[STRATA_LOG_ERROR] + log.lines[STRATA_LOG_WARNING], 1);
}

static void check_certificate_refused(struct tls_rig *rig, const struct certificate_plan *plan,
                                      const char *host, const char *reason)
{
    struct redis_tls *redis = tls_rig_start(rig, plan);
    check_refused(tls_rig_url(rig, redis, host, ""), STRATA_LOG_ERROR, reason);
    redis_tls_stop(&redis);
}

static void a_redis_for_another_host_is_refused(void **state)
{
    struct tls_rig *rig = *state;
    const struct certificate_plan plan = {.cn = "localhost", .names = "DNS:redis.example"};
    check_certificate_refused(rig, &plan, "localhost",
                              "the server's certificate is for redis.example, not for localhost");
    check_certificate_refused(rig, &plan, "127.0.0.1",
                              "the server's certificate is for redis.example, not for 127.0.0.1");
}

static void a_redis_with_another_root_is_refused(void **state)
{
    struct tls_rig *rig = *state;
    struct certificate other;
    certificate_make(&other, &(struct certificate_plan){.cn = "Other Root", .ca = true});
    const struct certificate_plan plan = {
        .cn = "Foreign", .names = "DNS:localhost", .issuer = &other};
    check_certificate_refused(
        rig, &plan, "localhost",
        "the server's certificate is signed by \"Other Root\", which we neither trust nor were "
        "sent: an unknown CA, or the server leaves out an intermediate certificate");
    certificate_fini(&other);
}

static void a_redis_that_shows_the_certificate_of_a_client_is_refused(void **state)
{
    struct tls_rig *rig = *state;
    const struct certificate_plan plan = {
        .cn = "Client", .names = "DNS:localhost", .usage = "clientAuth"};
    check_certificate_refused(rig, &plan, "localhost",
                              "the server's certificate is not made for servers (extended key "
                              "usage)");
}

static void a_careful_redis_refuses_who_has_no_certificate(void **state)
{
    struct tls_rig *rig = *state;
    check_refused(tls_rig_url(rig, rig->careful, "localhost", ""), STRATA_LOG_ERROR,
                  "the server wants a client certificate, and none is configured (tls_cert_file)");
}

static void a_careful_redis_refuses_the_certificate_of_another_ca(void **state)
{
    struct tls_rig *rig = *state;
    struct certificate other;
    const struct certificate *chain = &other;
    char options[300];
    const char *cert = certificate_folder_path(&rig->files, "foreign.crt");
    const char *key = certificate_folder_path(&rig->files, "foreign.key");
    certificate_make(&other, &(struct certificate_plan){.cn = "Self-made"});
    certificate_write(cert, &chain, 1);
    certificate_write_key(key, &other, NULL);
    certificate_fini(&other);
    (void)snprintf(options, sizeof options, "&cert=%s&key=%s", cert, key);
    check_refused(tls_rig_url(rig, rig->careful, "localhost", options), STRATA_LOG_ERROR,
                  "the server refuses our certificate (tls_cert_file): it does not know its CA");
}

/* Redis takes our greeting for the beginning of a command, and waits for its end. */
static void a_plain_port_is_recognised(void **state)
{
    struct tls_rig *rig = *state;
    char url[300];
    (void)snprintf(url, sizeof url, "rediss://localhost:%d/0?cacert=%s",
                   redis_server_port(redis_tls_server(rig->redis)), rig->files.ca_file);
    check_refused(url, STRATA_LOG_WARNING,
                  "no answer to the TLS handshake in time: is this a TLS port, and not a plain "
                  "one?");
}

static void a_frozen_redis_does_not_hold_a_call_longer_than_its_budget(void **state)
{
    struct tls_rig *rig = *state;
    struct tls_rig_log log;
    struct strata_value value = {0};
    redis_server_freeze(redis_tls_server(rig->redis));
    uint64_t before_ms = sta_clock_now_ms();
    struct strata *cache =
        tls_rig_cache(tls_rig_url(rig, rig->redis, "localhost", "&timeout=0.3"), &log);
    assert_true(strata_get(cache, strata_text("k"), &value) < 0);
    assert_true(sta_clock_now_ms() - before_ms < 2000); /* and room for a busy machine */
    redis_server_thaw(redis_tls_server(rig->redis));
    strata_close(&cache);
}

static void a_file_that_cannot_be_used_is_said_when_the_cache_is_opened(void **state)
{
    struct tls_rig *rig = *state;
    struct strata *cache = NULL;
    struct strata_error error = {0};
    struct strata_options options = {.redis_url = "rediss://localhost",
                                     .tls_provider = strata_tls_openssl(),
                                     .tls_ca_file = "/nowhere/ca.crt"};
    assert_int_equal(strata_open(&cache, &options, &error), STRATA_ERR_CONFIG);
    assert_string_equal(error.text, "tls_ca_file=\"/nowhere/ca.crt\": No such file or directory");
    options.tls_ca_file = rig->files.ca_file;
    options.tls_provider = NULL;
    assert_int_equal(strata_open(&cache, &options, &error), STRATA_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "link libstrata_tls"));
    assert_null(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_to_redis_and_come_back),
        cmocka_unit_test(a_value_of_many_records_comes_back),
        cmocka_unit_test(a_client_certificate_opens_a_careful_redis),
        cmocka_unit_test(the_tier_alone_takes_tls_too),
        cmocka_unit_test(a_redis_that_was_restarted_is_found_again),
        cmocka_unit_test(many_threads_share_a_connection),
        cmocka_unit_test(a_redis_for_another_host_is_refused),
        cmocka_unit_test(a_redis_with_another_root_is_refused),
        cmocka_unit_test(a_redis_that_shows_the_certificate_of_a_client_is_refused),
        cmocka_unit_test(a_careful_redis_refuses_who_has_no_certificate),
        cmocka_unit_test(a_careful_redis_refuses_the_certificate_of_another_ca),
        cmocka_unit_test(a_plain_port_is_recognised),
        cmocka_unit_test(a_frozen_redis_does_not_hold_a_call_longer_than_its_budget),
        cmocka_unit_test(a_file_that_cannot_be_used_is_said_when_the_cache_is_opened),
    };
    return cmocka_run_group_tests(tests, tls_rig_open, tls_rig_close);
}
