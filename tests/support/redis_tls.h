/* SPDX-License-Identifier: MIT
 *
 * A private Redis (support/redis_server.h) that also listens with TLS, on a port of its own, and
 * shows a certificate of the test's.
 */
#ifndef TEST_REDIS_TLS_H
#define TEST_REDIS_TLS_H

#include "support/certificates.h"
#include "support/redis_server.h"

struct redis_tls;

struct redis_tls_plan {
    const char *cert_file;
    const char *key_file;
    const char *ca_file;           /* who must have signed clients; also without demand */
    bool clients_need_certificate; /* false: who has none is welcome */
    const char *protocols;         /* "TLSv1.2"; NULL: Redis' own */
};

/* 0, or -1 with the reason on stderr. */
int redis_tls_start(struct redis_tls **out, const struct redis_tls_plan *plan);
void redis_tls_stop(struct redis_tls **redis);

struct redis_server *redis_tls_server(const struct redis_tls *redis);
int redis_tls_port(const struct redis_tls *redis);

#endif
