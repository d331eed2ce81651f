/* SPDX-License-Identifier: MIT
 *
 * See live.h.
 */
#include "config/live.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_value.h"
#include "config/quote.h"
#include "config/setting.h"
#include "core/error.h"
#include "core/spelling.h"

static int refuse_name(const struct sta_config *config, const char *name,
                       struct strata_error *error)
{
    char quoted[STA_QUOTE_CAP];
    struct sta_spelling spelling = {.wanted = name};
    sta_quote_text(name, strlen(name), quoted, sizeof quoted);
    for (size_t i = 0; i < config->count; i++)
        sta_spelling_offer(&spelling, config->settings[i].option->name);
    if (spelling.nearest == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID, "%s: not an option", quoted);
    return sta_error_set(error, STRATA_ERR_INVALID, "%s: not an option; did you mean %s?", quoted,
                         spelling.nearest);
}

static int offer(struct sta_config *config, const struct strata_setting *given,
                 struct strata_error *error)
{
    if (given->name == NULL || given->value == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID, "a setting without a name or a value");
    for (size_t i = 0; i < config->count; i++) {
        struct sta_setting *setting = &config->settings[i];
        const struct sta_option *option = setting->option;
        if (strcmp(option->name, given->name) != 0)
            continue;
        if (setting->unused != NULL)
            return sta_error_set(error, STRATA_ERR_UNSUPPORTED, "%s: %s", option->name,
                                 setting->unused);
        if (setting->fixed != NULL)
            return sta_error_set(error, STRATA_ERR_UNSUPPORTED,
                                 "%s: does not change while running: %s", option->name,
                                 setting->fixed);
        return sta_setting_offer(setting, STA_SOURCE_CHANGE, given->value, error);
    }
    return refuse_name(config, given->name, error);
}

int sta_live_offer(struct sta_config *config, const struct strata_setting *settings, size_t count,
                   struct strata_error *error)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < count && status == STRATA_OK; i++)
        status = offer(config, &settings[i], error);
    return status;
}

int sta_live_read(struct sta_config **read, const struct sta_option_set *sets, size_t set_count,
                  const struct strata_setting *settings, size_t count, struct strata_error *error)
{
    struct sta_config *config = sta_setting_create(sets, set_count);
    if (config == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    int status = sta_live_offer(config, settings, count, error);
    if (status < 0) {
        sta_config_destroy(&config);
        return status;
    }
    sta_live_store(config, sets, set_count);
    *read = config;
    return STRATA_OK;
}

bool sta_live_names(const struct strata_setting *settings, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return true;
    }
    return false;
}

int sta_live_refuse_quotas(struct strata_error *error)
{
    return sta_error_set(error, STRATA_ERR_CONFIG,
                         "l1_quotas: other prefixes than at the start, by which L1 is divided; "
                         "allowed while running: other bounds for the same");
}

/* ---- of a program that has its config ---- */

struct sta_config *sta_live_copy(const struct sta_config *config)
{
    size_t size = sizeof *config + config->count * sizeof config->settings[0];
    struct sta_config *copy = malloc(size);
    if (copy == NULL)
        return NULL;
    memcpy(copy, config, size);
    copy->file = NULL; /* borrowed, as is whatever has memory, until another is offered */
    for (size_t i = 0; i < copy->count; i++)
        copy->settings[i].value.memory = NULL;
    return copy;
}

static bool is_same_list(const struct sta_option_value *a, const struct sta_option_value *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->list[i], b->list[i]) == 0;
    return same;
}

static bool is_same(const struct sta_setting *a, const struct sta_setting *b)
{
    if (a->value.text != NULL || b->value.text != NULL)
        return a->value.text != NULL && b->value.text != NULL &&
               strcmp(a->value.text, b->value.text) == 0;
    return a->value.number == b->value.number && is_same_list(&a->value, &b->value);
}

/* Values of what is fixed are not told: a password that differs is shown as one that does not. */
static json_t *difference(const struct sta_config *config, const struct sta_setting *before,
                          const struct sta_setting *after)
{
    const struct sta_option *option = after->option;
    json_t *origin = sta_setting_origin_json(config, after);
    if (after->fixed != NULL)
        return json_pack("{s:s, s:b, s:s, s:o}", "name", option->name, "live", 0, "fixed_because",
                         after->fixed, "origin", origin);
    return json_pack("{s:s, s:b, s:o, s:o, s:o}", "name", option->name, "live", 1, "before",
                     sta_setting_json(before), "after", sta_setting_json(after), "origin", origin);
}

struct json_t *sta_live_differences(const struct sta_config *before, const struct sta_config *after)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < before->count; i++) {
        const struct sta_setting *was = &before->settings[i], *is = &after->settings[i];
        if (is->unused == NULL && !is_same(was, is) &&
            json_array_append_new(list, difference(after, was, is)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static const struct sta_option_set *set_of(const struct sta_option *option,
                                           const struct sta_option_set *sets, size_t set_count)
{
    for (size_t s = 0; s < set_count; s++) {
        if (option >= sets[s].options && option < sets[s].options + sets[s].count)
            return &sets[s];
    }
    return NULL;
}

void sta_live_store(const struct sta_config *config, const struct sta_option_set *sets,
                    size_t set_count)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct sta_setting *setting = &config->settings[i];
        const struct sta_option_set *set = set_of(setting->option, sets, set_count);
        if (setting->fixed == NULL && setting->source != STA_SOURCE_UNSET && set != NULL)
            sta_option_value_store(setting->option, &setting->value, set->target);
    }
}

/* Where `from` is a copy of `to` in which nothing else was offered, it has the same list. */
static void adopt_list(struct sta_option_value *to, struct sta_option_value *from)
{
    if (from->memory == NULL && from->list == to->list)
        return;
    sta_option_value_fini(to);
    *to = *from;
    from->memory = NULL;
}

void sta_live_adopt(struct sta_config *config, struct sta_config *from)
{
    for (size_t i = 0; i < config->count; i++) {
        struct sta_setting *setting = &config->settings[i];
        if (setting->fixed != NULL)
            continue;
        setting->value.number = from->settings[i].value.number;
        if (sta_option_value_is_list(setting->option))
            adopt_list(&setting->value, &from->settings[i].value);
        setting->source = from->settings[i].source;
        setting->line = from->settings[i].line;
    }
}

int sta_live_check(const struct strata_options *options, uint64_t opened_l1_max_bytes,
                   struct strata_error *error)
{
    uint64_t most = STA_LIVE_L1_GROWTH * opened_l1_max_bytes;
    if (options->l1_max_bytes <= most)
        return STRATA_OK;
    return sta_error_set(error, STRATA_ERR_CONFIG,
                         "l1_max_bytes=%" PRIu64 ": L1 was made for %" PRIu64
                         "; allowed while running: up to %u times that, %" PRIu64,
                         options->l1_max_bytes, opened_l1_max_bytes, STA_LIVE_L1_GROWTH, most);
}

void sta_live_log(struct sta_log *log, const struct strata_options *options)
{
    sta_log_set_level(log, options->log_level);
    if (options->log_level_cache != STRATA_LOG_DEFAULT)
        sta_log_set_room(log, STA_ROOM_CACHE, options->log_level_cache);
    if (options->log_level_l2 != STRATA_LOG_DEFAULT)
        sta_log_set_room(log, STA_ROOM_L2, options->log_level_l2);
}
