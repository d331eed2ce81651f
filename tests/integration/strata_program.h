/* SPDX-License-Identifier: MIT
 *
 * Running build/<preset>/bin/strata in a test, and the fixture of its tests: a Redis.
 */
#ifndef TEST_STRATA_PROGRAM_H
#define TEST_STRATA_PROGRAM_H

#include <hiredis/hiredis.h>
#include <jansson.h>

#include "support/command.h"
#include "support/redis_server.h"

/* Runs `strata --url URL ARGUMENTS...` (without --url where `url` is NULL); the arguments end with
 * NULL. `input` may be NULL. Returns the exit code. */
int strata_run(struct command_result *result, const struct command_input *input, const char *url,
               ...) __attribute__((sentinel));

/* What it printed as JSON, which must be one document whose "exit" is the exit code; the caller
 * owns it. */
json_t *strata_json(const struct command_result *result);

/* For a group of tests: one Redis, emptied before each test, and the last run of strata. */
struct strata_fixture {
    struct redis_server *server;
    redisContext *redis; /* an independent look at what is stored */
    const char *url;     /* of the server; a test may replace it, and puts it back */
    struct command_result result;
};

int strata_fixture_open(void **state);
int strata_fixture_close(void **state);
int strata_fixture_empty(void **state);
int strata_fixture_discard(void **state); /* what the last run left */

#endif
