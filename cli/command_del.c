/* SPDX-License-Identifier: MIT
 *
 * strata del: deletes keys, and says how many were there.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/tally.h"

struct del {
    struct cli_tally tally;
    json_t *keys; /* NULL without --json */
};

static int describe_key(const struct del *del, const char *key, bool deleted, int status,
                        const struct strata_error *error)
{
    json_t *entry = json_object();
    int result = entry == NULL ? -1 : cli_output_member(entry, "key", strata_text(key));
    if (result == 0)
        result = json_object_set_new(entry, "deleted", json_boolean(deleted));
    if (result == 0 && status < 0)
        result = cli_output_member(entry, "error", strata_text(error->text));
    if (result < 0) {
        json_decref(entry);
        return STRATA_ERR_NOMEM;
    }
    return json_array_append_new(del->keys, entry) < 0 ? STRATA_ERR_NOMEM : STRATA_OK;
}

static int del_each(void *arg, const char *key, const struct sta_resp_value *reply, int status,
                    const struct strata_error *error)
{
    struct del *del = arg;
    bool deleted = status == STRATA_OK && reply->type == STA_RESP_INTEGER && reply->integer > 0;
    if (status == STRATA_ERR_DENIED)
        del->tally.denied++;
    else if (status < 0)
        del->tally.failed++;
    else if (deleted)
        del->tally.yes++;
    else
        del->tally.no++;
    if (del->keys != NULL)
        return describe_key(del, key, deleted, status, error);
    if (status < 0)
        cli_output_complain("%s: %s", key, error->text);
    return STRATA_OK;
}

static enum cli_exit run_del(struct cli_run *run)
{
    struct strata_error error = {.status = STRATA_ERR_NOMEM, .text = "out of memory"};
    struct del del = {.keys = run->json ? json_array() : NULL};
    int status = STRATA_ERR_NOMEM;
    if (!run->json || del.keys != NULL)
        status = cli_tally_ask(run, "DEL", del_each, &del, &error);
    if (status < 0) {
        json_decref(del.keys);
        return cli_output_failure(run, &error);
    }
    enum cli_exit code = cli_tally_exit(&del.tally);
    if (run->json)
        return cli_output_json(json_pack("{s:o}", "keys", del.keys), code);
    (void)printf("%zu\n", del.tally.yes);
    return code;
}

const struct cli_command cli_command_del = {
    .name = "del",
    .operands = "KEY...",
    .summary = "delete keys, and print how many were there",
    .least = 1,
    .most = 1000000,
    .connects = true,
    .run = run_del,
};
