/* SPDX-License-Identifier: MIT
 *
 * The library's options as a whole: from the environment, and from what a caller gave to what is
 * in force; see strata/options.h and config/options.h.
 */
#include "config/options.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "config/config.h"
#include "config/option_value.h"
#include "config/quote.h"
#include "core/error.h"
#include "l2/redis_url.h"

/* ---- from the environment ---- */

int strata_options_from_environment(struct strata_options *out, struct strata_error *error)
{
    struct strata_options found = {
        .log_sink = out->log_sink, .log_arg = out->log_arg, .tls_provider = out->tls_provider};
    struct sta_option_set set = {
        .options = sta_option_table, .count = STA_OPTION_TABLE_COUNT, .target = &found};
    struct sta_config *config = NULL;
    struct sta_log log;
    sta_log_init(&log, out->log_sink, out->log_arg, out->log_level);
    int status = sta_config_load(&config,
                                 &(struct sta_config_input){.program = "libstrata",
                                                            .sets = &set,
                                                            .set_count = 1,
                                                            .environment = environ,
                                                            .log = &log},
                                 error);
    if (status < 0)
        return status;
    found.owned = config;
    *out = found;
    return STRATA_OK;
}

void strata_options_fini(struct strata_options *options)
{
    struct sta_config *config = options->owned;
    sta_config_destroy(&config);
    *options = (struct strata_options){0};
}

/* ---- what is in force ---- */

/* The value as in "l1_ttl_ms=5". */
static void quote_field(const struct sta_option *option, const struct sta_option_value *value,
                        char *text, size_t cap)
{
    char quoted[STA_QUOTE_CAP];
    if (sta_option_value_is_list(option)) {
        (void)snprintf(text, cap, "%s", option->field);
    } else if (value->text != NULL) {
        sta_quote_value(option, value->text, quoted, sizeof quoted);
        (void)snprintf(text, cap, "%s=\"%s\"", option->field, quoted);
    } else {
        (void)snprintf(text, cap, "%s=%llu", option->field, (unsigned long long)value->number);
    }
}

/* Fills a field that is unset with its default, or checks it. Defaults of the library's table
 * are constants or numbers, so nothing is allocated; the one list is empty. */
static int resolve_field(const struct sta_option *option, struct strata_options *options,
                         struct strata_error *error)
{
    struct strata_error why = {0};
    char field[STA_QUOTE_CAP + 64];
    struct sta_option_value value = sta_option_value_load(option, options);
    if (!sta_option_value_is_unset(option, &value)) {
        if (sta_option_value_check(option, &value, &why) == STRATA_OK)
            return STRATA_OK;
        quote_field(option, &value, field, sizeof field);
        return sta_error_set(error, why.status, "%s: %s", field, why.text);
    }
    if (option->type == STA_OPTION_STRING || option->type == STA_OPTION_URL) {
        value.text = option->default_text;
    } else if (!sta_option_value_is_list(option)) {
        int status = sta_option_value_parse(option, option->default_text, NULL, &value, error);
        if (status < 0)
            return status;
    }
    sta_option_value_store(option, &value, options);
    return STRATA_OK;
}

/* A cluster has one database, and its nodes are named to us by host and port. */
static int check_cluster(const struct strata_options *options, const struct sta_redis_url *url,
                         struct strata_error *error)
{
    if (url->db != 0)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "redis_url names database %u; a cluster (cluster_enabled) has only 0",
                             url->db);
    if (options->cluster_node_count == 0 && url->endpoint.kind == STA_ENDPOINT_UNIX)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "a cluster (cluster_enabled) is reached by TCP: name nodes to begin "
                             "with (cluster_nodes, REDIS_CLUSTER_NODES)");
    return STRATA_OK;
}

/* What options say together. Fields are resolved and within their bounds. */
static int check_together(const struct strata_options *options, const struct sta_redis_url *url,
                          struct strata_error *error)
{
    if (options->write_through == STRATA_ON && options->write_behind == STRATA_ON)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "write_through and write_behind are both on; write_through is on by "
                             "default: for write-behind set CACHE_WRITE_THROUGH=false as well");
    if (options->write_behind_journal != NULL && options->write_behind != STRATA_ON)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "write_behind_journal is given and write_behind is off: nothing would "
                             "be written to it");
    if (options->write_behind == STRATA_ON && options->l2_enabled == STRATA_OFF)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "write_behind is on and l2_enabled is off: there is nothing to write "
                             "to");
    if (options->l2_enabled == STRATA_OFF)
        return STRATA_OK;
    return options->cluster_enabled == STRATA_ON ? check_cluster(options, url, error) : STRATA_OK;
}

int sta_options_resolve(const struct strata_options *in, struct strata_options *out,
                        struct strata_error *error)
{
    struct strata_options options = *in;
    struct sta_redis_url url = {0};
    options.owned = NULL;
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        int status = resolve_field(&sta_option_table[i], &options, error);
        if (status < 0)
            return status;
    }
    int status = sta_redis_url_parse(options.redis_url, &url, NULL);
    assert(status == STRATA_OK); /* the field was checked by the same function */
    status = check_together(&options, &url, error);
    if (status < 0)
        return status;
    if (url.timeout_ms > 0)
        options.socket_timeout_ms = url.timeout_ms;
    *out = options;
    return STRATA_OK;
}

void sta_options_keep(struct strata_options *out, const struct strata_options *options)
{
    *out = (struct strata_options){0};
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT; i++) {
        const struct sta_option *option = &sta_option_table[i];
        struct sta_option_value value = sta_option_value_load(option, options);
        if (value.text == NULL && !sta_option_value_is_list(option))
            sta_option_value_store(option, &value, out);
    }
}
