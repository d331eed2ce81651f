/* SPDX-License-Identifier: MIT
 *
 * The URL of a Redis, in one of three forms:
 *
 *     redis://[[user]:password@]host[:port][/db][?option=value&...]
 *     rediss://...                                       the same over TLS
 *     unix://[[user]:password@]/path/of/socket[?option=value&...]
 *
 * The port is 6379 where none is given, db is 0. Options: db (0 to 2147483647; for redis:// it
 * may stand in the path instead), timeout (seconds, 0.001 to 3600, fractions allowed), and for
 * rediss:// those of TLS, under redis-cli's names and under redis-py's, so that one URL serves
 * programs in several languages:
 *
 *     cacert     ssl_ca_certs     file of CAs              verify   full, ca or none; redis-py
 *     cacertdir  ssl_ca_path      folder of CAs                     says the same with
 *     cert       ssl_certfile     our certificate                   ssl_cert_reqs=required|none,
 *     key        ssl_keyfile      its key                           ssl_check_hostname=true|false
 *     sni                         the server's name
 *
 * There are no others. Percent-encoding is undone in user, password, path and option values. IPv6
 * hosts stand in brackets. Pure: no sockets, no allocation.
 */
#ifndef STA_REDIS_URL_H
#define STA_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "net/endpoint.h"
#include "strata/options.h"
#include "strata/status.h"

#define STA_REDIS_URL_FILE_CAP 256 /* of a path or a name in an option */

struct sta_redis_url {
    struct sta_endpoint endpoint;
    bool tls;
    uint32_t db;
    uint64_t timeout_ms; /* 0: not given; else it goes before the configured socket timeout */
    char user[128];      /* empty: the default user */
    char password[512];  /* empty: no AUTH, and then there is no user either */
};

/* What a rediss:// URL says of TLS; "" and STRATA_TLS_VERIFY_DEFAULT where it does not. Of use
 * until the files are loaded, so it is no part of what every connection holds. */
struct sta_redis_url_tls {
    char ca_file[STA_REDIS_URL_FILE_CAP];
    char ca_dir[STA_REDIS_URL_FILE_CAP];
    char cert_file[STA_REDIS_URL_FILE_CAP];
    char key_file[STA_REDIS_URL_FILE_CAP];
    char server_name[STA_REDIS_URL_FILE_CAP];
    enum strata_tls_verify verify;
};

/* STRATA_OK, or STRATA_ERR_INVALID with `error` (may be NULL) saying which part is wrong and
 * what is allowed. The text never repeats user or password. */
int sta_redis_url_parse(const char *text, struct sta_redis_url *out, struct strata_error *error);

/* The same, with what it says of TLS. */
int sta_redis_url_parse_tls(const char *text, struct sta_redis_url *out,
                            struct sta_redis_url_tls *tls, struct strata_error *error);

/* For people, UTF-8: without user and password. Cut where `cap` is short. */
void sta_redis_url_format(const struct sta_redis_url *url, char *text, size_t cap);

/* For error texts and listings: `text`, which need not be valid, with *** in place of whatever
 * may be user and password. Cut where `cap` (> 0) is short. */
void sta_redis_url_mask(const char *text, char *masked, size_t cap);

#endif
