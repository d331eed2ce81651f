/* SPDX-License-Identifier: MIT
 *
 * See admin_config.h.
 */
#include "daemon/admin_config.h"

#include <jansson.h>
#include <stdlib.h>

#include "core/error.h"
#include "daemon/adjust.h"

#define SETTINGS_MOST 64u
#define FLAGS         (JSON_COMPACT | JSON_REAL_PRECISION(15))

struct change {
    struct strata_setting settings[SETTINGS_MOST];
    char *texts[SETTINGS_MOST]; /* owned: values that were no strings */
    size_t count;
};

static unsigned answer(unsigned status, json_t *document, char **text)
{
    *text = document != NULL ? json_dumps(document, FLAGS) : NULL;
    json_decref(document);
    return *text != NULL ? status : 500;
}

static unsigned answer_error(unsigned status, const char *error, char **text)
{
    return answer(status, json_pack("{s:s}", "error", error), text);
}

/* A value as it stands in a file. What is none there (null, a list) no option takes. */
static int add(struct change *change, const char *name, json_t *value, struct strata_error *error)
{
    char **text = &change->texts[change->count];
    if (change->count == SETTINGS_MOST)
        return sta_error_set(error, STRATA_ERR_INVALID, "more than %u options", SETTINGS_MOST);
    if (!json_is_string(value) && (*text = json_dumps(value, FLAGS | JSON_ENCODE_ANY)) == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    change->settings[change->count++] =
        (struct strata_setting){name, *text != NULL ? *text : json_string_value(value)};
    return STRATA_OK;
}

/* What there is of it in JSON; NULL with the reason in `error`. */
static json_t *parse_body(struct strata_bytes body, struct strata_error *error)
{
    json_error_t why;
    json_t *document =
        json_loadb(body.len > 0 ? body.data : "", body.len, JSON_REJECT_DUPLICATES, &why);
    if (document != NULL)
        return document;
    if (json_error_code(&why) == json_error_out_of_memory)
        (void)sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    else
        (void)sta_error_set(error, STRATA_ERR_INVALID, "not JSON: line %d, column %d: %s", why.line,
                            why.column, why.text);
    return NULL;
}

static int read_body(struct change *change, json_t *document, struct strata_error *error)
{
    const char *name;
    json_t *value;
    int status = STRATA_OK;
    if (document == NULL)
        return error->status;
    if (!json_is_object(document))
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "not a JSON object of options and values: {\"l1_ttl\": 60}");
    json_object_foreach(document, name, value)
    {
        status = add(change, name, value, error);
        if (status < 0)
            break;
    }
    return status;
}

unsigned sta_admin_config_show(struct sta_adjust *adjust, char **text)
{
    if (adjust == NULL)
        return answer_error(404, "the options do not change here", text);
    json_t *options = sta_adjust_config(adjust);
    return answer(200, options != NULL ? json_pack("{s:o}", "options", options) : NULL, text);
}

unsigned sta_admin_config_change(struct sta_adjust *adjust, struct strata_bytes body, char **text)
{
    if (adjust == NULL)
        return answer_error(404, "the options do not change here", text);
    struct change change = {.count = 0};
    struct strata_error error = {0};
    json_t *changed = NULL;
    json_t *document = parse_body(body, &error);
    int status = read_body(&change, document, &error);
    if (status == STRATA_OK)
        status = sta_adjust_set(adjust, change.settings, change.count, &changed, &error);
    for (size_t i = 0; i < change.count; i++)
        free(change.texts[i]);
    json_decref(document);
    if (status == STRATA_OK)
        return answer(200, json_pack("{s:o}", "changed", changed), text);
    return answer_error(status == STRATA_ERR_NOMEM ? 500 : 400, error.text, text);
}
