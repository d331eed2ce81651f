/* SPDX-License-Identifier: MIT
 *
 * One value of one option: from text, into and out of the field of a target, and within bounds.
 * What each type of option takes is in option_table.h.
 */
#ifndef STA_OPTION_VALUE_H
#define STA_OPTION_VALUE_H

#include "config/option_table.h"
#include "strata/status.h"

/* Zeroed is no value. */
struct sta_option_value {
    uint64_t number;         /* SWITCH, COUNT, BYTES, SECONDS, CHOICE */
    const char *text;        /* STRING, URL */
    const char *const *list; /* the kinds of lists; NULL where count is 0 */
    size_t count;
    void *memory; /* owned: what text or list point to; NULL: they are borrowed */
};

void sta_option_value_fini(struct sta_option_value *value);

/* Parses `text`. A list becomes the members of `before` (may be NULL) and those in the text.
 * STRATA_OK; STRATA_ERR_CONFIG with the reason in `error` ("not a number; allowed: ...");
 * STRATA_ERR_NOMEM. */
int sta_option_value_parse(const struct sta_option *option, const char *text,
                           const struct sta_option_value *before, struct sta_option_value *out,
                           struct strata_error *error);

/* The checks of parse() on a value that came as a struct's field. */
int sta_option_value_check(const struct sta_option *option, const struct sta_option_value *value,
                           struct strata_error *error);

/* Between a value (borrowed) and the option's field in `target`. */
struct sta_option_value sta_option_value_load(const struct sta_option *option, const void *target);
void sta_option_value_store(const struct sta_option *option, const struct sta_option_value *value,
                            void *target);

bool sta_option_value_is_list(const struct sta_option *option);

/* Whether the value is the zero that means the default. */
bool sta_option_value_is_unset(const struct sta_option *option,
                               const struct sta_option_value *value);

/* "1 to 4294967295 entries, or unlimited"; cut where `cap` is short. */
#define STA_OPTION_ALLOWED_CAP 200
void sta_option_value_allowed(const struct sta_option *option, char *text, size_t cap);

#endif
