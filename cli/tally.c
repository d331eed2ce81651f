/* SPDX-License-Identifier: MIT
 *
 * One command for each of several keys; see tally.h. Each key gets a command of its own, so that
 * an error of one (a wrong type, a key that an ACL forbids) is that key's alone.
 */
#include "cli/tally.h"

#include "cli/route.h"

enum cli_exit cli_tally_exit(const struct cli_tally *tally)
{
    size_t rest = tally->no + tally->denied + tally->failed;
    if (rest == 0)
        return CLI_OK;
    if (tally->yes > 0)
        return CLI_PARTIAL;
    return tally->denied == rest ? CLI_DENIED : CLI_NEGATIVE;
}

static int ask_all(const struct cli_run *run, struct cli_route *route, const char *verb,
                   struct strata_error *error)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < run->count && status == STRATA_OK; i++) {
        const struct strata_bytes argv[] = {strata_text(verb), strata_text(run->operands[i])};
        status = cli_route_send(route, argv, 2, error);
    }
    return status;
}

int cli_tally_ask(const struct cli_run *run, const char *verb,
                  int (*each)(void *arg, const char *key, const struct sta_resp_value *reply,
                              int status, const struct strata_error *error),
                  void *arg, struct strata_error *error)
{
    struct cli_route *route = NULL;
    int status = cli_route_open(&route, run, error);
    if (status == STRATA_OK)
        status = ask_all(run, route, verb, error);
    for (size_t i = 0; i < run->count && status == STRATA_OK; i++) {
        const struct strata_bytes argv[] = {strata_text(verb), strata_text(run->operands[i])};
        struct sta_resp_value reply;
        struct strata_error refusal = {0};
        status = cli_route_reply(route, argv, 2, &reply, error);
        if (status == STRATA_OK)
            status = each(arg, run->operands[i], &reply, cli_resp_client_check(&reply, &refusal),
                          &refusal);
    }
    cli_route_close(&route);
    return status;
}
