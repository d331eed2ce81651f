/* SPDX-License-Identifier: MIT
 *
 * Values of options; see option_value.h. Everything that depends on the type of an option is in
 * this file: adding a type means to extend each of its switches.
 */
#include "config/option_value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/option_list.h"
#include "core/error.h"
#include "core/number.h"
#include "l2/redis_url.h"
#include "strata/options.h"

static_assert(sizeof(enum strata_switch) == sizeof(int), "switches are stored as int");
static_assert(sizeof(enum strata_log_level) == sizeof(int), "choices are stored as int");

static const struct {
    const char *suffix;
    unsigned shift;
} byte_units[] = {{"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"", 0}};

#define BYTE_UNIT_COUNT (sizeof byte_units / sizeof byte_units[0])

void sta_option_value_fini(struct sta_option_value *value)
{
    free(value->memory);
    *value = (struct sta_option_value){0};
}

bool sta_option_value_is_list(const struct sta_option *option)
{
    return option->type == STA_OPTION_NODES || option->type == STA_OPTION_ENDPOINTS ||
           option->type == STA_OPTION_QUOTAS || option->type == STA_OPTION_LABELS;
}

static bool is_text(const struct sta_option *option)
{
    return option->type == STA_OPTION_STRING || option->type == STA_OPTION_URL;
}

/* ---- what is allowed ---- */

static void format_bytes(uint64_t bytes, char *text, size_t cap)
{
    size_t unit = bytes == 0 ? BYTE_UNIT_COUNT - 1 : 0; /* the largest that divides it */
    while (bytes % (UINT64_C(1) << byte_units[unit].shift) != 0)
        unit++;
    (void)snprintf(text, cap, "%" PRIu64 "%s", bytes >> byte_units[unit].shift,
                   byte_units[unit].suffix);
}

/* 300000 -> "300", 250 -> "0.25" */
static void format_seconds(uint64_t ms, char *text, size_t cap)
{
    int len = snprintf(text, cap, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
    while (text[len - 1] == '0')
        text[--len] = '\0';
    if (text[len - 1] == '.')
        text[len - 1] = '\0';
}

static void allowed_choices(const struct sta_option *option, char *text, size_t cap)
{
    size_t len = 0;
    text[0] = '\0';
    for (const char *const *choice = option->choices; *choice != NULL && len < cap; choice++) {
        if (**choice == '\0')
            continue;
        len += (size_t)snprintf(text + len, cap - len, "%s%s", len > 0 ? ", " : "", *choice);
    }
}

void sta_option_value_allowed(const struct sta_option *option, char *text, size_t cap)
{
    char least[32];
    char most[32];
    const char *unlimited = option->unlimited ? ", or unlimited" : "";
    switch (option->type) {
    case STA_OPTION_SWITCH:
        (void)snprintf(text, cap, "true, false, yes, no, on, off, 1, 0");
        return;
    case STA_OPTION_COUNT:
        (void)snprintf(text, cap, "%" PRIu64 " to %" PRIu64 " %s%s", option->least, option->most,
                       option->unit, unlimited);
        return;
    case STA_OPTION_BYTES:
        format_bytes(option->least, least, sizeof least);
        format_bytes(option->most, most, sizeof most);
        (void)snprintf(text, cap, "%s to %s; bytes, or with KiB, MiB, GiB%s", least, most,
                       unlimited);
        return;
    case STA_OPTION_SECONDS:
        format_seconds(option->least, least, sizeof least);
        format_seconds(option->most, most, sizeof most);
        (void)snprintf(text, cap, "seconds, %s to %s, fractions allowed%s", least, most, unlimited);
        return;
    case STA_OPTION_CHOICE:
        allowed_choices(option, text, cap);
        return;
    case STA_OPTION_STRING:
        if (option->least == option->most)
            (void)snprintf(text, cap, "%" PRIu64 " byte%s", option->least,
                           option->least == 1 ? "" : "s");
        else
            (void)snprintf(text, cap, "%" PRIu64 " to %" PRIu64 " bytes", option->least,
                           option->most);
        return;
    case STA_OPTION_URL:
        (void)snprintf(text, cap, "a redis://, rediss:// or unix:// URL");
        return;
    case STA_OPTION_NODES:
        (void)snprintf(text, cap, "host:port and [v6]:port, as a JSON list or with commas");
        return;
    case STA_OPTION_ENDPOINTS:
        (void)snprintf(text, cap, "%s",
                       option->most == 1 ? "one of host:port, [v6]:port and unix:PATH"
                                         : "host:port, [v6]:port and unix:PATH, as a JSON list or "
                                           "with commas");
        return;
    case STA_OPTION_QUOTAS:
        (void)snprintf(text, cap,
                       "PREFIX=BYTES, PREFIX=BYTES/ENTRIES and PREFIX=/ENTRIES, as a JSON list or "
                       "with commas");
        return;
    case STA_OPTION_LABELS:
        (void)snprintf(text, cap,
                       "1 to %u letters, digits and _ . : / - each, as a JSON list or with commas",
                       STA_OPTION_LABEL_MOST);
        return;
    }
}

static int refuse(const struct sta_option *option, const char *reason, struct strata_error *error)
{
    char allowed[STA_OPTION_ALLOWED_CAP];
    sta_option_value_allowed(option, allowed, sizeof allowed);
    return sta_error_set(error, STRATA_ERR_CONFIG, "%s; allowed: %s", reason, allowed);
}

/* ---- bounds ---- */

static int check_number(const struct sta_option *option, uint64_t number,
                        struct strata_error *error)
{
    if (number == STRATA_UNLIMITED && option->unlimited)
        return STRATA_OK;
    if (number < option->least)
        return refuse(option, "too small", error);
    if (number > option->most)
        return refuse(option, "too large", error);
    return STRATA_OK;
}

static int check_choice(const struct sta_option *option, uint64_t number,
                        struct strata_error *error)
{
    uint64_t count = 0;
    while (option->choices[count] != NULL)
        count++;
    if (number >= count || option->choices[number][0] == '\0')
        return refuse(option, "not one of the values", error);
    return STRATA_OK;
}

static int check_string(const struct sta_option *option, const char *text,
                        struct strata_error *error)
{
    size_t len = strlen(text);
    if (len < option->least)
        return refuse(option, len == 0 ? "empty" : "too short", error);
    if (len > option->most)
        return refuse(option, "too long", error);
    return STRATA_OK;
}

static int check_url(const struct sta_option *option, const char *text, struct strata_error *error)
{
    struct sta_redis_url url;
    struct strata_error why;
    if (sta_redis_url_parse(text, &url, &why) < 0)
        return refuse(option, why.text, error);
    return STRATA_OK;
}

static int check_list(const struct sta_option *option, const struct sta_option_value *value,
                      struct strata_error *error)
{
    if (value->count > option->most)
        return sta_error_set(error, STRATA_ERR_CONFIG, "more than %" PRIu64 " members",
                             option->most);
    for (size_t i = 0; i < value->count; i++) {
        if (value->list == NULL || value->list[i] == NULL)
            return sta_error_set(error, STRATA_ERR_CONFIG, "a member is NULL");
        int status = sta_option_list_check(option, value->list[i], error);
        if (status < 0)
            return status;
    }
    return sta_option_list_check_together(option, value->list, value->count, error);
}

int sta_option_value_check(const struct sta_option *option, const struct sta_option_value *value,
                           struct strata_error *error)
{
    switch (option->type) {
    case STA_OPTION_SWITCH:
        if (value->number != STRATA_ON && value->number != STRATA_OFF)
            return refuse(option, "neither on nor off", error);
        return STRATA_OK;
    case STA_OPTION_COUNT:
    case STA_OPTION_BYTES:
    case STA_OPTION_SECONDS:
        return check_number(option, value->number, error);
    case STA_OPTION_CHOICE:
        return check_choice(option, value->number, error);
    case STA_OPTION_STRING:
        return check_string(option, value->text, error);
    case STA_OPTION_URL:
        return check_url(option, value->text, error);
    case STA_OPTION_NODES:
    case STA_OPTION_ENDPOINTS:
    case STA_OPTION_QUOTAS:
    case STA_OPTION_LABELS:
        return check_list(option, value, error);
    }
    return STRATA_OK;
}

/* ---- from text ---- */

static bool read_switch(const char *text, uint64_t *number)
{
    static const char *const on[] = {"true", "yes", "on", "1"};
    static const char *const off[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
        bool is_on = strcasecmp(text, on[i]) == 0;
        if (is_on || strcasecmp(text, off[i]) == 0) {
            *number = is_on ? STRATA_ON : STRATA_OFF;
            return true;
        }
    }
    return false;
}

static int parse_switch(const struct sta_option *option, const char *text, uint64_t *number,
                        struct strata_error *error)
{
    return read_switch(text, number) ? STRATA_OK : refuse(option, "neither true nor false", error);
}

static int parse_number(const struct sta_option *option, const char *text, uint64_t *number,
                        struct strata_error *error)
{
    uint64_t found = 0;
    int status;
    if (option->unlimited && strcasecmp(text, "unlimited") == 0) {
        *number = STRATA_UNLIMITED;
        return STRATA_OK;
    }
    if (option->type == STA_OPTION_SECONDS)
        status = sta_number_parse_seconds(strata_text(text), &found);
    else if (option->type == STA_OPTION_BYTES)
        status = sta_number_parse_bytes(strata_text(text), &found);
    else
        status = sta_number_parse(strata_text(text), option->most, &found);
    if (status == STRATA_ERR_TOO_BIG || found == STRATA_UNLIMITED)
        return refuse(option, "too large", error);
    if (status < 0)
        return refuse(option, "not a number", error);
    *number = found;
    return check_number(option, found, error);
}

/* A choice that has true and false is a switch with more: it knows all their words. */
static int parse_choice(const struct sta_option *option, const char *text, uint64_t *number,
                        struct strata_error *error)
{
    if (strcmp(option->choices[STRATA_ON], "true") == 0 && read_switch(text, number))
        return STRATA_OK;
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        if (option->choices[i][0] != '\0' && strcasecmp(text, option->choices[i]) == 0) {
            *number = i;
            return STRATA_OK;
        }
    }
    return refuse(option, "not one of the values", error);
}

static int parse_text(const struct sta_option *option, const char *text,
                      struct sta_option_value *value, struct strata_error *error)
{
    int status = sta_option_value_check(option, &(struct sta_option_value){.text = text}, error);
    if (status < 0)
        return status;
    char *copy = strdup(text);
    if (copy == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    value->text = copy;
    value->memory = copy;
    return STRATA_OK;
}

int sta_option_value_parse(const struct sta_option *option, const char *text,
                           const struct sta_option_value *before, struct sta_option_value *out,
                           struct strata_error *error)
{
    struct sta_option_value value = {0};
    int status = STRATA_OK;
    switch (option->type) {
    case STA_OPTION_SWITCH:
        status = parse_switch(option, text, &value.number, error);
        break;
    case STA_OPTION_COUNT:
    case STA_OPTION_BYTES:
    case STA_OPTION_SECONDS:
        status = parse_number(option, text, &value.number, error);
        break;
    case STA_OPTION_CHOICE:
        status = parse_choice(option, text, &value.number, error);
        break;
    case STA_OPTION_STRING:
    case STA_OPTION_URL:
        status = parse_text(option, text, &value, error);
        break;
    case STA_OPTION_NODES:
    case STA_OPTION_ENDPOINTS:
    case STA_OPTION_QUOTAS:
    case STA_OPTION_LABELS:
        status = sta_option_list_parse(option, text, before, &value, error);
        break;
    }
    if (status == STRATA_OK)
        *out = value;
    return status;
}

/* ---- fields ---- */

struct sta_option_value sta_option_value_load(const struct sta_option *option, const void *target)
{
    const char *base = target;
    struct sta_option_value value = {0};
    unsigned word = 0;
    if (is_text(option)) {
        memcpy(&value.text, base + option->offset, sizeof value.text);
    } else if (sta_option_value_is_list(option)) {
        memcpy(&value.list, base + option->offset, sizeof value.list);
        memcpy(&value.count, base + option->count_offset, sizeof value.count);
    } else if (option->type == STA_OPTION_SWITCH || option->type == STA_OPTION_CHOICE) {
        memcpy(&word, base + option->offset, sizeof word);
        value.number = word;
    } else {
        memcpy(&value.number, base + option->offset, sizeof value.number);
    }
    return value;
}

void sta_option_value_store(const struct sta_option *option, const struct sta_option_value *value,
                            void *target)
{
    char *base = target;
    unsigned word = (unsigned)value->number;
    if (is_text(option)) {
        memcpy(base + option->offset, &value->text, sizeof value->text);
    } else if (sta_option_value_is_list(option)) {
        memcpy(base + option->offset, &value->list, sizeof value->list);
        memcpy(base + option->count_offset, &value->count, sizeof value->count);
    } else if (option->type == STA_OPTION_SWITCH || option->type == STA_OPTION_CHOICE) {
        memcpy(base + option->offset, &word, sizeof word);
    } else {
        memcpy(base + option->offset, &value->number, sizeof value->number);
    }
}

bool sta_option_value_is_unset(const struct sta_option *option,
                               const struct sta_option_value *value)
{
    if (is_text(option))
        return value->text == NULL;
    if (sta_option_value_is_list(option))
        return value->count == 0;
    return value->number == 0;
}
