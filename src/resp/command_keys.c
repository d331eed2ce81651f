/* SPDX-License-Identifier: MIT
 *
 * Which arguments of a call are keys: the rules of COMMAND's key specifications (Redis 7), or of
 * first, last and step (before). Wherever the server itself would fall back on code of its own
 * ("incomplete", an unknown kind, a number that is none), the answer is that it is not known.
 *
 * Every specification becomes a range of argument indexes; the ranges are then visited together
 * in ascending order.
 */
#include <strings.h>

#include "resp/command_spec.h"
#include "resp/resp_number.h"
#include "strata/status.h"

/* first, first + step, ... up to last; empty where last < first. In 64 bits, so that no sum of
 * what a server or client says overflows. */
struct key_range {
    int64_t first;
    int64_t last;
    int64_t step;
};

struct key_call {
    const struct strata_bytes *argv;
    int64_t argc;
};

static bool arity_fits(const struct sta_known_command *command, size_t argc)
{
    if (command->arity >= 0)
        return argc == (size_t)command->arity;
    return argc >= (size_t)(-(int64_t)command->arity);
}

/* STRATA_OK where a range that is not empty lies within the arguments. */
static int range_check(const struct key_range *range, const struct key_call *call)
{
    bool inside = range->first >= 1 && range->first <= range->last && range->last < call->argc;
    return inside && range->step >= 1 ? STRATA_OK : STRATA_SKIPPED;
}

/* ---- where a specification begins ---- */

static bool arg_is(struct strata_bytes arg, const char *keyword)
{
    return arg.len == strlen(keyword) && strncasecmp(arg.data, keyword, arg.len) == 0;
}

/* *first: behind the keyword, or 0 where it is not there: no keys then. A keyword that stands
 * twice is a matter of the command's own parsing, of which nothing is known here. */
static int begin_keyword(const struct sta_command_spec *spec, const struct key_call *call,
                         int64_t *first)
{
    bool forward = spec->index >= 0;
    int64_t from = forward ? spec->index : 1;
    int64_t to = forward ? call->argc - 1 : call->argc + spec->index;
    if (from < 1 || spec->keyword[0] == '\0')
        return STRATA_SKIPPED;
    *first = 0;
    for (int64_t i = from; i <= to && i < call->argc; i++) {
        if (!arg_is(call->argv[i], spec->keyword))
            continue;
        if (*first != 0)
            return STRATA_SKIPPED;
        *first = i + 1;
    }
    return STRATA_OK;
}

static int spec_begin(const struct sta_command_spec *spec, const struct key_call *call,
                      int64_t *first)
{
    switch (spec->begin) {
    case STA_COMMAND_BEGIN_INDEX:
        *first = spec->index;
        return spec->index >= 1 ? STRATA_OK : STRATA_SKIPPED;
    case STA_COMMAND_BEGIN_KEYWORD:
        return begin_keyword(spec, call, first);
    default:
        return STRATA_SKIPPED;
    }
}

/* ---- what it finds from there ---- */

static int search_range(const struct sta_command_spec *spec, const struct key_call *call,
                        int64_t first, struct key_range *range)
{
    int64_t last;
    if (spec->last_key >= 0)
        last = first + spec->last_key;
    else if (spec->limit <= 1)
        last = call->argc + spec->last_key;
    else
        last = first + (call->argc - first) / spec->limit + spec->last_key;
    *range = (struct key_range){first, last, spec->step};
    return range_check(range, call);
}

static int search_keynum(const struct sta_command_spec *spec, const struct key_call *call,
                         int64_t first, struct key_range *range)
{
    int64_t at = first + spec->number_at;
    int64_t count = 0;
    if (at < 1 || at >= call->argc || !sta_resp_number_parse(call->argv[at], &count))
        return STRATA_SKIPPED;
    if (count < 0 || count > call->argc)
        return STRATA_SKIPPED;
    if (count == 0)
        return STRATA_OK;
    first += spec->first_key;
    *range = (struct key_range){first, first + (count - 1) * spec->step, spec->step};
    return range_check(range, call);
}

/* *range stays empty where there are no keys. */
static int spec_resolve(const struct sta_command_spec *spec, const struct key_call *call,
                        struct key_range *range)
{
    int64_t first = 0;
    *range = (struct key_range){.first = 1, .last = 0, .step = 1};
    if (spec->not_key)
        return STRATA_OK;
    if (spec->incomplete || spec_begin(spec, call, &first) != STRATA_OK)
        return STRATA_SKIPPED;
    if (first == 0)
        return STRATA_OK;
    switch (spec->search) {
    case STA_COMMAND_SEARCH_RANGE:
        return search_range(spec, call, first, range);
    case STA_COMMAND_SEARCH_KEYNUM:
        return search_keynum(spec, call, first, range);
    default:
        return STRATA_SKIPPED;
    }
}

/* Before key specifications: one range, and a flag where it is not the truth. */
static int table_resolve(const struct sta_known_command *command, const struct key_call *call,
                         struct key_range *range)
{
    *range = (struct key_range){.first = 1, .last = 0, .step = 1};
    if ((command->flags & STA_COMMAND_MOVABLE_KEYS) != 0)
        return STRATA_SKIPPED;
    if (command->first_key == 0)
        return STRATA_OK;
    int64_t last = command->last_key;
    *range = (struct key_range){
        .first = command->first_key,
        .last = last >= 0 ? last : call->argc + last,
        .step = command->key_step,
    };
    return range_check(range, call);
}

/* The least index that any range has from `from` on, or -1. */
static int64_t ranges_next(const struct key_range *ranges, unsigned count, int64_t from)
{
    int64_t least = -1;
    for (unsigned i = 0; i < count; i++) {
        const struct key_range *range = &ranges[i];
        int64_t behind = from > range->first ? from - range->first : 0;
        int64_t next = range->first + (behind + range->step - 1) / range->step * range->step;
        if (next <= range->last && (least < 0 || next < least))
            least = next;
    }
    return least;
}

int sta_command_keys(const struct sta_known_command *command, const struct strata_bytes *argv,
                     size_t argc, void (*visit)(void *arg, size_t index), void *arg)
{
    const struct key_call call = {.argv = argv, .argc = (int64_t)argc};
    const struct sta_command_spec *specs = command->specs;
    struct key_range ranges[STA_COMMAND_SPECS_MAX];
    unsigned count = command->spec_count;
    if (!arity_fits(command, argc))
        return STRATA_SKIPPED;
    for (unsigned i = 0; i < count; i++) {
        if (spec_resolve(&specs[i], &call, &ranges[i]) != STRATA_OK)
            return STRATA_SKIPPED;
    }
    if (count == 0) {
        if (table_resolve(command, &call, &ranges[0]) != STRATA_OK)
            return STRATA_SKIPPED;
        count = 1;
    }
    for (int64_t i = 0; (i = ranges_next(ranges, count, i)) >= 0; i++)
        visit(arg, (size_t)i);
    return STRATA_OK;
}
