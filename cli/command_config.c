/* SPDX-License-Identifier: MIT
 *
 * strata config: what configuration a program of the library would have, started here and now,
 * and where each value comes from; get and set: those of a stratad that runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/admin_client.h"
#include "cli/change.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/target.h"
#include "config/config.h"
#include "config/live.h"
#include "config/options.h"
#include "core/error.h"

enum { CONFIG_FILE, CONFIG_MARKDOWN, CONFIG_ADMIN };

static const struct cli_option config_options[] = {
    [CONFIG_FILE] = {"config", "FILE", "read this file instead of STRATA_CONFIG_FILE"},
    [CONFIG_MARKDOWN] = {"markdown", NULL, "print the reference of all options instead"},
    [CONFIG_ADMIN] = CLI_ADMIN_OPTION,
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

/* With what a program would refuse when it opens its cache: options that do not go together. */
static int load(const struct cli_run *run, struct sta_config **config, struct strata_error *error)
{
    struct strata_options options = {0};
    struct sta_option_set sets[CONFIG_SETS] = {config_sets[0], config_sets[1]};
    const char *file = cli_run_option(run, CONFIG_FILE);
    char *argv[] = {"strata", "--config", (char *)(uintptr_t)file, NULL};
    struct sta_log log;
    sta_log_init(&log, warn, NULL, STRATA_LOG_WARNING);
    const struct sta_config_input input = {
        .program = "strata",
        .sets = sets,
        .set_count = CONFIG_SETS,
        .environment = environ,
        .argc = file != NULL ? 3 : 1,
        .argv = argv,
        .log = &log,
    };
    sets[0].target = &options;
    int status = sta_config_load(config, &input, error);
    if (status != STRATA_OK)
        return status;
    status = sta_options_resolve(&options, &options, error);
    if (status < 0)
        sta_config_destroy(config);
    return status;
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

/* {"options": {...}}, which is freed; NULL: out of memory. */
static enum cli_exit print_options(const struct cli_run *run, json_t *document)
{
    if (run->json || document == NULL)
        return cli_output_json(document, CLI_OK);
    const char *name;
    json_t *option;
    json_object_foreach(json_object_get(document, "options"), name, option)
        print_option(name, option);
    json_decref(document);
    return CLI_OK;
}

static enum cli_exit print_config(const struct cli_run *run, const struct sta_config *config)
{
    json_t *options = sta_config_json(config);
    return print_options(run, options != NULL ? json_pack("{s:o}", "options", options) : NULL);
}

/* ---- of a stratad that runs ---- */

static enum cli_exit run_get(const struct cli_run *run)
{
    struct strata_error error;
    json_t *document = NULL;
    int status = cli_admin_ask(run, cli_run_option(run, CONFIG_ADMIN), "GET", "/config", NULL,
                               &document, &error);
    return status < 0 ? cli_output_failure(run, &error) : print_options(run, document);
}

static enum cli_exit run_set(const struct cli_run *run)
{
    json_t *settings = json_object();
    for (size_t i = 1; i + 1 < run->count && settings != NULL; i += 2) {
        if (json_object_set_new(settings, run->operands[i], json_string(run->operands[i + 1])) <
            0) {
            struct strata_error error;
            json_decref(settings);
            (void)sta_error_set(&error, STRATA_ERR_INVALID, "%.100s: not UTF-8", run->operands[i]);
            return cli_output_failure(run, &error);
        }
    }
    return cli_change(run, cli_run_option(run, CONFIG_ADMIN), settings);
}

/* Of one of stratad's own options it alone knows what is allowed. */
static void refuse_of_stratad(const struct cli_run *run, const char *name,
                              struct strata_error *error)
{
    struct strata_error why = {.text = ""};
    json_t *document = NULL;
    const char *allowed = NULL;
    int status = cli_admin_ask(run, cli_run_option(run, CONFIG_ADMIN), "GET", "/config", NULL,
                               &document, &why);
    const json_t *option = json_object_get(json_object_get(document, "options"), name);
    const char *fixed = json_string_value(json_object_get(option, "fixed_because"));
    if (option != NULL)
        allowed = json_string_value(json_object_get(option, "allowed"));
    if (fixed != NULL)
        (void)sta_error_set(error, STRATA_ERR_INVALID, "%.100s: does not change while running: %s",
                            name, fixed);
    else if (allowed != NULL)
        (void)sta_error_set(error, STRATA_ERR_INVALID,
                            "set: %.100s: its value is missing; allowed: %s", name, allowed);
    else if (status == STRATA_OK)
        (void)sta_error_set(error, STRATA_ERR_INVALID, "%.100s: not an option", name);
    else
        (void)sta_error_set(error, STRATA_ERR_INVALID,
                            "set: %.100s: its value is missing; what is allowed stratad would say: "
                            "%.300s",
                            name, why.text);
    json_decref(document);
}

/* An empty value is refused with what is allowed. */
static void refuse_no_value(const struct cli_run *run, const char *name, struct strata_error *error)
{
    struct strata_options unused = {0};
    const struct strata_setting empty = {name, ""};
    const struct sta_option_set set = {
        .options = sta_option_table, .count = STA_OPTION_TABLE_COUNT, .target = &unused};
    struct sta_config *read = NULL;
    int status = sta_live_read(&read, &set, 1, &empty, 1, error);
    if (status == STRATA_OK)
        sta_config_destroy(&read);
    if (status != STRATA_ERR_CONFIG && status != STRATA_ERR_UNSUPPORTED)
        refuse_of_stratad(run, name, error);
}

/* What is wrong with them, and what may stand there. */
static enum cli_exit refuse_operands(const struct cli_run *run)
{
    const char *first = run->operands[0];
    struct strata_error error;
    if (strcmp(first, "set") == 0 && run->count == 1)
        (void)sta_error_set(&error, STRATA_ERR_INVALID,
                            "set: no option is named; usage: strata config set NAME VALUE ...");
    else if (strcmp(first, "set") == 0)
        refuse_no_value(run, run->operands[run->count - 1], &error);
    else if (strcmp(first, "get") == 0)
        (void)sta_error_set(&error, STRATA_ERR_INVALID,
                            "get: shows all options, and takes none; usage: strata config get");
    else
        (void)sta_error_set(&error, STRATA_ERR_INVALID,
                            "%.100s: not known here; allowed: get, set NAME VALUE ..., or nothing",
                            first);
    return cli_output_failure(run, &error);
}

static enum cli_exit run_of_stratad(const struct cli_run *run)
{
    if (strcmp(run->operands[0], "get") == 0 && run->count == 1)
        return run_get(run);
    if (strcmp(run->operands[0], "set") == 0 && run->count >= 3 && run->count % 2 == 1)
        return run_set(run);
    return refuse_operands(run);
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
    if (run->count > 0)
        return run_of_stratad(run);
    if (cli_run_option(run, CONFIG_MARKDOWN) != NULL)
        return print_markdown(run);
    int status = load(run, &config, &error);
    enum cli_exit code = status < 0 ? cli_output_failure(run, &error) : print_config(run, config);
    sta_config_destroy(&config);
    return code;
}

const struct cli_command cli_command_config = {
    .name = "config",
    .operands = "[get | set NAME VALUE ...]",
    .summary = "print the configuration in force here, and where each value comes from",
    .text = "Environment, then file, then defaults: what the library would use if it were started\n"
            "here and now. A value that is not valid is an error, exit code 2. With get those of\n"
            "a stratad that runs; with set some of them change, all that are named or none.",
    .most = 129,
    .options = config_options,
    .run = run_config,
};
