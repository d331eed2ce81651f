/* SPDX-License-Identifier: MIT
 *
 * Loading for tests; see loading.h.
 */
#include "unit/config/loading.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct sta_option own_table[] = {
    {
        .name = "workers",
        .env = "STRATA_WORKERS",
        .flag = "--workers",
        .type = STA_OPTION_COUNT,
        STA_OPTION_AT(loading_own, workers),
        .least = 1,
        .most = 64,
        .unit = "threads",
        .default_text = "4",
        .group = "Own",
        .help = "Threads.",
    },
    {
        .name = "eager",
        .flag = "--eager",
        .type = STA_OPTION_SWITCH,
        STA_OPTION_AT(loading_own, eager),
        .default_text = "no",
        .group = "Own",
        .help = "Not from the environment.",
    },
    {
        .name = "listen",
        .env = "STRATA_LISTEN",
        .flag = "--listen",
        .type = STA_OPTION_ENDPOINTS,
        STA_OPTION_LIST_AT(loading_own, listen, listen_count),
        .most = 4,
        .default_text = "127.0.0.1:6380",
        .group = "Own",
        .help = "Where clients connect.",
    },
    {
        .name = "name",
        .env = "STRATA_NAME",
        .type = STA_OPTION_STRING,
        STA_OPTION_AT(loading_own, name),
        .least = 1,
        .most = 16,
        .group = "Own",
        .help = "Without a flag and a default. A|B.",
    },
    {
        .name = "password",
        .env = "STRATA_PASSWORD",
        .flag = "--password",
        .type = STA_OPTION_STRING,
        STA_OPTION_AT(loading_own, password),
        .least = 1,
        .most = 8,
        .secret = true,
        .group = "Own",
        .help = "Not to be shown.",
    },
    {
        .name = "colour",
        .env = "STRATA_COLOUR",
        .flag = "--colour",
        .type = STA_OPTION_CHOICE,
        STA_OPTION_AT(loading_own, colour),
        .choices = colours,
        .default_text = "green",
        .group = "Looks",
        .help = "A colour.",
    },
};

static const struct sta_option_default own_defaults[] = {{"l1_max_size", "unlimited"},
                                                         {"key_prefix", ""}};

void loading_sets(struct loading *loading, struct sta_option_set sets[LOADING_SET_COUNT])
{
    sets[0] = (struct sta_option_set){.section = "stratad",
                                      .options = own_table,
                                      .count = sizeof own_table / sizeof own_table[0],
                                      .target = &loading->own};
    sets[1] = (struct sta_option_set){.options = sta_option_table,
                                      .count = STA_OPTION_TABLE_COUNT,
                                      .defaults = own_defaults,
                                      .default_count = 2,
                                      .target = &loading->library};
}

static void take_warning(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    char *warnings = arg;
    size_t len = strlen(warnings);
    assert_int_equal(level, STRATA_LOG_WARNING);
    assert_string_equal(room, "config");
    (void)snprintf(warnings + len, sizeof((struct loading *)0)->warnings - len, "%s\n", line);
}

static void write_file(struct loading *loading)
{
    strcpy(loading->path, "/tmp/strata-test-XXXXXX");
    int fd = mkstemp(loading->path);
    assert_true(fd >= 0);
    size_t len = strlen(loading->file);
    assert_int_equal(write(fd, loading->file, len), len);
    assert_int_equal(close(fd), 0);
}

void loading_run(struct loading *loading)
{
    struct sta_option_set sets[LOADING_SET_COUNT];
    struct sta_log log;
    char *argv[34] = {"program"};
    int argc = 1;
    if (loading->file != NULL) {
        write_file(loading);
        argv[argc++] = "--config";
        argv[argc++] = loading->path;
    }
    for (size_t i = 0; loading->argv[i] != NULL; i++)
        argv[argc++] = loading->argv[i];
    sta_log_init(&log, take_warning, loading->warnings, STRATA_LOG_INFO);
    loading_sets(loading, sets);
    struct sta_config_input input = {
        .program = "program",
        .sets = sets,
        .set_count = LOADING_SET_COUNT,
        .environment = loading->environment,
        .argc = argc,
        .argv = argv,
        .operands = loading->operands,
        .log = &log,
    };
    loading->status = sta_config_load(&loading->config, &input, &loading->error);
}

void loading_end(struct loading *loading)
{
    sta_config_destroy(&loading->config);
    if (loading->path[0] != '\0')
        (void)unlink(loading->path);
}

void loading_must(struct loading *loading)
{
    loading_run(loading);
    if (loading->status != STRATA_OK)
        fail_msg("refused: %s", loading->error.text);
}

/* `text` with the path in place of $. */
static void expand(const struct loading *loading, const char *text, char *out, size_t cap)
{
    size_t before = strcspn(text, "$");
    bool has = text[before] == '$';
    (void)snprintf(out, cap, "%.*s%s%s", (int)before, text, has ? loading->path : "",
                   has ? text + before + 1 : "");
}

void loading_must_not(struct loading *loading, int status, const char *text)
{
    char expected[sizeof loading->error.text];
    struct strata_options library;
    struct loading_own own;
    memset(&loading->library, 0xa5, sizeof library);
    memset(&loading->own, 0xa5, sizeof own);
    library = loading->library;
    own = loading->own;
    loading_run(loading);
    expand(loading, text, expected, sizeof expected);
    assert_string_equal(loading->error.text, expected);
    assert_int_equal(loading->status, status);
    assert_int_equal(loading->error.status, status);
    assert_null(loading->config);
    assert_memory_equal(&loading->library, &library, sizeof library);
    assert_memory_equal(&loading->own, &own, sizeof own);
    loading_end(loading);
}
