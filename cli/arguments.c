/* SPDX-License-Identifier: MIT
 *
 * Parsing the command line by tables. One pass, in place.
 */
#include "cli/arguments.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/number.h"
#include "core/spelling.h"

#define SECONDS_MAX UINT64_C(315360000) /* ten years */

/* The place where the value of the option called name[0..len-1] is kept, or NULL. */
static const char **find_option(struct cli_arguments *arguments, const char *name, size_t len,
                                const struct cli_option **option)
{
    for (size_t t = 0; t < 2; t++) {
        const struct cli_option *table = arguments->tables[t];
        for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
            if (strncmp(table[i].name, name, len) != 0 || table[i].name[len] != '\0')
                continue;
            *option = &table[i];
            return &arguments->values[t][i];
        }
    }
    return NULL;
}

/* The text of a value is not repeated: it may be a password. */
static int unknown_option(const struct cli_arguments *arguments, const char *text,
                          struct strata_error *error)
{
    char name[STA_SPELLING_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(text + 2, "="), text + 2);
    struct sta_spelling spelling = {.wanted = name};
    for (size_t t = 0; t < 2; t++) {
        const struct cli_option *table = arguments->tables[t];
        for (size_t i = 0; table != NULL && table[i].name != NULL; i++)
            sta_spelling_offer(&spelling, table[i].name);
    }
    if (spelling.nearest == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID, "unknown option --%s", name);
    return sta_error_set(error, STRATA_ERR_INVALID, "unknown option --%s; did you mean --%s?", name,
                         spelling.nearest);
}

/* Takes the option at argv[*at], and its value where that is the next argument. */
static int take_option(struct cli_arguments *arguments, char **argv, size_t argc, size_t *at,
                       struct strata_error *error)
{
    const char *name = argv[*at] + 2;
    size_t len = strcspn(name, "=");
    const struct cli_option *option;
    const char **place = find_option(arguments, name, len, &option);
    if (place == NULL)
        return unknown_option(arguments, argv[*at], error);
    bool attached = name[len] == '=';
    if (option->value == NULL && attached)
        return sta_error_set(error, STRATA_ERR_INVALID, "--%s takes no value", option->name);
    if (option->value == NULL) {
        *place = "";
    } else if (attached) {
        *place = name + len + 1;
    } else if (*at + 1 < argc) {
        *place = argv[++*at];
    } else {
        return sta_error_set(error, STRATA_ERR_INVALID, "--%s needs a value: %s", option->name,
                             option->value);
    }
    return STRATA_OK;
}

int cli_arguments_parse(struct cli_arguments *arguments, char **argv, size_t argc, bool until_first,
                        size_t *count, struct strata_error *error)
{
    size_t kept = 0;
    bool options = true;
    for (size_t at = 0; at < argc; at++) {
        if (options && strcmp(argv[at], "--") == 0) {
            options = false;
        } else if (options && strncmp(argv[at], "--", 2) == 0) {
            int status = take_option(arguments, argv, argc, &at, error);
            if (status < 0)
                return status;
        } else if (until_first) {
            memmove(argv, argv + at, (argc - at) * sizeof *argv);
            kept = argc - at;
            break;
        } else {
            argv[kept++] = argv[at];
        }
    }
    *count = kept;
    return STRATA_OK;
}

int cli_arguments_number(const struct cli_option *option, const char *value, uint64_t least,
                         uint64_t most, uint64_t *out, struct strata_error *error)
{
    if (value == NULL)
        return STRATA_OK;
    uint64_t number;
    if (sta_number_parse(strata_text(value), most, &number) < 0 || number < least)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "--%s %s: must be a whole number from %llu to %llu", option->name,
                             value, (unsigned long long)least, (unsigned long long)most);
    *out = number;
    return STRATA_OK;
}

int cli_arguments_seconds(const struct cli_option *option, const char *value, uint64_t *out_ms,
                          struct strata_error *error)
{
    if (value == NULL)
        return STRATA_OK;
    uint64_t ms;
    if (sta_number_parse_seconds(strata_text(value), &ms) < 0 || ms == 0 || ms > SECONDS_MAX * 1000)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "--%s %s: must be seconds, from 0.001 to %llu", option->name, value,
                             (unsigned long long)SECONDS_MAX);
    *out_ms = ms;
    return STRATA_OK;
}
