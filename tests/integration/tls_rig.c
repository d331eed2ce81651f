/* SPDX-License-Identifier: MIT
 *
 * See tls_rig.h.
 */
#include "integration/tls_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "strata/tls.h"
#include "support/wait.h"

#define PATIENCE_MS 20000

static struct tls_rig the_rig;

int tls_rig_open(void **state)
{
    struct tls_rig *rig = &the_rig;
    certificate_folder_open(&rig->files);
    struct redis_tls_plan plan = {
        .cert_file = rig->files.server_file,
        .key_file = rig->files.server_key,
        .ca_file = rig->files.ca_file,
    };
    if (redis_tls_start(&rig->redis, &plan) != 0)
        return -1;
    plan.clients_need_certificate = true;
    *state = rig;
    return redis_tls_start(&rig->careful, &plan);
}

int tls_rig_close(void **state)
{
    struct tls_rig *rig = *state;
    redis_tls_stop(&rig->redis);
    redis_tls_stop(&rig->careful);
    certificate_folder_close(&rig->files);
    return 0;
}

const char *tls_rig_url(const struct tls_rig *rig, const struct redis_tls *redis, const char *host,
                        const char *options)
{
    static char urls[8][512];
    static unsigned turn;
    char *url = urls[turn++ % 8];
    (void)snprintf(url, sizeof urls[0], "rediss://%s:%d/0?cacert=%s%s", host, redis_tls_port(redis),
                   rig->files.ca_file, options);
    return url;
}

struct redis_tls *tls_rig_start(struct tls_rig *rig, const struct certificate_plan *plan)
{
    struct certificate_plan whole = *plan;
    struct certificate certificate;
    const struct certificate *chain = &certificate;
    struct redis_tls *redis = NULL;
    struct redis_tls_plan server = {
        .cert_file = certificate_folder_path(&rig->files, "other.crt"),
        .key_file = certificate_folder_path(&rig->files, "other.key"),
        .ca_file = rig->files.ca_file,
    };
    if (whole.issuer == NULL)
        whole.issuer = &rig->files.root;
    certificate_make(&certificate, &whole);
    certificate_write(server.cert_file, &chain, 1);
    certificate_write_key(server.key_file, &certificate, NULL);
    certificate_fini(&certificate);
    assert_int_equal(redis_tls_start(&redis, &server), 0);
    return redis;
}

static void log_sink(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct tls_rig_log *log = arg;
    (void)room;
    pthread_mutex_lock(&log->lock);
    size_t len = strlen(log->text);
    (void)snprintf(log->text + len, sizeof log->text - len, "%s\n", line);
    log->lines[level]++;
    pthread_mutex_unlock(&log->lock);
}

struct strata *tls_rig_cache(const char *url, struct tls_rig_log *log)
{
    struct strata *cache = NULL;
    struct strata_error error = {0};
    *log = (struct tls_rig_log){.lock = PTHREAD_MUTEX_INITIALIZER};
    const struct strata_options options = {
        .l1_enabled = STRATA_OFF,
        .redis_url = url,
        .tls_provider = strata_tls_openssl(),
        .log_sink = log_sink,
        .log_arg = log,
    };
    if (strata_open(&cache, &options, &error) != STRATA_OK)
        fail_msg("strata_open: %s", error.text);
    return cache;
}

struct awaited {
    struct tls_rig_log *log;
    const char *text;
};

static bool log_has(void *arg)
{
    struct awaited *awaited = arg;
    pthread_mutex_lock(&awaited->log->lock);
    bool has = strstr(awaited->log->text, awaited->text) != NULL;
    pthread_mutex_unlock(&awaited->log->lock);
    return has;
}

void tls_rig_await(struct tls_rig_log *log, const char *text)
{
    struct awaited awaited = {log, text};
    if (!wait_until(log_has, &awaited, PATIENCE_MS))
        fail_msg("the log has no \"%s\":\n%s", text, log->text);
}
