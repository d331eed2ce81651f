/* SPDX-License-Identifier: MIT
 *
 * What COMMAND tells of one command, taken apart: between the parser (command_parse.c), the
 * table (command_table.c) and the search for keys (command_keys.c).
 *
 * A key specification (Redis 7) is two steps: where to begin, an index or behind a keyword, and
 * which arguments from there on are keys, a range or as many as an argument says.
 */
#ifndef STA_COMMAND_SPEC_H
#define STA_COMMAND_SPEC_H

#include "resp/command_table.h"
#include "resp/resp.h"

/* Redis 7 has three at most; a command with more than these is one whose keys are not located. */
#define STA_COMMAND_SPECS_MAX 8u

enum sta_command_begin {
    STA_COMMAND_BEGIN_UNKNOWN,
    STA_COMMAND_BEGIN_INDEX,
    STA_COMMAND_BEGIN_KEYWORD
};
enum sta_command_search {
    STA_COMMAND_SEARCH_UNKNOWN,
    STA_COMMAND_SEARCH_RANGE,
    STA_COMMAND_SEARCH_KEYNUM
};

struct sta_command_spec {
    enum sta_command_begin begin;
    enum sta_command_search search;
    bool incomplete; /* there may be keys that it does not find */
    bool not_key;    /* it finds what is routed like keys but is none (channels) */
    char keyword[24];
    int index;     /* of INDEX: of the first; of KEYWORD: where to begin, negative: from the end */
    int last_key;  /* of RANGE: relative to the first; negative: to the end of the arguments */
    int limit;     /* of RANGE: only the first 1/limit of what is left */
    int number_at; /* of KEYNUM: where the number stands, relative to the first */
    int first_key; /* of KEYNUM: where the keys begin, relative to the first */
    int step;      /* from key to key */
};

struct sta_command_entry {
    struct sta_known_command command; /* without specs */
    struct sta_command_spec specs[STA_COMMAND_SPECS_MAX];
    struct strata_bytes subcommands; /* entries of their own, in the reply */
};

/* Reads the entry that `walk` is at and passes over it. STRATA_OK; STRATA_SKIPPED where there is
 * nothing to know (null, a name too long); STRATA_MISS at the end; STRATA_ERR_PROTOCOL. */
int sta_command_parse(struct sta_resp_walk *walk, struct sta_command_entry *entry);

#endif
