/* SPDX-License-Identifier: MIT
 *
 * strata config: what configuration a program of the library would have, started here and now,
 * and where each value comes from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/target.h"
#include "config/config.h"
#include "core/error.h"

enum { CONFIG_FILE, CONFIG_MARKDOWN };

static const struct cli_option config_options[] = {
    [CONFIG_FILE] = {"config", "FILE", "read this file instead of STRATA_CONFIG_FILE"},
    [CONFIG_MARKDOWN] = {"markdown", NULL, "print the reference of all options instead"},
    {0},
};

/* strata's own, so that they are listed, and not warned about. cli_target_resolve() reads them. */
static const struct sta_option own_table[] = {
    {.name = "url",
     .env = CLI_TARGET_VARIABLE,
     .flag = "--url",
     .type = STA_OPTION_URL,
     .default_text = CLI_TARGET_DEFAULT,
     .fixed = "a command connects once",
     .group = "Command",
     .help = "Where the command strata connects."},
};

static const struct sta_option_set config_sets[] = {
    {.options = sta_option_table, .count = STA_OPTION_TABLE_COUNT},
    {.section = "strata", .options = own_table, .count = 1},
};
enum { CONFIG_SETS = sizeof config_sets / sizeof config_sets[0] };

static void warn(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    (void)arg;
    (void)level;
    (void)room;
    cli_output_complain("warning: %s", line);
}

static int load(const struct cli_run *run, struct sta_config **config, struct strata_error *error)
{
    const char *file = cli_run_option(run, CONFIG_FILE);
    char *argv[] = {"strata", "--config", (char *)(uintptr_t)file, NULL};
    struct sta_log log;
    sta_log_init(&log, warn, NULL, STRATA_LOG_WARNING);
    const struct sta_config_input input = {
        .program = "strata",
        .sets = config_sets,
        .set_count = CONFIG_SETS,
        .environment = environ,
        .argc = file != NULL ? 3 : 1,
        .argv = argv,
        .log = &log,
    };
    return sta_config_load(config, &input, error);
}

/* A line of the table: name, value with its unit, whether it may change while running, origin. */
static void print_option(const char *name, const json_t *option)
{
    const json_t *value = json_object_get(option, "value");
    const char *unit = json_string_value(json_object_get(option, "unit"));
    const char *text = json_is_null(value) ? "-" : json_string_value(value);
    char *rendered = NULL;
    char cell[600];
    if (text == NULL) {
        rendered = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
        text = rendered != NULL ? rendered : "?";
    }
    if (unit == NULL || !json_is_number(value))
        unit = "";
    (void)snprintf(cell, sizeof cell, "%s%s%s", text, unit[0] != '\0' ? " " : "", unit);
    (void)printf("%-26s %-30s %-5s %s\n", name, cell,
                 json_is_true(json_object_get(option, "live")) ? "live" : "fixed",
                 json_string_value(json_object_get(option, "origin")));
    free(rendered);
}

static enum cli_exit print_config(const struct cli_run *run, const struct sta_config *config)
{
    json_t *document = sta_config_json(config);
    if (run->json || document == NULL)
        return cli_output_json(document == NULL ? NULL : json_pack("{s:o}", "options", document),
                               CLI_OK);
    const char *name;
    json_t *option;
    json_object_foreach(document, name, option) print_option(name, option);
    json_decref(document);
    return CLI_OK;
}

static enum cli_exit print_markdown(const struct cli_run *run)
{
    struct sta_buffer out;
    struct strata_error error;
    sta_buffer_init(&out, 1 << 20);
    int status = sta_config_markdown(config_sets, CONFIG_SETS, &out);
    if (status == STRATA_OK)
        (void)fwrite(sta_buffer_bytes(&out).data, 1, sta_buffer_len(&out), stdout);
    sta_buffer_fini(&out);
    if (status == STRATA_OK)
        return CLI_OK;
    (void)sta_error_set(&error, status, "%s", strata_status_text(status));
    return cli_output_failure(run, &error);
}

static enum cli_exit run_config(struct cli_run *run)
{
    struct sta_config *config = NULL;
    struct strata_error error;
    if (cli_run_option(run, CONFIG_MARKDOWN) != NULL)
        return print_markdown(run);
    int status = load(run, &config, &error);
    enum cli_exit code = status < 0 ? cli_output_failure(run, &error) : print_config(run, config);
    sta_config_destroy(&config);
    return code;
}

const struct cli_command cli_command_config = {
    .name = "config",
    .operands = "",
    .summary = "print the configuration in force here, and where each value comes from",
    .text = "Environment, then file, then defaults: what the library would use if it were started\n"
            "here and now. A value that is not valid is an error, exit code 2.",
    .options = config_options,
    .run = run_config,
};
