/* SPDX-License-Identifier: MIT
 *
 * Whether a client's user and password are the configured ones. Pure.
 */
#ifndef STA_CLIENT_AUTH_H
#define STA_CLIENT_AUTH_H

#include <stdbool.h>

#include "strata/bytes.h"

/* `password` NULL: none is configured; then "default" gets in with any, as in Redis, and nobody
 * else does. Takes as long whether a password is wrong in its first byte or in its last. */
bool sta_client_auth_accepts(const char *user, const char *password, struct strata_bytes given_user,
                             struct strata_bytes given_password);

#endif
