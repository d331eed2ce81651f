/* SPDX-License-Identifier: MIT
 *
 * Settings; see setting.h. Tables have some dozens of entries and are read once: lookups are
 * linear.
 */
#include "config/setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/quote.h"
#include "core/error.h"

static const char *default_text(const struct sta_option_set *set, const struct sta_option *option)
{
    for (size_t i = 0; i < set->default_count; i++) {
        if (strcmp(set->defaults[i].name, option->name) == 0)
            return set->defaults[i].text;
    }
    return option->default_text;
}

static const char *unused_because(const struct sta_option_set *set, const struct sta_option *option)
{
    for (const char *const *name = set->unused; name != NULL && *name != NULL; name++) {
        if (strcmp(*name, option->name) == 0)
            return set->unused_because;
    }
    return NULL;
}

struct sta_config *sta_setting_create(const struct sta_option_set *sets, size_t set_count)
{
    size_t count = 0;
    for (size_t s = 0; s < set_count; s++)
        count += sets[s].count;
    struct sta_config *config = calloc(1, sizeof *config + count * sizeof config->settings[0]);
    if (config == NULL)
        return NULL;
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            struct sta_setting *setting = &config->settings[config->count++];
            setting->option = &sets[s].options[i];
            setting->section = sets[s].section;
            setting->default_text = default_text(&sets[s], setting->option);
            setting->unused = unused_because(&sets[s], setting->option);
            setting->fixed = setting->unused != NULL ? setting->unused : setting->option->fixed;
            setting->target = sets[s].target;
        }
    }
    return config;
}

static const char *given_name(const struct sta_setting *setting, enum sta_source source)
{
    switch (source) {
    case STA_SOURCE_FLAG:
        return setting->option->flag;
    case STA_SOURCE_ENVIRONMENT:
        return setting->option->env;
    default:
        return setting->option->name;
    }
}

int sta_setting_offer(struct sta_setting *setting, enum sta_source source, const char *text,
                      struct strata_error *error)
{
    struct sta_option_value value = {0};
    struct strata_error why = {0};
    char quoted[STA_QUOTE_CAP];
    /* A list that is given again grows; but one that a running program is given is the new one. */
    bool again = source == setting->source && source != STA_SOURCE_CHANGE;
    int status =
        sta_option_value_parse(setting->option, text, again ? &setting->value : NULL, &value, &why);
    if (status < 0) {
        sta_quote_value(setting->option, text, quoted, sizeof quoted);
        return sta_error_set(error, status, "%s=\"%s\": %s", given_name(setting, source), quoted,
                             why.text);
    }
    if (source < setting->source) {
        sta_option_value_fini(&value);
        return STRATA_OK;
    }
    sta_option_value_fini(&setting->value);
    setting->value = value;
    setting->source = source;
    return STRATA_OK;
}

int sta_setting_offer_line(const struct sta_config *config, struct sta_setting *setting,
                           unsigned line, const char *text, struct strata_error *error)
{
    struct strata_error why = {0};
    if (setting->line > 0 && !sta_option_value_is_list(setting->option))
        return sta_error_set(error, STRATA_ERR_CONFIG, "%s:%u: %s: given before, in line %u",
                             config->file, line, setting->option->name, setting->line);
    setting->line = line;
    int status = sta_setting_offer(setting, STA_SOURCE_FILE, text, &why);
    if (status < 0)
        return sta_error_set(error, status, "%s:%u: %s", config->file, line, why.text);
    return STRATA_OK;
}

int sta_setting_offer_file(struct sta_config *config, enum sta_source source, const char *path,
                           struct strata_error *error)
{
    if (source < config->file_by)
        return STRATA_OK;
    char *copy = strdup(path);
    if (copy == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    free(config->file);
    config->file = copy;
    config->file_by = source;
    return STRATA_OK;
}

static bool same(const char *known, const char *text, size_t len)
{
    return known != NULL && strlen(known) == len && memcmp(known, text, len) == 0;
}

struct sta_setting *sta_setting_by_name(struct sta_config *config, const char *section,
                                        const char *name)
{
    for (size_t i = 0; i < config->count; i++) {
        const char *own = config->settings[i].section;
        bool here = section == NULL ? own == NULL : same(own, section, strlen(section));
        if (here && strcmp(config->settings[i].option->name, name) == 0)
            return &config->settings[i];
    }
    return NULL;
}

struct sta_setting *sta_setting_by_env(struct sta_config *config, const char *env, size_t len)
{
    for (size_t i = 0; i < config->count; i++) {
        if (same(config->settings[i].option->env, env, len))
            return &config->settings[i];
    }
    return NULL;
}

struct sta_setting *sta_setting_by_flag(struct sta_config *config, const char *flag, size_t len)
{
    for (size_t i = 0; i < config->count; i++) {
        if (same(config->settings[i].option->flag, flag, len))
            return &config->settings[i];
    }
    return NULL;
}
