/* SPDX-License-Identifier: MIT
 *
 * One entry of the reply to COMMAND:
 *
 *   name, arity, flags, first key, last key, step, ACL categories      6.2 ends here
 *   tips, key specifications, subcommands (entries again)              since 7.0
 *
 * Maps come as maps in RESP3 and as flat arrays in RESP2; text as simple or bulk. What is not
 * known here is passed over, so that newer servers can say more. The nesting that is followed is
 * that of the functions, never that of the input.
 */
#include <limits.h>
#include <strings.h>

#include "resp/command_spec.h"
#include "strata/status.h"

/* ---- shapes ---- */

/* An array or set: how many values follow. */
static int parse_list(struct sta_resp_walk *walk, uint64_t *count)
{
    struct sta_resp_value value;
    if (sta_resp_next(walk, &value) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (value.type != STA_RESP_ARRAY && value.type != STA_RESP_SET)
        return STRATA_ERR_PROTOCOL;
    *count = value.count;
    return STRATA_OK;
}

/* A map, or an array that stands for one: how many pairs follow. */
static int parse_pairs(struct sta_resp_walk *walk, uint64_t *count)
{
    struct sta_resp_value value;
    if (sta_resp_next(walk, &value) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (value.type == STA_RESP_ARRAY && value.count % 2 == 0)
        value.count /= 2;
    else if (value.type != STA_RESP_MAP)
        return STRATA_ERR_PROTOCOL;
    *count = value.count;
    return STRATA_OK;
}

static int parse_text(struct sta_resp_walk *walk, struct strata_bytes *text)
{
    struct sta_resp_value value;
    if (sta_resp_next(walk, &value) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (value.type != STA_RESP_SIMPLE && value.type != STA_RESP_BULK)
        return STRATA_ERR_PROTOCOL;
    *text = value.bytes;
    return STRATA_OK;
}

static int parse_integer(struct sta_resp_walk *walk, int *integer)
{
    struct sta_resp_value value;
    if (sta_resp_next(walk, &value) != STRATA_OK || value.type != STA_RESP_INTEGER)
        return STRATA_ERR_PROTOCOL;
    if (value.integer < INT_MIN || value.integer > INT_MAX)
        return STRATA_ERR_PROTOCOL;
    *integer = (int)value.integer;
    return STRATA_OK;
}

static int parse_skip(struct sta_resp_walk *walk)
{
    return sta_resp_skip(walk, NULL) == STRATA_OK ? STRATA_OK : STRATA_ERR_PROTOCOL;
}

static bool text_is(struct strata_bytes text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

/* ---- key specifications ---- */

static int spec_keyword(struct sta_resp_walk *walk, struct sta_command_spec *spec)
{
    struct strata_bytes text;
    if (parse_text(walk, &text) < 0)
        return STRATA_ERR_PROTOCOL;
    if (text.len >= sizeof(spec->keyword)) {
        spec->incomplete = true;
        return STRATA_OK;
    }
    memcpy(spec->keyword, text.data, text.len);
    spec->keyword[text.len] = '\0';
    return STRATA_OK;
}

/* A field of begin_search's or find_keys' "spec": their names do not overlap. */
static int spec_field(struct sta_resp_walk *walk, struct sta_command_spec *spec)
{
    struct strata_bytes name;
    if (parse_text(walk, &name) < 0)
        return STRATA_ERR_PROTOCOL;
    if (text_is(name, "keyword"))
        return spec_keyword(walk, spec);
    if (text_is(name, "index") || text_is(name, "startfrom"))
        return parse_integer(walk, &spec->index);
    if (text_is(name, "lastkey"))
        return parse_integer(walk, &spec->last_key);
    if (text_is(name, "limit"))
        return parse_integer(walk, &spec->limit);
    if (text_is(name, "keynumidx"))
        return parse_integer(walk, &spec->number_at);
    if (text_is(name, "firstkey"))
        return parse_integer(walk, &spec->first_key);
    if (text_is(name, "keystep"))
        return parse_integer(walk, &spec->step);
    return parse_skip(walk);
}

static int spec_fields(struct sta_resp_walk *walk, struct sta_command_spec *spec)
{
    uint64_t count;
    int status = parse_pairs(walk, &count);
    for (uint64_t i = 0; i < count && status == STRATA_OK; i++)
        status = spec_field(walk, spec);
    return status;
}

static int spec_type(struct sta_resp_walk *walk, struct sta_command_spec *spec)
{
    struct strata_bytes text;
    if (parse_text(walk, &text) < 0)
        return STRATA_ERR_PROTOCOL;
    if (text_is(text, "index"))
        spec->begin = STA_COMMAND_BEGIN_INDEX;
    else if (text_is(text, "keyword"))
        spec->begin = STA_COMMAND_BEGIN_KEYWORD;
    else if (text_is(text, "range"))
        spec->search = STA_COMMAND_SEARCH_RANGE;
    else if (text_is(text, "keynum"))
        spec->search = STA_COMMAND_SEARCH_KEYNUM;
    return STRATA_OK;
}

/* begin_search or find_keys: {type: text, spec: {fields}}. */
static int spec_step(struct sta_resp_walk *walk, struct sta_command_spec *spec)
{
    uint64_t count;
    int status = parse_pairs(walk, &count);
    for (uint64_t i = 0; i < count && status == STRATA_OK; i++) {
        struct strata_bytes name;
        status = parse_text(walk, &name);
        if (status < 0)
            break;
        if (text_is(name, "type"))
            status = spec_type(walk, spec);
        else if (text_is(name, "spec"))
            status = spec_fields(walk, spec);
        else
            status = parse_skip(walk);
    }
    return status;
}

static int spec_flags(struct sta_resp_walk *walk, struct sta_command_spec *spec)
{
    uint64_t count;
    int status = parse_list(walk, &count);
    for (uint64_t i = 0; i < count && status == STRATA_OK; i++) {
        struct strata_bytes flag;
        status = parse_text(walk, &flag);
        if (status < 0)
            break;
        spec->incomplete |= text_is(flag, "incomplete");
        spec->not_key |= text_is(flag, "not_key");
    }
    return status;
}

static int parse_spec(struct sta_resp_walk *walk, struct sta_command_spec *spec)
{
    uint64_t count;
    int status = parse_pairs(walk, &count);
    for (uint64_t i = 0; i < count && status == STRATA_OK; i++) {
        struct strata_bytes name;
        status = parse_text(walk, &name);
        if (status < 0)
            break;
        if (text_is(name, "flags"))
            status = spec_flags(walk, spec);
        else if (text_is(name, "begin_search") || text_is(name, "find_keys"))
            status = spec_step(walk, spec);
        else
            status = parse_skip(walk);
    }
    return status;
}

static int parse_specs(struct sta_resp_walk *walk, struct sta_command_entry *entry)
{
    uint64_t count;
    int status = parse_list(walk, &count);
    for (uint64_t i = 0; i < count && status == STRATA_OK; i++) {
        if (i >= STA_COMMAND_SPECS_MAX) {
            entry->specs[0].incomplete = true;
            status = parse_skip(walk);
            continue;
        }
        struct sta_command_spec *spec = &entry->specs[i];
        *spec = (struct sta_command_spec){.incomplete = spec->incomplete, .step = 1};
        status = parse_spec(walk, spec);
        entry->command.spec_count = (unsigned)i + 1;
    }
    return status;
}

/* ---- the entry ---- */

static int parse_name(struct sta_resp_walk *walk, struct sta_known_command *command)
{
    struct strata_bytes text;
    if (parse_text(walk, &text) < 0)
        return STRATA_ERR_PROTOCOL;
    if (text.len == 0 || text.len >= sizeof(command->name))
        return STRATA_SKIPPED;
    for (size_t i = 0; i < text.len; i++) {
        char letter = ((const char *)text.data)[i];
        command->name[i] = letter >= 'A' && letter <= 'Z' ? (char)(letter | 0x20) : letter;
    }
    command->name[text.len] = '\0';
    return STRATA_OK;
}

static int parse_flags(struct sta_resp_walk *walk, struct sta_known_command *command, bool *module)
{
    static const struct {
        const char *name;
        unsigned flag;
    } names[] = {
        {"write", STA_COMMAND_WRITE},       {"readonly", STA_COMMAND_READONLY},
        {"blocking", STA_COMMAND_BLOCKING}, {"pubsub", STA_COMMAND_PUBSUB},
        {"admin", STA_COMMAND_ADMIN},       {"movablekeys", STA_COMMAND_MOVABLE_KEYS},
        {"no_multi", STA_COMMAND_NO_MULTI},
    };
    uint64_t count;
    int status = parse_list(walk, &count);
    for (uint64_t i = 0; i < count && status == STRATA_OK; i++) {
        struct strata_bytes text;
        status = parse_text(walk, &text);
        if (status < 0)
            break;
        *module |= text_is(text, "module");
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
            command->flags |= text_is(text, names[k].name) ? names[k].flag : 0;
    }
    return status;
}

static int parse_subcommands(struct sta_resp_walk *walk, struct sta_command_entry *entry)
{
    struct strata_bytes raw;
    if (sta_resp_skip(walk, &raw) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    struct sta_resp_walk inside = sta_resp_walk(raw);
    uint64_t count;
    int status = parse_list(&inside, &count);
    if (status == STRATA_OK && count > 0) {
        entry->command.flags |= STA_COMMAND_CONTAINER;
        entry->subcommands = inside.rest;
    }
    return status;
}

static int parse_field(struct sta_resp_walk *walk, uint64_t field, struct sta_command_entry *entry,
                       bool *module)
{
    struct sta_known_command *command = &entry->command;
    switch (field) {
    case 0:
        return parse_name(walk, command);
    case 1:
        return parse_integer(walk, &command->arity);
    case 2:
        return parse_flags(walk, command, module);
    case 3:
        return parse_integer(walk, &command->first_key);
    case 4:
        return parse_integer(walk, &command->last_key);
    case 5:
        return parse_integer(walk, &command->key_step);
    case 8:
        return parse_specs(walk, entry);
    case 9:
        return parse_subcommands(walk, entry);
    default:
        return parse_skip(walk);
    }
}

int sta_command_parse(struct sta_resp_walk *walk, struct sta_command_entry *entry)
{
    struct strata_bytes raw;
    int status = sta_resp_skip(walk, &raw);
    if (status != STRATA_OK)
        return status;
    struct sta_resp_walk inside = sta_resp_walk(raw);
    struct sta_resp_value head;
    if (sta_resp_next(&inside, &head) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (head.type == STA_RESP_NULL || head.type == STA_RESP_NULL_ARRAY)
        return STRATA_SKIPPED;
    if (head.type != STA_RESP_ARRAY || head.count < 6)
        return STRATA_ERR_PROTOCOL;
    *entry = (struct sta_command_entry){0};
    bool module = false;
    for (uint64_t field = 0; field < head.count; field++) {
        status = parse_field(&inside, field, entry, &module);
        if (status != STRATA_OK)
            return status;
    }
    /* A module that finds its keys by code: its specification is only a guess. */
    if (module && (entry->command.flags & STA_COMMAND_MOVABLE_KEYS) != 0)
        entry->command.spec_count = 0;
    return STRATA_OK;
}
