/* SPDX-License-Identifier: MIT
 *
 * What the two files of a URL share: redis_url.c, and redis_url_options.c for what stands behind
 * the '?'.
 */
#ifndef STA_REDIS_URL_INSIDE_H
#define STA_REDIS_URL_INSIDE_H

#include "core/error.h"
#include "l2/redis_url.h"
#include "strata/bytes.h"

static inline int sta_redis_url_refuse(struct strata_error *error, const char *text)
{
    return sta_error_set(error, STRATA_ERR_INVALID, "%s", text);
}

static inline struct strata_bytes sta_redis_url_slice(const char *begin, const char *end)
{
    return strata_bytes(begin, (size_t)(end - begin));
}

enum sta_redis_url_decoding { STA_REDIS_URL_DECODED, STA_REDIS_URL_BAD, STA_REDIS_URL_LONG };

/* Undoes percent-encoding into `out`, which becomes a string; so %00 is refused. */
enum sta_redis_url_decoding sta_redis_url_decode(struct strata_bytes text, char *out, size_t cap);

/* STRATA_OK or STRATA_ERR_INVALID with `error`. */
int sta_redis_url_parse_db(struct strata_bytes text, uint32_t *db, struct strata_error *error);

/* "name=value&..."; `db_given`: the db is known already. Errors as parse_db(). */
int sta_redis_url_parse_options(const char *text, struct sta_redis_url *url,
                                struct sta_redis_url_tls *tls, bool db_given,
                                struct strata_error *error);

#endif
