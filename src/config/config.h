/* SPDX-License-Identifier: MIT
 *
 * The door of config: options come from flags, environment, file and defaults, in this order of
 * precedence, as option tables say (option_table.h). A value that is overridden is checked all
 * the same. Nothing is read half: where anything is wrong, no target has changed.
 *
 * The file is INI: `name = value` lines, the library's options at the top, a program's own under
 * its [section]. Sections of other programs are passed over, so that one file serves all. It is
 * named by --config or STRATA_CONFIG_FILE.
 *
 * Texts of errors name what was given, the value and what is allowed:
 *
 *     CACHE_L1_TTL="abc": not a number; allowed: seconds, 0.001 to 31536000, fractions allowed,
 *         or unlimited
 *     /etc/strata.conf:12: l1_tl: not an option; did you mean l1_ttl?
 *
 * Passwords in URLs are never repeated, neither there nor in listings.
 * Threads: load and render where you like; a loaded config does not change.
 * Memory: a config owns the strings and lists that its targets point to.
 */
#ifndef STA_CONFIG_H
#define STA_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "config/option_table.h"
#include "core/buffer.h"
#include "core/log.h"
#include "strata/status.h"

struct json_t; /* jansson */

struct sta_config;

struct sta_config_input {
    const char *program; /* who asks, for texts: "stratad" */
    const struct sta_option_set *sets;
    size_t set_count;
    char *const *environment; /* as environ; NULL: none */
    int argc;                 /* as main() has them, argv[0] is the program; 0: none */
    char *const *argv;
    bool operands;             /* flags end at the first argument that is none, or after "--";
                                  false: such an argument is an error */
    const struct sta_log *log; /* for warnings: unknown variables; NULL: none */
};

/* What load answers besides STRATA_OK: the program prints and ends. *out is untouched. */
enum sta_config_outcome { STA_CONFIG_HELP = 1, STA_CONFIG_VERSION = 2 };

/* STRATA_OK with every target filled, defaults included; HELP or VERSION where that flag comes
 * before any error; STRATA_ERR_INVALID for flags and arguments that are not known;
 * STRATA_ERR_CONFIG for bad values and files that cannot be read; STRATA_ERR_NOMEM.
 * Targets that a program keeps use the config's memory: destroy it after them. */
int sta_config_load(struct sta_config **out, const struct sta_config_input *input,
                    struct strata_error *error);
void sta_config_destroy(struct sta_config **config);

/* The index in argv of the first operand; argc where there is none. */
int sta_config_operands(const struct sta_config *config);

/* {"l1_ttl": {"value": 300, "unit": "seconds", "origin": "environment CACHE_L1_TTL", "live": true},
 * ...} in the order of the tables; with "fixed_because" where live is false. Origins: "default",
 * "<file>:<line>", "environment <NAME>", "flag <--name>".
 * The caller owns it (json_decref); NULL: out of memory. Dump with JSON_REAL_PRECISION(15). */
struct json_t *sta_config_json(const struct sta_config *config);

/* Append text: the list of flags for --help, and tables for docs/configuration.md. STRATA_OK or
 * the buffer's error, and then `out` is as it was. */
int sta_config_help(const struct sta_option_set *sets, size_t count, struct sta_buffer *out);
int sta_config_markdown(const struct sta_option_set *sets, size_t count, struct sta_buffer *out);

#endif
