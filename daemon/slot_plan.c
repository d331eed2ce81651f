/* SPDX-License-Identifier: MIT
 *
 * Slots of keys, and the tables of commands that have several or none; see slot_plan.h.
 */
#include "daemon/slot_plan.h"

#include <string.h>

#include "l2/operation.h"
#include "l2/slot.h"
#include "strata/status.h"

struct rule {
    const char *name; /* lower case */
    const char *sub;  /* the second word; NULL: any, or none */
    enum sta_slot_plan_kind kind;
    enum sta_slot_plan_merge merge;
};

#define SPLIT(name, merge)                                                                         \
    {                                                                                              \
        name, NULL, STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_##merge                                     \
    }
#define ALL(name, sub, merge)                                                                      \
    {                                                                                              \
        name, sub, STA_SLOT_PLAN_ALL, STA_SLOT_PLAN_##merge                                        \
    }
#define ANY(name, sub)                                                                             \
    {                                                                                              \
        name, sub, STA_SLOT_PLAN_ANY, STA_SLOT_PLAN_FIRST                                          \
    }

#define SCAN(name)                                                                                 \
    {                                                                                              \
        name, NULL, STA_SLOT_PLAN_SCAN, STA_SLOT_PLAN_FIRST                                        \
    }

static const struct rule split_rules[] = {
    SPLIT("del", SUM),    SPLIT("exists", SUM), SPLIT("mget", BY_KEY),
    SPLIT("mset", FIRST), SPLIT("touch", SUM),  SPLIT("unlink", SUM),
};

/* Of commands without keys; what is not here is ALONE. */
static const struct rule keyless_rules[] = {
    ANY("command", NULL),
    ALL("dbsize", NULL, SUM),
    ANY("eval", NULL),
    ANY("eval_ro", NULL),
    ANY("evalsha", NULL),
    ANY("evalsha_ro", NULL),
    ANY("fcall", NULL),
    ANY("fcall_ro", NULL),
    ALL("flushall", NULL, FIRST),
    ALL("flushdb", NULL, FIRST),
    ALL("function", "delete", FIRST),
    ANY("function", "dump"),
    ALL("function", "flush", FIRST),
    ANY("function", "list"),
    ALL("function", "load", FIRST),
    ALL("function", "restore", FIRST),
    ANY("info", NULL),
    ALL("keys", NULL, CONCAT),
    ANY("lolwut", NULL),
    ANY("publish", NULL),
    ANY("randomkey", NULL),
    SCAN("scan"),
    ALL("script", "exists", EVERY),
    ALL("script", "flush", FIRST),
    ALL("script", "load", FIRST),
    ANY("time", NULL),
};

static int rule_order(const struct rule *one, const struct rule *other)
{
    int order = strcmp(one->name, other->name);
    if (order != 0 || one->sub == NULL || other->sub == NULL)
        return order;
    return strcmp(one->sub, other->sub);
}

bool sta_slot_plan_valid(void)
{
    for (size_t i = 1; i < sizeof split_rules / sizeof split_rules[0]; i++)
        if (rule_order(&split_rules[i - 1], &split_rules[i]) >= 0)
            return false;
    for (size_t i = 1; i < sizeof keyless_rules / sizeof keyless_rules[0]; i++)
        if (rule_order(&keyless_rules[i - 1], &keyless_rules[i]) >= 0)
            return false;
    return true;
}

static const struct rule *find(const struct rule *rules, size_t count,
                               const struct strata_bytes *argv, size_t argc)
{
    for (size_t i = 0; i < count; i++)
        if (sta_dispatch_word_is(argv[0], rules[i].name) &&
            (rules[i].sub == NULL || (argc > 1 && sta_dispatch_word_is(argv[1], rules[i].sub))))
            return &rules[i];
    return NULL;
}

static struct sta_slot_plan plan_of(enum sta_slot_plan_kind kind, enum sta_slot_plan_merge merge)
{
    return (struct sta_slot_plan){
        .kind = kind,
        .merge = merge,
        .slot = STA_OPERATION_ANY_NODE,
        .keys_unknown =
            kind == STA_SLOT_PLAN_ANY || kind == STA_SLOT_PLAN_ALL || kind == STA_SLOT_PLAN_SCAN,
    };
}

static const struct rule *keyless_rule(const struct strata_bytes *argv, size_t argc)
{
    return find(keyless_rules, sizeof keyless_rules / sizeof keyless_rules[0], argv, argc);
}

static const struct rule *split_rule(const struct strata_bytes *argv, size_t argc)
{
    return find(split_rules, sizeof split_rules / sizeof split_rules[0], argv, argc);
}

