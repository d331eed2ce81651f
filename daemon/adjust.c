/* SPDX-License-Identifier: MIT
 *
 * See adjust.h.
 */
#include "daemon/adjust.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "config/live.h"
#include "core/error.h"
#include "daemon/stratad.h"

struct sta_adjust {
    struct sta_stratad *stratad;
    pthread_mutex_t lock;
    struct sta_config *config; /* as loaded, and what has changed since; the options' */
    uint64_t url_timeout_ms;   /* goes before socket_timeout; 0: none, or it was changed by name */
};

/* ---- the log ---- */

/* As it is written: a word is not in quotes. To be freed; NULL: out of memory. */
static char *value_text(const json_t *value)
{
    const char *word = json_string_value(value);
    return word != NULL
               ? strdup(word)
               : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
}

static void tell_value(struct sta_log *log, const char *by, const json_t *difference)
{
    char *before = value_text(json_object_get(difference, "before"));
    char *after = value_text(json_object_get(difference, "after"));
    sta_log_write(log, STRATA_LOG_INFO, STA_ROOM_DAEMON, "%s: %s: %s -> %s (%s)", by,
                  json_string_value(json_object_get(difference, "name")),
                  before != NULL ? before : "?", after != NULL ? after : "?",
                  json_string_value(json_object_get(difference, "origin")));
    free(before);
    free(after);
}

static void tell_fixed(struct sta_log *log, const char *by, const json_t *difference)
{
    sta_log_write(log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                  "%s: %s: another one is given (%s), but it does not change while running: %s; "
                  "start stratad anew for it",
                  by, json_string_value(json_object_get(difference, "name")),
                  json_string_value(json_object_get(difference, "origin")),
                  json_string_value(json_object_get(difference, "fixed_because")));
}

static void tell(struct sta_log *log, const char *by, const json_t *differences)
{
    size_t i;
    json_t *difference;
    json_array_foreach(differences, i, difference)
    {
        if (json_is_true(json_object_get(difference, "live")))
            tell_value(log, by, difference);
        else
            tell_fixed(log, by, difference);
    }
    if (json_array_size(differences) == 0)
        sta_log_write(log, STRATA_LOG_INFO, STA_ROOM_DAEMON, "%s: no option has changed", by);
}

/* ---- changing ---- */

struct outcome {
    json_t *differences;
    uint64_t clients_max; /* that are wanted */
};

/* Of `fresh` what is live goes into force. STRATA_OK with what came of it; STRATA_ERR_CONFIG,
 * STRATA_ERR_NOMEM: nothing has changed. */
static int adopt_locked(struct sta_adjust *adjust, struct sta_config *fresh,
                        uint64_t url_timeout_ms, struct outcome *out, struct strata_error *error)
{
    struct sta_stratad *stratad = adjust->stratad;
    struct sta_stratad_options options = stratad->options;
    sta_stratad_options_live(&options, fresh);
    if (url_timeout_ms > 0)
        options.cache.socket_timeout_ms = url_timeout_ms;
    int status = sta_live_check(&options.cache, stratad->options.cache.l1_max_bytes, error);
    if (status < 0)
        return status;
    json_t *found = sta_live_differences(adjust->config, fresh);
    if (found == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    status = sta_stratad_set_quotas(stratad, &options.cache, error);
    if (status < 0) {
        json_decref(found);
        return status;
    }
    adjust->url_timeout_ms = url_timeout_ms;
    sta_live_adopt(adjust->config, fresh);
    sta_stratad_apply(stratad, &options);
    *out = (struct outcome){found, options.clients_max};
    return STRATA_OK;
}

void sta_adjust_reload(struct sta_adjust *adjust)
{
    struct sta_stratad *stratad = adjust->stratad;
    const struct sta_stratad_given *given = &stratad->options.given;
    struct sta_stratad_options options;
    struct sta_config *fresh = NULL;
    struct strata_error error = {0};
    struct outcome outcome = {0};
    int status = sta_stratad_options_load(&options, &fresh, given->argc, given->argv,
                                          given->environment, stratad->log, &error);
    if (status == STRATA_OK) {
        pthread_mutex_lock(&adjust->lock);
        status = adopt_locked(adjust, fresh, stratad->url.timeout_ms, &outcome, &error);
        pthread_mutex_unlock(&adjust->lock);
    }
    if (status == STRATA_OK) {
        tell(stratad->log, "SIGHUP", outcome.differences);
        sta_stratad_tell_room(stratad, outcome.clients_max);
    } else {
        sta_log_write(stratad->log, STRATA_LOG_ERROR, STA_ROOM_DAEMON,
                      "SIGHUP: nothing was changed: %s", error.text);
    }
    json_decref(outcome.differences);
    if (fresh != NULL)
        sta_config_destroy(&fresh);
}

int sta_adjust_set(struct sta_adjust *adjust, const struct strata_setting *settings, size_t count,
                   struct json_t **changed, struct strata_error *error)
{
    struct outcome outcome = {0};
    int status = sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    pthread_mutex_lock(&adjust->lock);
    struct sta_config *fresh = sta_live_copy(adjust->config);
    if (fresh != NULL)
        status = sta_live_offer(fresh, settings, count, error);
    if (status == STRATA_OK)
        status = adopt_locked(
            adjust, fresh,
            sta_live_names(settings, count, "socket_timeout") ? 0 : adjust->url_timeout_ms,
            &outcome, error);
    pthread_mutex_unlock(&adjust->lock);
    if (fresh != NULL)
        sta_config_destroy(&fresh);
    if (status < 0)
        return status;
    tell(adjust->stratad->log, "administration", outcome.differences);
    sta_stratad_tell_room(adjust->stratad, outcome.clients_max);
    *changed = outcome.differences;
    return STRATA_OK;
}

struct json_t *sta_adjust_config(struct sta_adjust *adjust)
{
    pthread_mutex_lock(&adjust->lock);
    json_t *document = sta_config_json(adjust->config);
    pthread_mutex_unlock(&adjust->lock);
    return document;
}

/* ---- life ---- */

int sta_adjust_create(struct sta_adjust **out, struct sta_stratad *stratad)
{
    struct sta_adjust *adjust = calloc(1, sizeof *adjust);
    if (adjust == NULL)
        return STRATA_ERR_NOMEM;
    adjust->stratad = stratad;
    adjust->config = stratad->options.given.config;
    adjust->url_timeout_ms = stratad->url.timeout_ms;
    pthread_mutex_init(&adjust->lock, NULL);
    *out = adjust;
    return STRATA_OK;
}

void sta_adjust_destroy(struct sta_adjust **pointer)
{
    struct sta_adjust *adjust = *pointer;
    if (adjust == NULL)
        return;
    *pointer = NULL;
    pthread_mutex_destroy(&adjust->lock);
    free(adjust);
}
