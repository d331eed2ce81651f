/* SPDX-License-Identifier: MIT
 *
 * strata health: whether stratad and its Redis are well, once or until it is interrupted.
 */
#include <stdio.h>
#include <string.h>

#include "cli/looks.h"
#include "cli/output.h"
#include "cli/stats.h"
#include "core/error.h"

static const struct cli_option health_options[] = {
    CLI_LOOKS_OPTIONS("go on looking until interrupted"),
    {0},
};

static const char *member(const json_t *part, const char *name)
{
    const char *text = json_string_value(json_object_get(part, name));
    return text != NULL ? text : "";
}

static enum cli_exit exit_of(const json_t *health)
{
    const char *state = member(json_object_get(health, "overall"), "state");
    if (strcmp(state, "healthy") == 0 || strcmp(state, "disabled") == 0)
        return CLI_OK;
    return strcmp(state, "degraded") == 0 ? CLI_PARTIAL : CLI_NEGATIVE;
}

static void print_health(const json_t *health)
{
    static const char *const parts[] = {"l1_cache", "l2_cache", "overall"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const json_t *part = json_object_get(health, parts[i]);
        (void)printf("%-9s %-9s", parts[i], member(part, "state"));
        if (member(part, "reason")[0] != '\0') {
            (void)printf(" %s: ", member(part, "reason"));
            cli_output_value(strata_text(member(part, "text")));
        }
        (void)putchar('\n');
    }
}

static int fetch(const struct cli_run *run, json_t **out, struct strata_error *error)
{
    json_t *document = NULL;
    int status = cli_stats_ask(run, &document, error);
    if (status < 0)
        return status;
    *out = json_incref(json_object_get(document, "health"));
    json_decref(document);
    return *out != NULL ? STRATA_OK
                        : sta_error_set(error, STRATA_ERR_PROTOCOL, "stratad tells no health");
}

static enum cli_exit look(const struct cli_run *run, const struct cli_looks *looks)
{
    struct strata_error error;
    json_t *health = NULL;
    if (fetch(run, &health, &error) < 0)
        return cli_output_failure(run, &error);
    enum cli_exit code = exit_of(health);
    if (run->json)
        return cli_output_json(health, code);
    cli_looks_clear(looks);
    print_health(health);
    json_decref(health);
    return code;
}

static enum cli_exit run_health(struct cli_run *run)
{
    struct cli_looks looks;
    struct strata_error error;
    enum cli_exit code;
    if (cli_looks_read(&looks, run, &error) < 0)
        return cli_output_failure(run, &error);
    do
        code = look(run, &looks);
    while (cli_looks_again(&looks));
    return code;
}

const struct cli_command cli_command_health = {
    .name = "health",
    .operands = "",
    .summary = "say whether stratad and its Redis are well",
    .text = "Exit code 0 where all is healthy, 6 where it is degraded, 1 where it is unhealthy.",
    .connects = true,
    .options = health_options,
    .run = run_health,
};