static struct sta_slot_plan plan_split(const struct strata_bytes *argv, size_t argc)
{
    const struct rule *rule = split_rule(argv, argc);
    /* An MSET with a word too many is one for Redis to complain of. */
    if (rule != NULL && sta_dispatch_word_is(argv[0], "mset") && argc % 2 == 0)
        return plan_of(STA_SLOT_PLAN_ANY, STA_SLOT_PLAN_FIRST);
    return rule != NULL ? plan_of(rule->kind, rule->merge)
                        : plan_of(STA_SLOT_PLAN_CROSS, STA_SLOT_PLAN_FIRST);
}

struct slots {
    const struct strata_bytes *argv;
    size_t keys;
    size_t first;  /* key's index, */
    uint16_t slot; /* and slot */
    bool several;
};

static void look_at_key(void *arg, size_t index)
{
    struct slots *slots = arg;
    uint16_t slot = sta_slot_of(slots->argv[index]);
    if (slots->keys++ == 0) {
        slots->first = index;
        slots->slot = slot;
    }
    if (slot != slots->slot)
        slots->several = true;
}

/* False: nobody can say where its keys stand. */
static bool look_at_keys(const struct sta_route *route, size_t argc, struct slots *slots)
{
    if (route->keys_known && route->command == NULL) {
        sta_dispatch_keys(route, slots->argv, argc, look_at_key, slots);
        return true;
    }
    return route->command != NULL &&
           sta_command_keys(route->command, slots->argv, argc, look_at_key, slots) == STRATA_OK;
}

/* Of a command that is not in the table of dispatch.c with its keys. Without the server's
 * description the names of those that never have keys are known all the same. */
static struct sta_slot_plan plan_without_keys(const struct rule *rule, bool located)
{
    if (rule != NULL)
        return plan_of(rule->kind, rule->merge);
    return plan_of(located ? STA_SLOT_PLAN_ALONE : STA_SLOT_PLAN_ANY, STA_SLOT_PLAN_FIRST);
}

/* A shard channel has a slot, and is no key: how many of the words are such. */
static size_t shard_channels(const struct strata_bytes *argv, size_t argc)
{
    if (argc > 1 && sta_dispatch_word_is(argv[0], "spublish"))
        return 1;
    return sta_dispatch_word_is(argv[0], "ssubscribe") ||
                   sta_dispatch_word_is(argv[0], "sunsubscribe")
               ? argc - 1
               : 0;
}

struct sta_slot_plan sta_slot_plan_make(const struct sta_route *route,
                                        const struct strata_bytes *argv, size_t argc)
{
    struct slots slots = {.argv = argv};
    bool in_table = route->keys_known && route->command == NULL;
    bool located = look_at_keys(route, argc, &slots);
    for (size_t i = 1; i <= shard_channels(argv, argc); i++)
        look_at_key(&slots, i);
    if (slots.several || (slots.keys > 1 && split_rule(argv, argc) != NULL))
        return plan_split(argv, argc);
    if (slots.keys == 0 && in_table) /* too few words: Redis says so */
        return plan_of(STA_SLOT_PLAN_ANY, STA_SLOT_PLAN_FIRST);
    if (slots.keys == 0)
        return plan_without_keys(keyless_rule(argv, argc),
                                 located || route->kind == STA_DISPATCH_CLEAR);
    struct sta_slot_plan plan = plan_of(STA_SLOT_PLAN_ONE, STA_SLOT_PLAN_FIRST);
    plan.slot = slots.slot;
    return plan;
}

struct sta_slot_plan sta_slot_plan_inside(const struct sta_route *route,
                                          const struct strata_bytes *argv, size_t argc,
                                          size_t *first)
{
    struct slots slots = {.argv = argv};
    (void)look_at_keys(route, argc, &slots);
    *first = 1; /* of SPUBLISH: its channel */
    if (slots.keys == 0)
        return sta_slot_plan_make(route, argv, argc);
    struct sta_slot_plan plan =
        plan_of(slots.several ? STA_SLOT_PLAN_CROSS : STA_SLOT_PLAN_ONE, STA_SLOT_PLAN_FIRST);
    plan.slot = slots.slot;
    *first = slots.first;
    return plan;
}

const char *sta_slot_plan_refusal(const struct sta_slot_plan *inside, uint16_t slot)
{
    if (inside->kind == STA_SLOT_PLAN_ANY)
        return NULL;
    if (inside->kind == STA_SLOT_PLAN_CROSS ||
        (inside->kind == STA_SLOT_PLAN_ONE && slot != STA_OPERATION_ANY_NODE &&
         inside->slot != slot))
        return "CROSSSLOT Keys in request don't hash to the same slot";
    if (inside->kind != STA_SLOT_PLAN_ONE)
        return "ERR strata: behind WATCH and inside a transaction before a cluster all must "
               "concern "
               "one slot";
    return NULL;
}
