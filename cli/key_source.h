/* SPDX-License-Identifier: MIT
 *
 * Where a command gets many keys from: lines of a file or of standard input, a saved hot set, or
 * all keys that match a pattern.
 * Memory: one key, and what walking over keys takes (strata/keys.h).
 */
#ifndef CLI_KEY_SOURCE_H
#define CLI_KEY_SOURCE_H

#include <stdbool.h>
#include <stdio.h>

#include "cache/hot_file.h"
#include "cli/command.h"
#include "strata/strata.h"

struct cli_key_source {
    uint64_t total; /* keys; 0: not known */
    bool torn;      /* the hot set ended before its end */

    /* the file's own */
    int (*next)(struct cli_key_source *source, struct strata_bytes *key,
                struct strata_error *error);
    FILE *lines; /* of this kind: not NULL */
    char *line;
    size_t line_cap;
    const char *name;
    bool is_hot; /* of this kind */
    struct sta_hot_reader hot;
    struct strata *cache; /* of this kind: not NULL */
    struct strata_keys *keys;
};

/* STRATA_OK, or why not, with `error`; nothing is to be closed then. */
int cli_key_source_open_lines(struct cli_key_source *source, const char *path,
                              struct strata_error *error); /* "-": standard input */
int cli_key_source_open_hot(struct cli_key_source *source, const char *path,
                            struct strata_error *error);
int cli_key_source_open_pattern(struct cli_key_source *source, const struct cli_run *run,
                                const char *pattern, struct strata_error *error);
void cli_key_source_close(struct cli_key_source *source);

/* STRATA_OK with a key of 1 to 65535 bytes that is readable until the next call; STRATA_MISS: that
 * was all; or an error. Lines that are empty are passed over; one that is too long is an error. */
int cli_key_source_next(struct cli_key_source *source, struct strata_bytes *key,
                        struct strata_error *error);

#endif
