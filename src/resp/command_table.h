/* SPDX-License-Identifier: MIT
 *
 * The commands of a server, built from its own reply to COMMAND: names, arity, flags and where
 * the keys stand. Immutable once built, so any number of threads may read it. What the server
 * does not tell is answered safely: keys that cannot be located are "all arguments".
 */
#ifndef STA_COMMAND_TABLE_H
#define STA_COMMAND_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

struct sta_command_table;

/* Flags as COMMAND names them; others are ignored. */
enum sta_command_flag {
    STA_COMMAND_WRITE = 1u << 0,
    STA_COMMAND_READONLY = 1u << 1,
    STA_COMMAND_BLOCKING = 1u << 2,
    STA_COMMAND_PUBSUB = 1u << 3,
    STA_COMMAND_ADMIN = 1u << 4,
    STA_COMMAND_MOVABLE_KEYS = 1u << 5,
    STA_COMMAND_NO_MULTI = 1u << 6,
    STA_COMMAND_CONTAINER = 1u << 7 /* has subcommands; found by "NAME|SUB" */
};

struct sta_known_command {
    char name[64]; /* lower case; "config|get" for a subcommand */
    int arity;     /* with the name; negative: at least that many */
    unsigned flags;
    int first_key, last_key, key_step; /* as COMMAND says; 0: none */
    const void *specs;                 /* the engine's own: key specifications */
    unsigned spec_count;
};

/* Builds from the raw reply frame of COMMAND (RESP2 or RESP3; Redis 6.2 to 7.x, Valkey), which
 * need not outlive the call. Commands with names of 64 bytes or more are left out.
 * STRATA_ERR_PROTOCOL where it is not such a reply, STRATA_ERR_TOO_BIG for more than 16384
 * commands, STRATA_ERR_NOMEM. */
int sta_command_table_create(struct sta_command_table **out, struct strata_bytes reply);
void sta_command_table_destroy(struct sta_command_table **table);

/* Finds by name in any case; for a container with a known subcommand in argv[1], that. NULL
 * where the server does not know it. */
const struct sta_known_command *sta_command_find(const struct sta_command_table *table,
                                                 const struct strata_bytes *argv, size_t argc);

/* Calls visit(arg, index) for the argv index of each key, in order, none twice.
 * Returns STRATA_OK, or STRATA_SKIPPED without any call where the keys cannot be located (an
 * incomplete specification, a number that is none, an arity that does not fit): then treat every
 * argument as a key. What is routed like a key but is none (a shard channel) is not visited. */
int sta_command_keys(const struct sta_known_command *command, const struct strata_bytes *argv,
                     size_t argc, void (*visit)(void *arg, size_t index), void *arg);

#endif
