/* SPDX-License-Identifier: MIT
 *
 * See change.h.
 */
#include "cli/change.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/admin_client.h"
#include "cli/output.h"
#include "core/error.h"

static void print_value(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    (void)printf("%s", json_is_string(value) ? json_string_value(value)
                       : text != NULL        ? text
                                             : "?");
    free(text);
}

static void print_changes(const json_t *changed)
{
    size_t i;
    const json_t *change;
    json_array_foreach(changed, i, change)
    {
        (void)printf("%s: ", json_string_value(json_object_get(change, "name")));
        print_value(json_object_get(change, "before"));
        (void)printf(" -> ");
        print_value(json_object_get(change, "after"));
        (void)putchar('\n');
    }
    if (json_array_size(changed) == 0)
        (void)printf("it was so before\n");
}

enum cli_exit cli_change(const struct cli_run *run, const char *address, json_t *settings)
{
    struct strata_error error;
    json_t *answer = NULL;
    if (settings == NULL)
        return cli_output_json(NULL, CLI_NEGATIVE);
    int status = cli_admin_ask(run, address, "PUT", "/config", settings, &answer, &error);
    json_decref(settings);
    if (status < 0)
        return cli_output_failure(run, &error);
    if (run->json)
        return cli_output_json(answer, CLI_OK);
    print_changes(json_object_get(answer, "changed"));
    json_decref(answer);
    return CLI_OK;
}
