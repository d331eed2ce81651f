/* SPDX-License-Identifier: MIT
 *
 * strata stats: stratad's counters, one to a line with its path, or the document as it is.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/stats.h"
#include "core/error.h"

/* Deeper is left out; stratad's document has three levels. */
#define STATS_DEPTH 8

static void print_leaf(const char *path, const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    (void)printf("%-44s ", path);
    if (json_is_string(value))
        cli_output_value(strata_bytes(json_string_value(value), json_string_length(value)));
    else
        (void)printf("%s", text != NULL ? text : "?");
    (void)putchar('\n');
    free(text);
}

/* Walks nested objects with a stack of iterators: the depth comes from outside. */
static void print_document(json_t *document)
{
    struct {
        json_t *object;
        void *at;
        size_t path_len;
    } stack[STATS_DEPTH] = {{document, json_object_iter(document), 0}};
    char path[512] = "";
    size_t depth = 1;
    while (depth > 0) {
        void *at = stack[depth - 1].at;
        if (at == NULL) {
            depth--;
            continue;
        }
        json_t *value = json_object_iter_value(at);
        size_t len = stack[depth - 1].path_len;
        (void)snprintf(path + len, sizeof path - len, "%s%s", len > 0 ? "." : "",
                       json_object_iter_key(at));
        stack[depth - 1].at = json_object_iter_next(stack[depth - 1].object, at);
        if (!json_is_object(value)) {
            print_leaf(path, value);
        } else if (depth < STATS_DEPTH) {
            stack[depth].object = value;
            stack[depth].at = json_object_iter(value);
            stack[depth++].path_len = strlen(path);
        }
    }
}

static enum cli_exit run_stats(struct cli_run *run)
{
    struct strata_error error;
    json_t *document = NULL;
    int status = cli_stats_ask(run, &document, &error);
    if (status < 0)
        return cli_output_failure(run, &error);
    if (run->json)
        return cli_output_json(document, CLI_OK);
    print_document(document);
    json_decref(document);
    return CLI_OK;
}

const struct cli_command cli_command_stats = {
    .name = "stats",
    .operands = "",
    .summary = "print stratad's counters",
    .text = "With --json the document is stratad's own. A Redis has no such counters: exit code 1.",
    .connects = true,
    .run = run_stats,
};
