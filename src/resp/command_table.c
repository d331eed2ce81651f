/* SPDX-License-Identifier: MIT
 *
 * The table: one block of memory that holds the commands, their key specifications and an open
 * hash of names (linear probing, at most half full). The reply is gone over twice with the same
 * parser: to count, and to fill.
 *
 * Memory: one allocation, less than ten bytes per byte of the reply (a command takes 104, told
 * in 30 bytes at least; its two slots 8 each).
 */
#include "resp/command_table.h"

#include <stdlib.h>
#include <string.h>

#include "resp/command_spec.h"
#include "strata/status.h"

/* Redis 7 has about 400 with subcommands. */
#define COMMANDS_MAX 16384u

struct sta_command_table {
    struct sta_known_command *commands;
    struct sta_command_spec *specs;
    uint32_t *slots; /* 1 + index of a command; 0: free */
    size_t mask;     /* slots - 1 */
    size_t command_count;
    size_t spec_count;
};

/* ---- names ---- */

static uint32_t name_hash(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a: names are the server's, nobody can choose them */
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

/* The slot of this name, or the free one where it belongs. */
static uint32_t *name_slot(const struct sta_command_table *table, const char *name)
{
    size_t at = name_hash(name) & table->mask;
    while (table->slots[at] != 0 && strcmp(table->commands[table->slots[at] - 1].name, name) != 0)
        at = (at + 1) & table->mask;
    return &table->slots[at];
}

/* Appends `word` in lower case at `len`; the length, or 0 where it does not fit or cannot be. */
static size_t name_append(char name[64], size_t len, struct strata_bytes word)
{
    if (word.len == 0 || word.len > 63 - len)
        return 0;
    for (size_t i = 0; i < word.len; i++) {
        char letter = ((const char *)word.data)[i];
        if (letter == '\0')
            return 0;
        name[len + i] = letter >= 'A' && letter <= 'Z' ? (char)(letter | 0x20) : letter;
    }
    name[len + word.len] = '\0';
    return len + word.len;
}

static const struct sta_known_command *name_find(const struct sta_command_table *table,
                                                 const char *name)
{
    uint32_t slot = *name_slot(table, name);
    return slot == 0 ? NULL : &table->commands[slot - 1];
}

/* ---- building ---- */

/* Goes over the entries of a reply, each container's subcommands after it. */
struct entry_walk {
    struct sta_resp_walk top;
    struct sta_resp_walk sub;
};

static int entry_walk_init(struct entry_walk *walk, struct strata_bytes reply)
{
    struct sta_resp_value head;
    struct sta_resp_walk whole = sta_resp_walk(reply);
    walk->top = whole;
    walk->sub = (struct sta_resp_walk){0};
    if (sta_resp_skip(&whole, NULL) != STRATA_OK || whole.rest.len > 0)
        return STRATA_ERR_PROTOCOL;
    if (sta_resp_next(&walk->top, &head) != STRATA_OK || head.type != STA_RESP_ARRAY)
        return STRATA_ERR_PROTOCOL;
    return STRATA_OK;
}

/* STRATA_OK, STRATA_MISS at the end, STRATA_ERR_PROTOCOL. */
static int entry_walk_next(struct entry_walk *walk, struct sta_command_entry *entry)
{
    int status;
    do {
        bool sub = walk->sub.rest.len > 0;
        status = sta_command_parse(sub ? &walk->sub : &walk->top, entry);
        if (status == STRATA_OK && !sub)
            walk->sub = sta_resp_walk(entry->subcommands);
    } while (status == STRATA_SKIPPED);
    return status;
}

static int table_count(struct strata_bytes reply, size_t *commands, size_t *specs)
{
    struct entry_walk walk;
    struct sta_command_entry entry;
    int status = entry_walk_init(&walk, reply);
    if (status < 0)
        return status;
    while ((status = entry_walk_next(&walk, &entry)) == STRATA_OK) {
        *specs += entry.command.spec_count;
        if (++*commands > COMMANDS_MAX)
            return STRATA_ERR_TOO_BIG;
    }
    return status < 0 ? status : STRATA_OK;
}

static struct sta_command_table *table_allocate(size_t commands, size_t specs)
{
    size_t slots = 16;
    while (slots < 2 * commands)
        slots *= 2;
    size_t command_bytes = commands * sizeof(struct sta_known_command);
    size_t spec_bytes = specs * sizeof(struct sta_command_spec);
    struct sta_command_table *table =
        calloc(1, sizeof(*table) + command_bytes + spec_bytes + slots * sizeof(uint32_t));
    if (table == NULL)
        return NULL;
    table->commands = (struct sta_known_command *)(table + 1);
    table->specs = (struct sta_command_spec *)(table->commands + commands);
    table->slots = (uint32_t *)(table->specs + specs);
    table->mask = slots - 1;
    return table;
}

/* The first of two with the same name stays. */
static void table_add(struct sta_command_table *table, const struct sta_command_entry *entry)
{
    uint32_t *slot = name_slot(table, entry->command.name);
    if (*slot != 0)
        return;
    struct sta_known_command *command = &table->commands[table->command_count++];
    struct sta_command_spec *specs = &table->specs[table->spec_count];
    *command = entry->command;
    command->specs = specs;
    memcpy(specs, entry->specs, command->spec_count * sizeof(*specs));
    table->spec_count += command->spec_count;
    *slot = (uint32_t)table->command_count;
}

int sta_command_table_create(struct sta_command_table **out, struct strata_bytes reply)
{
    size_t commands = 0, specs = 0;
    int status = table_count(reply, &commands, &specs);
    if (status < 0)
        return status;
    struct sta_command_table *table = table_allocate(commands, specs);
    if (table == NULL)
        return STRATA_ERR_NOMEM;
    struct entry_walk walk;
    struct sta_command_entry entry;
    entry_walk_init(&walk, reply);
    while (entry_walk_next(&walk, &entry) == STRATA_OK)
        table_add(table, &entry);
    *out = table;
    return STRATA_OK;
}

void sta_command_table_destroy(struct sta_command_table **table)
{
    free(*table);
    *table = NULL;
}

/* ---- looking up ---- */

const struct sta_known_command *sta_command_find(const struct sta_command_table *table,
                                                 const struct strata_bytes *argv, size_t argc)
{
    char name[64];
    if (argc == 0)
        return NULL;
    size_t len = name_append(name, 0, argv[0]);
    const struct sta_known_command *command = len > 0 ? name_find(table, name) : NULL;
    if (command == NULL || argc == 1 || (command->flags & STA_COMMAND_CONTAINER) == 0)
        return command;
    len = name_append(name, len, strata_text("|"));
    len = len > 0 ? name_append(name, len, argv[1]) : 0;
    const struct sta_known_command *sub = len > 0 ? name_find(table, name) : NULL;
    return sub != NULL ? sub : command;
}
