/* SPDX-License-Identifier: MIT
 *
 * strata get: prints values. What goes to standard output is exact where one key is asked for;
 * of several, each value ends with a newline, and a key without value leaves an empty line.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/tally.h"

struct get {
    const struct cli_run *run;
    struct cli_tally tally;
    json_t *keys; /* NULL without --json */
};

/* Whether there is a value, and which; a server that answers GET with another type is no Redis. */
static bool reply_has_value(const struct sta_resp_value *reply)
{
    return reply->type == STA_RESP_BULK || reply->type == STA_RESP_SIMPLE ||
           reply->type == STA_RESP_VERBATIM;
}

static int describe_key(struct get *get, const char *key, const struct sta_resp_value *reply,
                        int status, const struct strata_error *error)
{
    json_t *entry = json_object();
    bool found = status == STRATA_OK && reply_has_value(reply);
    int result = entry == NULL ? -1 : cli_output_member(entry, "key", strata_text(key));
    if (result == 0)
        result = json_object_set_new(entry, "found", json_boolean(found));
    if (result == 0 && found)
        result = cli_output_member(entry, "value", reply->bytes);
    if (result == 0 && status < 0)
        result = cli_output_member(entry, "error", strata_text(error->text));
    if (result < 0) {
        json_decref(entry);
        return STRATA_ERR_NOMEM;
    }
    return json_array_append_new(get->keys, entry) < 0 ? STRATA_ERR_NOMEM : STRATA_OK;
}

static void print_key(const struct get *get, const char *key, const struct sta_resp_value *reply,
                      int status, const struct strata_error *error)
{
    bool found = status == STRATA_OK && reply_has_value(reply);
    if (found)
        cli_output_value(reply->bytes);
    if (get->run->count > 1 || (found && cli_output_is_terminal()))
        (void)putchar('\n');
    if (!found)
        cli_output_complain("%s: %s", key, status < 0 ? error->text : "not there");
}

static int get_each(void *arg, const char *key, const struct sta_resp_value *reply, int status,
                    const struct strata_error *error)
{
    struct get *get = arg;
    if (status == STRATA_ERR_DENIED)
        get->tally.denied++;
    else if (status < 0)
        get->tally.failed++;
    else if (reply_has_value(reply))
        get->tally.yes++;
    else
        get->tally.no++;
    if (get->keys != NULL)
        return describe_key(get, key, reply, status, error);
    print_key(get, key, reply, status, error);
    return STRATA_OK;
}

static enum cli_exit run_get(struct cli_run *run)
{
    struct strata_error error = {.status = STRATA_ERR_NOMEM, .text = "out of memory"};
    struct get get = {.run = run, .keys = run->json ? json_array() : NULL};
    int status = STRATA_ERR_NOMEM;
    if (!run->json || get.keys != NULL)
        status = cli_tally_ask(run, "GET", get_each, &get, &error);
    if (status < 0) {
        json_decref(get.keys);
        return cli_output_failure(run, &error);
    }
    enum cli_exit code = cli_tally_exit(&get.tally);
    return run->json ? cli_output_json(json_pack("{s:o}", "keys", get.keys), code) : code;
}

const struct cli_command cli_command_get = {
    .name = "get",
    .operands = "KEY...",
    .summary = "print the values of keys",
    .text = "One value is printed as it is, without a newline, unless to a terminal, where what\n"
            "is not printable is escaped. Of several, each ends with a newline, and a key that\n"
            "is not there is an empty line; --json tells everything apart.",
    .least = 1,
    .most = 1000000,
    .connects = true,
    .run = run_get,
};
