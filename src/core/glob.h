/* SPDX-License-Identifier: MIT
 *
 * Redis' glob patterns over bytes: * any run, ? any byte, [a-z] [^a-z] classes, \x the byte x.
 * A pattern is compiled once and matched often, in time |pattern| x |text| at the most and no
 * memory: only the last * is ever gone back to, which is enough, since what an earlier one could
 * give up a later one can take.
 *
 * As Redis has it: a class that is not closed ends with the pattern; in a class a range may be
 * written backwards, and \ escapes.
 * Threads: a compiled pattern is constant. Memory: 4 bytes for each byte of the pattern and 32 for
 * each class.
 */
#ifndef STA_GLOB_H
#define STA_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

#define STA_GLOB_MAX 65535u /* bytes of a pattern */

struct sta_glob_token {
    uint8_t kind;
    uint8_t byte;
    uint16_t class;
};

struct sta_glob_class {
    uint8_t bits[32];
};

struct sta_glob {
    struct sta_glob_token *tokens;
    struct sta_glob_class *classes;
    size_t count;
};

/* STRATA_OK, STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG. The pattern's bytes are not needed any more. */
int sta_glob_init(struct sta_glob *glob, struct strata_bytes pattern);
/* The same of texts that begin with `before`, which stands for itself; the pattern is of what is
 * behind it. */
int sta_glob_init_behind(struct sta_glob *glob, struct strata_bytes before,
                         struct strata_bytes pattern);
void sta_glob_fini(struct sta_glob *glob);

bool sta_glob_match(const struct sta_glob *glob, struct strata_bytes text);

/* How many tokens from the first on are plain bytes: every match begins with them. */
size_t sta_glob_literal(const struct sta_glob *glob);

#endif
