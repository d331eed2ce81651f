/* SPDX-License-Identifier: MIT
 *
 * The URL of a Redis, in one of three forms:
 *
 *     redis://[[user]:password@]host[:port][/db][?option=value&...]
 *     rediss://...                                       the same over TLS
 *     unix://[[user]:password@]/path/of/socket[?option=value&...]
 *
 * The port is 6379 where none is given, db is 0. Options: db (0 to 2147483647; for redis:// it
 * may stand in the path instead) and timeout (seconds, 0.001 to 3600, fractions allowed). There
 * are no others. Percent-encoding is undone in user, password, path and option values. IPv6
 * hosts stand in brackets. Pure: no sockets, no allocation.
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
    uint64_t timeout_ms; /* 0: not given; else it goes before the configured socket timeout */
    char user[128];      /* empty: the default user */
    char password[512];  /* empty: no AUTH, and then there is no user either */
};

/* STRATA_OK, or STRATA_ERR_INVALID with `error` (may be NULL) saying which part is wrong and
 * what is allowed. The text never repeats user or password. */
int sta_redis_url_parse(const char *text, struct sta_redis_url *out, struct strata_error *error);

/* For logs: without user and password. Cut where `cap` is short. */
void sta_redis_url_format(const struct sta_redis_url *url, char *text, size_t cap);

/* For error texts and listings: `text`, which need not be valid, with *** in place of whatever
 * may be user and password. Cut where `cap` (> 0) is short. */
void sta_redis_url_mask(const char *text, char *masked, size_t cap);

#endif
