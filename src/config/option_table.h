/* SPDX-License-Identifier: MIT
 *
 * Option tables: one entry per option says all there is to know about it. Parsing of environment,
 * file and flags, bounds, `--help`, the JSON listing and docs/configuration.md come from it.
 *
 * An entry describes one field of a target struct. The type says what stands there:
 *
 *     type        field                       text
 *     SWITCH      enum strata_switch          true false yes no on off 1 0, any case
 *     COUNT       uint64_t                    "100", and "unlimited" where allowed
 *     BYTES       uint64_t                    "1048576", "1024KiB", "1MiB"; the same
 *     SECONDS     uint64_t, milliseconds      "5", "0.25"; the same
 *     CHOICE      an enum, by its value       a word; choices[value], NULL where none
 *     STRING      const char *                as it stands
 *     URL         const char *                a Redis URL (l2/redis_url.h)
 *     NODES       const char *const * and     host:port, as a JSON list or with commas
 *     ENDPOINTS     size_t                    the same, with unix:PATH and port 0 as well
 *     QUOTAS                                  PREFIX=BYTES/ENTRIES, likewise (config/quota.h)
 *     LABELS                                  1 to 32 letters, digits and _ . : / - , likewise
 *
 * Lists may be given several times, in a file and as flags; what is given adds up within one
 * source. "unlimited" is STRATA_UNLIMITED. Zero (NULL, an empty list) in a field means the
 * default, so bounds begin at 1 where that matters, and an explicit zero is refused.
 *
 * What may change while running is live (config/live.h): a number, a switch or a choice, which no
 * check of several options together looks at. Of all others `fixed` says why they may not.
 *
 * A program with options of its own writes a table, and a set that says where it goes:
 *
 *     struct stratad_options { uint64_t workers; const char *const *listen; size_t listen_count; };
 *
 *     static const struct sta_option table[] = {
 *         {.name = "workers", .env = "STRATA_WORKERS", .flag = "--workers",
 *          .type = STA_OPTION_COUNT, STA_OPTION_AT(stratad_options, workers),
 *          .least = 1, .most = 256, .unit = "threads", .default_text = "4",
 *          .group = "Daemon", .help = "Threads that serve clients."},
 *         {.name = "listen", .env = "STRATA_LISTEN", .flag = "--listen",
 *          .type = STA_OPTION_ENDPOINTS, STA_OPTION_LIST_AT(stratad_options, listen, listen_count),
 *          .default_text = "127.0.0.1:6380", .group = "Daemon", .help = "Where clients connect."},
 *     };
 *     static const struct sta_option_default ours[] = {{"l1_max_size", "unlimited"},
 *                                                      {"key_prefix", ""}};
 *     struct sta_option_set sets[] = {
 *         {.section = "stratad", .options = table, .count = 2, .target = &mine},
 *         {.options = sta_option_table, .count = STA_OPTION_TABLE_COUNT,
 *          .defaults = ours, .default_count = 2, .target = &library},
 *     };
 */
#ifndef STA_OPTION_TABLE_H
#define STA_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sta_option_type {
    STA_OPTION_SWITCH,
    STA_OPTION_COUNT,
    STA_OPTION_BYTES,
    STA_OPTION_SECONDS,
    STA_OPTION_CHOICE,
    STA_OPTION_STRING,
    STA_OPTION_URL,
    STA_OPTION_NODES,
    STA_OPTION_ENDPOINTS,
    STA_OPTION_QUOTAS,
    STA_OPTION_LABELS
};

struct sta_option {
    const char *name; /* in files, listings and docs: "l1_ttl" */
    const char *env;  /* "CACHE_L1_TTL"; NULL: not from the environment */
    const char *flag; /* "--l1-ttl"; NULL: no flag */
    enum sta_option_type type;
    const char *field;          /* the member's name, for errors in structs of callers */
    size_t offset;              /* of the field in the target */
    size_t count_offset;        /* of the size_t that goes with a list */
    uint64_t least;             /* COUNT, BYTES: the number; SECONDS: milliseconds; */
    uint64_t most;              /*   STRING: bytes; lists: most is the number of members */
    bool unlimited;             /* COUNT, BYTES, SECONDS: "unlimited" is allowed too */
    bool secret;                /* STRING: shown as *** in error texts and listings */
    const char *unit;           /* COUNT: what is counted ("entries"); others know theirs */
    const char *const *choices; /* CHOICE: NULL-terminated; "" for values without a word */
    const char *fixed;          /* why it does not change while running; NULL: it does (live) */
    const char *default_text;   /* parsed as if it were given; NULL: the field stays zero */
    const char *group;          /* heading in help and docs; entries of a group are adjacent */
    const char *help;           /* one sentence or two */
};

/* The field of an entry: `.offset`, `.count_offset` and `.field` of it. */
#define STA_OPTION_AT(type_name, member)                                                           \
    .offset = offsetof(struct type_name, member), .field = #member
#define STA_OPTION_LIST_AT(type_name, member, count_member)                                        \
    STA_OPTION_AT(type_name, member), .count_offset = offsetof(struct type_name, count_member)

/* A default that replaces the table's. */
struct sta_option_default {
    const char *name;
    const char *text;
};

/* A table, and where its values go. `section` NULL: its names stand at the top of the file, else
 * under [section]. */
struct sta_option_set {
    const char *section;
    const struct sta_option *options;
    size_t count;
    const struct sta_option_default *defaults; /* may be NULL */
    size_t default_count;
    const char *const *unused;  /* names that do nothing in this program, and NULL; may be NULL */
    const char *unused_because; /* "has no effect in stratad: it is the library's" */
    void *target;               /* NULL: values are checked and listed, but stored nowhere */
};

/* The library's options: fields of struct strata_options (strata/options.h). */
#define STA_OPTION_TABLE_COUNT 51
extern const struct sta_option sta_option_table[STA_OPTION_TABLE_COUNT];

#endif
