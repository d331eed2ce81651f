/* SPDX-License-Identifier: MIT
 *
 * What the tests with a real Redis behind TLS share: its certificates, the server, URLs to it, and
 * a log that can be waited for.
 */
#ifndef TEST_TLS_RIG_H
#define TEST_TLS_RIG_H

#include <pthread.h>

#include "strata/strata.h"
#include "support/redis_tls.h"

struct tls_rig {
    struct certificate_folder files;
    struct redis_tls *redis;   /* takes clients without a certificate */
    struct redis_tls *careful; /* takes none */
};

/* Lines of a library's log, by whichever thread they come. */
struct tls_rig_log {
    pthread_mutex_t lock;
    char text[4096];
    unsigned lines[STRATA_LOG_DEBUG + 1];
};

/* cmocka group fixtures; tests find the rig in *state. */
int tls_rig_open(void **state);
int tls_rig_close(void **state);

/* "rediss://localhost:PORT/0?cacert=...OPTIONS", in one of a few buffers that are used in turn. */
const char *tls_rig_url(const struct tls_rig *rig, const struct redis_tls *redis, const char *host,
                        const char *options);

/* A server with another certificate; the tests' root has signed it unless `plan` says otherwise. */
struct redis_tls *tls_rig_start(struct tls_rig *rig, const struct certificate_plan *plan);

/* Opens a cache, with TLS and a log that begins anew; fails the test where that fails. */
struct strata *tls_rig_cache(const char *url, struct tls_rig_log *log);

/* Waits until the log has `text`; fails the test, with all of it, where that does not come. */
void tls_rig_await(struct tls_rig_log *log, const char *text);

#endif
