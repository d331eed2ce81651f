/* SPDX-License-Identifier: MIT
 *
 * See redis_tls.h.
 */
#include "support/redis_tls.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/port.h"

#define TRIES 5

struct redis_tls {
    struct redis_server *server;
    int port;
    char port_text[8];
    const char *args[24]; /* the server reads them again when it is restarted */
};

static void fill_args(struct redis_tls *redis, const struct redis_tls_plan *plan)
{
    const char *const args[] = {
        "--tls-port",
        redis->port_text,
        "--tls-cert-file",
        plan->cert_file,
        "--tls-key-file",
        plan->key_file,
        "--tls-ca-cert-file",
        plan->ca_file,
        "--tls-auth-clients",
        plan->clients_need_certificate ? "yes" : "no",
        plan->protocols != NULL ? "--tls-protocols" : NULL,
        plan->protocols,
    };
    for (size_t i = 0; i < sizeof args / sizeof args[0]; i++)
        redis->args[i] = args[i];
}

int redis_tls_start(struct redis_tls **out, const struct redis_tls_plan *plan)
{
    struct redis_tls *redis = calloc(1, sizeof *redis);
    int result = -1;
    if (redis == NULL)
        return -1;
    for (unsigned i = 0; i < TRIES && result != 0; i++) { /* the port may be taken meanwhile */
        redis->port = port_choose("127.0.0.1");
        (void)snprintf(redis->port_text, sizeof redis->port_text, "%d", redis->port);
        fill_args(redis, plan);
        result = redis->port > 0 ? redis_server_start(&redis->server, redis->args) : -1;
    }
    if (result != 0) {
        free(redis);
        return -1;
    }
    *out = redis;
    return 0;
}

void redis_tls_stop(struct redis_tls **redis)
{
    if (*redis == NULL)
        return;
    redis_server_stop(&(*redis)->server);
    free(*redis);
    *redis = NULL;
}

struct redis_server *redis_tls_server(const struct redis_tls *redis)
{
    return redis->server;
}

int redis_tls_port(const struct redis_tls *redis)
{
    return redis->port;
}
