/* SPDX-License-Identifier: MIT
 *
 * stratad's option table beside the library's: how both are told of, and which of the library's do
 * nothing in a sidecar.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "core/buffer.h"
#include "daemon/stratad_options.h"
#include "strata/status.h"

static char *rendered(int (*render)(struct sta_buffer *out), struct sta_buffer *out)
{
    sta_buffer_init(out, 1 << 20);
    assert_int_equal(render(out), STRATA_OK);
    assert_int_equal(sta_buffer_append(out, strata_bytes("", 1)), STRATA_OK);
    return (char *)(uintptr_t)sta_buffer_bytes(out).data;
}

static void every_heading_is_there_once(void **state)
{
    (void)state;
    struct sta_buffer out;
    const char *text = rendered(sta_stratad_options_markdown, &out);
    size_t headings = 0;
    for (const char *at = text; (at = strstr(at, "### ")) != NULL; headings++) {
        char heading[64] = {0};
        memcpy(heading, at, strcspn(at, "\n") + 1);
        at += 4;
        if (strstr(at, heading) != NULL)
            fail_msg("twice: %s", heading);
    }
    assert_true(headings >= 3);
    sta_buffer_fini(&out);
}

static struct sta_config *loaded(struct sta_stratad_options *options)
{
    static char *argv[] = {"stratad", NULL}, *environment[] = {NULL};
    struct sta_config *config = NULL;
    struct strata_error error = {0};
    assert_int_equal(sta_stratad_options_load(options, &config, 1, argv, environment, NULL, &error),
                     STRATA_OK);
    return config;
}

/* Those that the daemon looks at when they change, and the levels of the log: sta_stratad_apply().
 * A new one of the library's is live here only when it is named here. */
static void live_is_what_stratad_looks_at(void **state)
{
    static const char *const live[] = {
        "clients_max",    "drain_timeout",   "pipeline_limit",      "log_level_daemon",
        "l1_ttl",         "l1_max_size",     "l1_max_bytes",        "l1_cleanup_interval",
        "socket_timeout", "serve_stale",     "metrics_detailed",    "log_level",
        "log_level_l2",   "log_level_cache", "own_connections_max", "l1_quotas",
        "repair_rate"};
    (void)state;
    struct sta_stratad_options options;
    struct sta_config *config = loaded(&options);
    json_t *listed = sta_config_json(config), *option;
    const char *name;
    size_t count = 0;
    json_object_foreach(listed, name, option)
    {
        bool named = false;
        for (size_t i = 0; i < sizeof live / sizeof live[0]; i++)
            named = named || strcmp(live[i], name) == 0;
        if (named != json_is_true(json_object_get(option, "live")))
            fail_msg("%s: %s", name, named ? "not live" : "live");
        count += named;
    }
    assert_int_equal(count, sizeof live / sizeof live[0]);
    const json_t *l2_ttl = json_object_get(listed, "l2_ttl");
    assert_string_equal(json_string_value(json_object_get(l2_ttl, "fixed_because")),
                        "has no effect in stratad: it is the library's");
    json_decref(listed);
    sta_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_heading_is_there_once),
        cmocka_unit_test(live_is_what_stratad_looks_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
