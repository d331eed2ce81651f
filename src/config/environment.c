/* SPDX-License-Identifier: MIT
 *
 * Reading of the environment; see environment.h.
 */
#include "config/environment.h"

#include <string.h>

#include "config/quote.h"
#include "core/spelling.h"

#define CONFIG_FILE "STRATA_CONFIG_FILE"

const char *const sta_environment_programs[] = {
    "STRATA_LISTEN",        "STRATA_ADMIN_LISTEN",
    "STRATA_ADMIN_TOKEN",   "STRATA_ADMIN_HOSTS",
    "STRATA_HOT_FILE",      "STRATA_WARM_TIMEOUT",
    "STRATA_WARM_RATE",     "STRATA_WORKERS",
    "STRATA_CLIENTS_MAX",   "STRATA_OWN_CONNECTIONS_MAX",
    "STRATA_USER",          "STRATA_PASSWORD",
    "STRATA_DRAIN_TIMEOUT", "STRATA_QUERY_LIMIT",
    "STRATA_OUTPUT_LIMIT",  "STRATA_PIPELINE_LIMIT",
    "STRATA_URL",           "STRATA_LOG_LEVEL_DAEMON",
    "STRATA_LOG_FORMAT",    NULL,
};

static bool begins(const char *text, size_t len, const char *prefix)
{
    size_t prefix_len = strlen(prefix);
    return len >= prefix_len && memcmp(text, prefix, prefix_len) == 0;
}

static bool ends(const char *text, size_t len, const char *suffix)
{
    size_t suffix_len = strlen(suffix);
    return len >= suffix_len && memcmp(text + len - suffix_len, suffix, suffix_len) == 0;
}

/* Kubernetes and Docker links set variables for every service near a container: for one called
 * "redis" they are REDIS_SERVICE_HOST, REDIS_SERVICE_PORT[_*], REDIS_PORT, REDIS_PORT_6379_TCP
 * and the like. Nobody wrote those, so nobody is to be warned. */
static bool is_injected(const char *name, size_t len)
{
    if (ends(name, len, "_SERVICE_HOST") || ends(name, len, "_PORT"))
        return true;
    if (memmem(name, len, "_SERVICE_PORT", strlen("_SERVICE_PORT")) != NULL)
        return true;
    const char *port = memmem(name, len, "_PORT_", strlen("_PORT_"));
    if (port == NULL)
        return false;
    const char *digit = port + strlen("_PORT_");
    return digit < name + len && *digit >= '0' && *digit <= '9';
}

static bool is_of_a_program(const char *name, size_t len)
{
    for (const char *const *known = sta_environment_programs; *known != NULL; known++) {
        if (strlen(*known) == len && memcmp(*known, name, len) == 0)
            return true;
    }
    return false;
}

static bool looks_like_ours(const char *name, size_t len)
{
    bool prefix =
        begins(name, len, "CACHE_") || begins(name, len, "REDIS_") || begins(name, len, "STRATA_");
    return prefix && !is_injected(name, len) && !is_of_a_program(name, len);
}

static void warn_unknown(const struct sta_config *config, const struct sta_config_input *input,
                         const char *name, size_t len)
{
    char quoted[STA_SPELLING_MAX + 1];
    if (!sta_log_enabled(input->log, STA_ROOM_CONFIG, STRATA_LOG_WARNING))
        return;
    sta_quote_text(name, len, quoted, sizeof quoted);
    struct sta_spelling spelling = {.wanted = quoted};
    for (size_t i = 0; i < config->count; i++) {
        if (config->settings[i].option->env != NULL)
            sta_spelling_offer(&spelling, config->settings[i].option->env);
    }
    sta_spelling_offer(&spelling, CONFIG_FILE);
    if (spelling.nearest == NULL)
        sta_log_write(input->log, STRATA_LOG_WARNING, STA_ROOM_CONFIG,
                      "the variable %s is not an option of %s", quoted, input->program);
    else
        sta_log_write(input->log, STRATA_LOG_WARNING, STA_ROOM_CONFIG,
                      "the variable %s is not an option of %s; did you mean %s?", quoted,
                      input->program, spelling.nearest);
}

static int read_variable(struct sta_config *config, const struct sta_config_input *input,
                         const char *name, size_t len, const char *value,
                         struct strata_error *error)
{
    struct sta_setting *setting = sta_setting_by_env(config, name, len);
    if (setting != NULL)
        return sta_setting_offer(setting, STA_SOURCE_ENVIRONMENT, value, error);
    if (len == strlen(CONFIG_FILE) && memcmp(name, CONFIG_FILE, len) == 0) {
        if (*value == '\0')
            return STRATA_OK;
        return sta_setting_offer_file(config, STA_SOURCE_ENVIRONMENT, value, error);
    }
    if (looks_like_ours(name, len))
        warn_unknown(config, input, name, len);
    return STRATA_OK;
}

int sta_environment_read(struct sta_config *config, const struct sta_config_input *input,
                         struct strata_error *error)
{
    if (input->environment == NULL)
        return STRATA_OK;
    for (char *const *entry = input->environment; *entry != NULL; entry++) {
        size_t len = strcspn(*entry, "=");
        if ((*entry)[len] != '=')
            continue;
        int status = read_variable(config, input, *entry, len, *entry + len + 1, error);
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}
