/* SPDX-License-Identifier: MIT
 *
 * Running strata; STRATA_PROGRAM is its path, given by the build.
 */
#include "integration/strata_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ARGUMENTS_MOST = 32 };

int strata_run(struct command_result *result, const struct command_input *input, const char *url,
               ...)
{
    const char *argv[ARGUMENTS_MOST] = {STRATA_PROGRAM};
    size_t argc = 1;
    if (url != NULL) {
        argv[argc++] = "--url";
        argv[argc++] = url;
    }
    va_list arguments;
    va_start(arguments, url);
    while ((argv[argc] = va_arg(arguments, const char *)) != NULL)
        assert_true(++argc < ARGUMENTS_MOST);
    va_end(arguments);
    command_run(result, input, argv);
    return result->code;
}

json_t *strata_json(const struct command_result *result)
{
    json_error_t error;
    json_t *document = json_loadb(result->out, result->len, 0, &error);
    if (document == NULL)
        print_error("not JSON: %s\n%s", error.text, result->out);
    assert_non_null(document);
    assert_int_equal(json_integer_value(json_object_get(document, "exit")), result->code);
    return document;
}

int strata_fixture_open(void **state)
{
    struct strata_fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL || redis_server_start(&fixture->server, NULL) < 0)
        return -1;
    fixture->url = redis_server_url(fixture->server);
    fixture->redis = redisConnectUnix(redis_server_socket(fixture->server));
    *state = fixture;
    return fixture->redis == NULL || fixture->redis->err ? -1 : 0;
}

int strata_fixture_close(void **state)
{
    struct strata_fixture *fixture = *state;
    redisFree(fixture->redis);
    redis_server_stop(&fixture->server);
    free(fixture);
    return 0;
}

int strata_fixture_empty(void **state)
{
    struct strata_fixture *fixture = *state;
    freeReplyObject(redisCommand(fixture->redis, "FLUSHALL"));
    return 0;
}

int strata_fixture_discard(void **state)
{
    struct strata_fixture *fixture = *state;
    command_result_fini(&fixture->result);
    return 0;
}
