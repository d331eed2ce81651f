/* SPDX-License-Identifier: MIT
 *
 * strata keys: the names of keys that match a pattern, on all nodes of a cluster.
 */
#include <stdio.h>

#include "cli/cache.h"
#include "cli/command.h"
#include "cli/output.h"
#include "core/error.h"

enum { KEYS_COUNT };

static const struct cli_option keys_options[] = {
    [KEYS_COUNT] = {"count", "N", "end after N names"},
    {0},
};

static int describe(json_t *list, struct strata_bytes name)
{
    json_t *entry = json_object();
    if (entry == NULL || cli_output_member(entry, "key", name) < 0) {
        json_decref(entry);
        return STRATA_ERR_NOMEM;
    }
    return json_array_append_new(list, entry) < 0 ? STRATA_ERR_NOMEM : STRATA_OK;
}

static int tell(json_t *list, struct strata_bytes name)
{
    if (list != NULL)
        return describe(list, name);
    cli_output_value(name);
    (void)putchar('\n');
    return STRATA_OK;
}

/* STRATA_OK where all were told, or as many as were wanted. */
static int walk(struct strata_keys *keys, uint64_t most, json_t *list, struct strata_error *error)
{
    struct strata_bytes name;
    int status = STRATA_OK;
    for (uint64_t told = 0; told < most && status == STRATA_OK; told++) {
        status = strata_keys_next(keys, &name, error);
        if (status == STRATA_OK && tell(list, name) < 0)
            status = sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    }
    return status == STRATA_MISS ? STRATA_OK : status;
}

static int list_keys(const struct cli_run *run, uint64_t most, json_t *list,
                     struct strata_error *error)
{
    const struct strata_keys_options options = {
        .pattern = strata_text(run->operands[0]),
        .patience_ms = run->timeout_ms,
        .max_bytes = STRATA_UNLIMITED,
    };
    struct strata *cache = NULL;
    struct strata_keys *keys = NULL;
    int status = cli_cache_open(run, "", &cache, error);
    if (status == STRATA_OK && (status = strata_keys_open(&keys, cache, &options)) < 0)
        (void)sta_error_set(error, status, "%s", strata_status_text(status));
    if (status == STRATA_OK)
        status = walk(keys, most, list, error);
    strata_keys_close(&keys);
    strata_close(&cache);
    return status;
}

static enum cli_exit run_keys(struct cli_run *run)
{
    uint64_t most = UINT64_MAX;
    struct strata_error error = {.status = STRATA_ERR_NOMEM, .text = "out of memory"};
    json_t *list = run->json ? json_array() : NULL;
    int status = cli_arguments_number(&keys_options[KEYS_COUNT], cli_run_option(run, KEYS_COUNT), 1,
                                      UINT64_MAX, &most, &error);
    if (status == STRATA_OK)
        status = run->json && list == NULL ? STRATA_ERR_NOMEM : list_keys(run, most, list, &error);
    if (status < 0) {
        json_decref(list);
        return cli_output_failure(run, &error);
    }
    return run->json ? cli_output_json(json_pack("{s:o}", "keys", list), CLI_OK) : CLI_OK;
}

const struct cli_command cli_command_keys = {
    .name = "keys",
    .operands = "PATTERN",
    .summary = "print the names of keys that match, each once",
    .text =
        "* any run, ? any byte, [a-z] and [^a-z] classes, \\x the byte x. Asks with SCAN, at most\n"
        "a quarter of the time; of a cluster, which is recognized, all primaries. A name ends "
        "with\n"
        "a newline. To remember what it has printed takes about 50 bytes for each name.",
    .least = 1,
    .most = 1,
    .connects = true,
    .options = keys_options,
    .run = run_keys,
};
