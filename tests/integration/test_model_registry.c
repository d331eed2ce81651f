/* SPDX-License-Identifier: MIT
 *
 * examples/model_registry.c, as it is in the documentation: what it prints on each database.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <stdio.h>

#include "support/command.h"

static void it_prints_each_cost_once_it_is_true(void **state)
{
    (void)state;
    const char *url = repository_rig_fresh();
    char environment[128];
    struct command_result result;
    (void)snprintf(environment, sizeof environment, "ROUTER_REDIS_URL=%s", cache_rig_url());
    const struct command_input input = {.environment = environment};
    const char *const argv[] = {MODEL_REGISTRY, url, NULL};
    for (int run = 0; run < 2; run++) { /* what it made it has deleted */
        command_run(&result, &input, argv);
        assert_string_equal(result.err, "");
        assert_string_equal(result.out, "gpt-4 by openai: 0.00006 per token\n"
                                        "gpt-4 by openai: 0.00006 per token\n"
                                        "gpt-4 by openai: 0.00003 per token\n"
                                        "gpt-4: not there\n");
        assert_int_equal(result.code, 0);
        command_result_fini(&result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_prints_each_cost_once_it_is_true)};
    return cmocka_run_group_tests(tests, repository_rig_start, repository_rig_stop);
}
