/* SPDX-License-Identifier: MIT
 *
 * See live.h.
 */
#include "config/live.h"

#include <inttypes.h>
#include <string.h>

#include "config/option_value.h"
#include "config/quote.h"
#include "core/error.h"
#include "core/spelling.h"

static int refuse_name(const struct sta_option_set *sets, size_t set_count, const char *name,
                       struct strata_error *error)
{
    char quoted[STA_QUOTE_CAP];
    struct sta_spelling spelling = {.wanted = name};
    sta_quote_text(name, strlen(name), quoted, sizeof quoted);
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++)
            sta_spelling_offer(&spelling, sets[s].options[i].name);
    }
    if (spelling.nearest == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID, "%s: not an option", quoted);
    return sta_error_set(error, STRATA_ERR_INVALID, "%s: not an option; did you mean %s?", quoted,
                         spelling.nearest);
}

/* Live options have no memory of their own, so that a value need not be freed. */
static int read_value(const struct sta_option *option, const char *text, void *target,
                      struct strata_error *error)
{
    struct sta_option_value value = {0};
    struct strata_error why = {0};
    char quoted[STA_QUOTE_CAP];
    if (option->fixed != NULL)
        return sta_error_set(error, STRATA_ERR_UNSUPPORTED, "%s: does not change while running: %s",
                             option->name, option->fixed);
    int status = sta_option_value_parse(option, text, NULL, &value, &why);
    if (status < 0) {
        sta_quote_value(option, text, quoted, sizeof quoted);
        return sta_error_set(error, status, "%s=\"%s\": %s", option->name, quoted, why.text);
    }
    sta_option_value_store(option, &value, target);
    return STRATA_OK;
}

static int read_setting(const struct sta_option_set *sets, size_t set_count,
                        const struct strata_setting *setting, struct strata_error *error)
{
    if (setting->name == NULL || setting->value == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID, "a setting without a name or a value");
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            if (strcmp(sets[s].options[i].name, setting->name) == 0)
                return read_value(&sets[s].options[i], setting->value, sets[s].target, error);
        }
    }
    return refuse_name(sets, set_count, setting->name, error);
}

int sta_live_read(const struct sta_option_set *sets, size_t set_count,
                  const struct strata_setting *settings, size_t count, struct strata_error *error)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < count && status == STRATA_OK; i++)
        status = read_setting(sets, set_count, &settings[i], error);
    return status;
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
