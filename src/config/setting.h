/* SPDX-License-Identifier: MIT
 *
 * What a config is made of: one setting per option, with its value and where that came from.
 * The sources (flags, environment, file) offer texts in any order; precedence decides. A value
 * that loses is parsed all the same, so that a mistake does not wait for the day it would win.
 */
#ifndef STA_SETTING_H
#define STA_SETTING_H

#include "config/config.h"
#include "config/option_value.h"

/* In order of precedence; UNSET is before anything was offered. */
enum sta_source {
    STA_SOURCE_UNSET,
    STA_SOURCE_DEFAULT,
    STA_SOURCE_FILE,
    STA_SOURCE_ENVIRONMENT,
    STA_SOURCE_FLAG,
    STA_SOURCE_CHANGE /* while the program runs (config/live.h) */
};

struct sta_setting {
    /* Fixed at creation; what they point to is the tables', but for the target. */
    const struct sta_option *option;
    const char *section;
    const char *default_text;
    const char *fixed;  /* why it does not change while running; NULL: it is live */
    const char *unused; /* why it does nothing in this program, and so is fixed; NULL: it does */
    void *target;       /* not used after load */
    /* As offered. */
    enum sta_source source;
    unsigned line; /* of the file, where it offered a value; 0: it did not */
    struct sta_option_value value;
};

struct sta_config {
    char *file;              /* owned; NULL: none */
    enum sta_source file_by; /* who named it */
    int operands;
    size_t count;
    struct sta_setting settings[];
};

/* One setting per option of the sets, nothing offered yet. Tables and texts are borrowed. NULL:
 * out of memory. */
struct sta_config *sta_setting_create(const struct sta_option_set *sets, size_t set_count);

/* Offers `text`. Of two offers by one source the later wins, or adds to a list (a change while the
 * program runs takes its place). Errors as in sta_option_value_parse(), the text preceded by what
 * was given. */
int sta_setting_offer(struct sta_setting *setting, enum sta_source source, const char *text,
                      struct strata_error *error);

/* The same, from a line of the file. A second one is refused unless it adds to a list. */
int sta_setting_offer_line(const struct sta_config *config, struct sta_setting *setting,
                           unsigned line, const char *text, struct strata_error *error);

/* The same for the name of the file. */
int sta_setting_offer_file(struct sta_config *config, enum sta_source source, const char *path,
                           struct strata_error *error);

/* Its value, and where it came from; NULL: out of memory. The caller owns them. */
struct json_t *sta_setting_json(const struct sta_setting *setting);
struct json_t *sta_setting_origin_json(const struct sta_config *config,
                                       const struct sta_setting *setting);

/* By exact name of `len` bytes; NULL: not known. `section` NULL is the top of the file. */
struct sta_setting *sta_setting_by_name(struct sta_config *config, const char *section,
                                        const char *name);
struct sta_setting *sta_setting_by_env(struct sta_config *config, const char *env, size_t len);
struct sta_setting *sta_setting_by_flag(struct sta_config *config, const char *flag, size_t len);

#endif
