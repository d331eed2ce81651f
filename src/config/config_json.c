/* SPDX-License-Identifier: MIT
 *
 * A loaded config as JSON: each option's value, unit, and where it came from.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/quote.h"
#include "config/setting.h"
#include "core/utf8.h"
#include "l2/redis_url.h"
#include "strata/options.h"

/* Texts may be any bytes. */
static json_t *text_json(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return NULL;
    sta_utf8_mend(copy);
    json_t *json = json_string(copy);
    free(copy);
    return json;
}

static json_t *url_json(const char *url)
{
    char masked[2048];
    sta_redis_url_mask(url, masked, sizeof masked);
    return text_json(masked);
}

static json_t *number_json(const struct sta_option *option, uint64_t number)
{
    if (number == STRATA_UNLIMITED && option->unlimited)
        return json_string("unlimited");
    if (option->type == STA_OPTION_SECONDS && number % 1000 != 0)
        return json_real((double)number / 1000);
    if (option->type == STA_OPTION_SECONDS)
        return json_integer((json_int_t)(number / 1000));
    return json_integer((json_int_t)number);
}

static json_t *list_json(const struct sta_option_value *value)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < value->count; i++) {
        if (json_array_append_new(list, text_json(value->list[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

struct json_t *sta_setting_json(const struct sta_setting *setting)
{
    const struct sta_option *option = setting->option;
    const struct sta_option_value *value = &setting->value;
    if (setting->source == STA_SOURCE_UNSET)
        return json_null();
    switch (option->type) {
    case STA_OPTION_SWITCH:
        return json_boolean(value->number == STRATA_ON);
    case STA_OPTION_COUNT:
    case STA_OPTION_BYTES:
    case STA_OPTION_SECONDS:
        return number_json(option, value->number);
    case STA_OPTION_CHOICE:
        return json_string(option->choices[value->number]);
    case STA_OPTION_STRING:
        return option->secret ? json_string("***") : text_json(value->text);
    case STA_OPTION_URL:
        return url_json(value->text);
    case STA_OPTION_NODES:
    case STA_OPTION_ENDPOINTS:
    case STA_OPTION_QUOTAS:
    case STA_OPTION_LABELS:
        return list_json(value);
    }
    return NULL;
}

static const char *unit_of(const struct sta_option *option)
{
    switch (option->type) {
    case STA_OPTION_COUNT:
        return option->unit;
    case STA_OPTION_BYTES:
        return "bytes";
    case STA_OPTION_SECONDS:
        return "seconds";
    default:
        return NULL;
    }
}

/* The name of a file may be any bytes, too. */
static json_t *file_line_json(const char *file, unsigned line)
{
    json_t *name = text_json(file);
    json_t *json = name != NULL ? json_sprintf("%s:%u", json_string_value(name), line) : NULL;
    json_decref(name);
    return json;
}

struct json_t *sta_setting_origin_json(const struct sta_config *config,
                                       const struct sta_setting *setting)
{
    switch (setting->source) {
    case STA_SOURCE_FLAG:
        return json_sprintf("flag %s", setting->option->flag);
    case STA_SOURCE_ENVIRONMENT:
        return json_sprintf("environment %s", setting->option->env);
    case STA_SOURCE_FILE:
        return file_line_json(config->file, setting->line);
    case STA_SOURCE_CHANGE:
        return json_string("changed while running");
    default:
        return json_string("default");
    }
}

/* json_object_set_new() takes NULL as a failure, so what cannot be made fails here. */
static bool add_setting(json_t *root, const struct sta_config *config,
                        const struct sta_setting *setting)
{
    const char *unit = unit_of(setting->option);
    const char *fixed = setting->fixed;
    char allowed[STA_OPTION_ALLOWED_CAP];
    json_t *entry = json_object();
    if (json_object_set_new(root, setting->option->name, entry) < 0)
        return false;
    sta_option_value_allowed(setting->option, allowed, sizeof allowed);
    return json_object_set_new(entry, "value", sta_setting_json(setting)) == 0 &&
           json_object_set_new(entry, "allowed", json_string(allowed)) == 0 &&
           (unit == NULL || json_object_set_new(entry, "unit", json_string(unit)) == 0) &&
           json_object_set_new(entry, "origin", sta_setting_origin_json(config, setting)) == 0 &&
           json_object_set_new(entry, "live", json_boolean(fixed == NULL)) == 0 &&
           (fixed == NULL || json_object_set_new(entry, "fixed_because", json_string(fixed)) == 0);
}

/* As an option, which it is but for the table. */
static bool add_file(json_t *root, const struct sta_config *config)
{
    const char *origin = "default";
    json_t *entry = json_object();
    if (config->file_by == STA_SOURCE_FLAG)
        origin = "flag --config";
    else if (config->file_by == STA_SOURCE_ENVIRONMENT)
        origin = "environment STRATA_CONFIG_FILE";
    if (json_object_set_new(root, "config_file", entry) < 0)
        return false;
    return json_object_set_new(entry, "value",
                               config->file != NULL ? text_json(config->file) : json_null()) == 0 &&
           json_object_set_new(entry, "origin", json_string(origin)) == 0 &&
           json_object_set_new(entry, "live", json_false()) == 0 &&
           json_object_set_new(entry, "fixed_because",
                               json_string("it is named once, at the start")) == 0;
}

struct json_t *sta_config_json(const struct sta_config *config)
{
    json_t *root = json_object();
    bool made = root != NULL && add_file(root, config);
    for (size_t i = 0; made && i < config->count; i++)
        made = add_setting(root, config, &config->settings[i]);
    if (made)
        return root;
    json_decref(root);
    return NULL;
}
