/* SPDX-License-Identifier: MIT
 *
 * The URL of a Redis: redis://[user[:password]@]host[:port][/db][?option=value&...],
 * rediss:// the same over TLS, unix://[user[:password]@]/path/of/socket[?db=N].
 * Percent-encoding is undone in user, password, path and option values. IPv6 hosts stand in
 * brackets. Pure: no sockets, no allocation.
 */
#ifndef STA_REDIS_URL_H
#define STA_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "net/endpoint.h"
#include "strata/status.h"

struct sta_redis_url {
    struct sta_endpoint endpoint;
    bool tls;
    uint32_t db;
    char user[128];     /* empty: the default user */
    char password[512]; /* empty: no AUTH */
};

/* STRATA_OK, or STRATA_ERR_INVALID with `error` (may be NULL) saying which part is wrong and
 * what is allowed. The text never repeats the password. */
int sta_redis_url_parse(const char *text, struct sta_redis_url *out, struct strata_error *error);

/* For logs: without user and password. Cut where `cap` is short. */
void sta_redis_url_format(const struct sta_redis_url *url, char *text, size_t cap);

#endif
