/* SPDX-License-Identifier: MIT
 *
 * The table of commands that stratad treats in a way of its own, and the decision.
 *
 * A name that is not in the table goes on a plain lane, with its keys as the server's COMMAND
 * describes them; a name that the server does not describe either has all its arguments taken
 * for keys. In doubt a command costs L1 entries, never a stale one.
 */
#include "daemon/dispatch.h"

#include <string.h>

#include "strata/status.h"

#define NAME_CAP 16u

enum rule_class {
    CLASS_LOCAL,
    CLASS_GET,
    CLASS_MGET,
    CLASS_SET,
    CLASS_READ,        /* shared lane, keys in range, not changed */
    CLASS_WRITE,       /* shared lane, keys in range, changed */
    CLASS_PLAIN_WRITE, /* plain lane; a write although COMMAND says readonly */
    CLASS_CLEAR,
    CLASS_TRANSACTION,
    CLASS_OWN,
    CLASS_CONNECTION,
    CLASS_NOT_PASSED_ON,
    CLASS_STREAM_READ /* plain lane, unless it asks to block */
};

struct rule {
    char name[NAME_CAP]; /* lower case, padded with zeros */
    uint8_t class;
    uint8_t id; /* enum sta_local_command, or sta_own_command */
    struct sta_key_range keys;
};

#define LOCAL(name, id)                                                                            \
    {                                                                                              \
        name, CLASS_LOCAL, STA_LOCAL_##id,                                                         \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }
#define KEYS(name, class, first, last, step)                                                       \
    {                                                                                              \
        name, class, 0,                                                                            \
        {                                                                                          \
            first, last, step                                                                      \
        }                                                                                          \
    }
#define OWN(name, id)                                                                              \
    {                                                                                              \
        name, CLASS_OWN, STA_OWN_##id,                                                             \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }
#define KEY(name, class)  KEYS(name, class, 1, 1, 1)
#define ALL(name, class)  KEYS(name, class, 1, -1, 1)
#define RULE(name, class) KEYS(name, class, 0, 0, 0)

/* Sorted by name (bytewise): found by halving. The reply of each READ and WRITE here is, in
 * RESP3, of a type that converts to what RESP2 would have carried: status, integer, bulk, null
 * or an array of these. */
static const struct rule rules[] = {
    KEY("append", CLASS_WRITE),
    RULE("asking", CLASS_CONNECTION),
    LOCAL("auth", AUTH),
    KEY("bitcount", CLASS_READ),
    OWN("blmove", BLOCKING),
    OWN("blmpop", BLOCKING),
    OWN("blpop", BLOCKING),
    OWN("brpop", BLOCKING),
    OWN("brpoplpush", BLOCKING),
    OWN("bzmpop", BLOCKING),
    OWN("bzpopmax", BLOCKING),
    OWN("bzpopmin", BLOCKING),
    LOCAL("client", CLIENT),
    RULE("debug", CLASS_CLEAR),
    KEY("decr", CLASS_WRITE),
    KEY("decrby", CLASS_WRITE),
    ALL("del", CLASS_WRITE),
    RULE("discard", CLASS_TRANSACTION),
    LOCAL("echo", ECHO),
    RULE("exec", CLASS_TRANSACTION),
    ALL("exists", CLASS_READ),
    KEY("expire", CLASS_WRITE),
    KEY("expireat", CLASS_WRITE),
    KEY("expiretime", CLASS_READ),
    RULE("failover", CLASS_CLEAR),
    RULE("flushall", CLASS_CLEAR),
    RULE("flushdb", CLASS_CLEAR),
    KEY("get", CLASS_GET),
    KEY("getbit", CLASS_READ),
    KEY("getdel", CLASS_WRITE),
    KEY("getex", CLASS_WRITE),
    KEY("getrange", CLASS_READ),
    KEY("getset", CLASS_WRITE),
    LOCAL("hello", HELLO),
    LOCAL("host:", HTTP),
    KEY("incr", CLASS_WRITE),
    KEY("incrby", CLASS_WRITE),
    KEY("incrbyfloat", CLASS_WRITE),
    ALL("mget", CLASS_MGET),
    OWN("monitor", MONITOR),
    KEYS("mset", CLASS_WRITE, 1, -1, 2),
    KEYS("msetnx", CLASS_WRITE, 1, -1, 2),
    RULE("multi", CLASS_TRANSACTION),
    KEY("persist", CLASS_WRITE),
    KEY("pexpire", CLASS_WRITE),
    KEY("pexpireat", CLASS_WRITE),
    KEY("pexpiretime", CLASS_READ),
    RULE("pfcount", CLASS_PLAIN_WRITE), /* renews the cardinality kept in the value */
    LOCAL("ping", PING),
    LOCAL("post", HTTP),
    KEY("psetex", CLASS_WRITE),
    OWN("psubscribe", SUBSCRIPTION),
    RULE("psync", CLASS_CONNECTION),
    KEY("pttl", CLASS_READ),
    OWN("punsubscribe", SUBSCRIPTION),
    LOCAL("quit", QUIT),
    RULE("readonly", CLASS_CONNECTION),
    RULE("readwrite", CLASS_CONNECTION),
    RULE("replconf", CLASS_CONNECTION),
    RULE("replicaof", CLASS_CLEAR),
    LOCAL("reset", RESET),
    LOCAL("select", SELECT),
    KEY("set", CLASS_SET),
    KEY("setbit", CLASS_WRITE),
    KEY("setex", CLASS_WRITE),
    KEY("setnx", CLASS_WRITE),
    KEY("setrange", CLASS_WRITE),
    RULE("shutdown", CLASS_NOT_PASSED_ON),
    RULE("slaveof", CLASS_CLEAR),
    OWN("ssubscribe", SUBSCRIPTION),
    LOCAL("strata", STRATA),
    KEY("strlen", CLASS_READ),
    OWN("subscribe", SUBSCRIPTION),
    KEY("substr", CLASS_READ),
    OWN("sunsubscribe", SUBSCRIPTION),
    RULE("swapdb", CLASS_CLEAR),
    RULE("sync", CLASS_CONNECTION),
    ALL("touch", CLASS_READ),
    KEY("ttl", CLASS_READ),
    KEY("type", CLASS_READ),
    ALL("unlink", CLASS_WRITE),
    OWN("unsubscribe", SUBSCRIPTION),
    OWN("unwatch", UNWATCH),
    OWN("wait", WAIT),
    OWN("waitaof", WAIT),
    OWN("watch", WATCH),
    RULE("xread", CLASS_STREAM_READ),
    RULE("xreadgroup", CLASS_STREAM_READ),
};

#define RULE_COUNT (sizeof rules / sizeof rules[0])

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20u) : c;
}

bool sta_dispatch_word_is(struct strata_bytes word, const char *name)
{
    const uint8_t *bytes = word.data;
    size_t i = 0;
    for (; i < word.len && name[i] != '\0'; i++)
        if (lower(bytes[i]) != (uint8_t)name[i])
            return false;
    return i == word.len && name[i] == '\0';
}

void sta_dispatch_name(struct strata_bytes word, char *name, size_t cap)
{
    size_t len = word.len < cap - 1 ? word.len : cap - 1;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = lower(((const uint8_t *)word.data)[i]);
        name[i] = (char)(c >= ' ' && c < 127 ? c : '?');
    }
    name[len] = '\0';
}

static const struct rule *rule_find(struct strata_bytes word)
{
    if (word.len > NAME_CAP)
        return NULL;
    uint8_t name[NAME_CAP] = {0};
    for (size_t i = 0; i < word.len; i++)
        name[i] = lower(((const uint8_t *)word.data)[i]);
    size_t low = 0, high = RULE_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(name, rules[middle].name, NAME_CAP);
        if (order == 0)
            return &rules[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool sta_dispatch_valid(void)
{
    for (size_t i = 1; i < RULE_COUNT; i++)
        if (memcmp(rules[i - 1].name, rules[i].name, NAME_CAP) >= 0)
            return false;
    return true;
}

size_t sta_dispatch_block_at(const struct strata_bytes *argv, size_t argc)
{
    for (size_t i = 1; i < argc; i++) {
        if (sta_dispatch_word_is(argv[i], "block"))
            return i;
        if (sta_dispatch_word_is(argv[i], "count"))
            i += 1;
        else if (sta_dispatch_word_is(argv[i], "group"))
            i += 2;
        else if (!sta_dispatch_word_is(argv[i], "noack"))
            return 0; /* STREAMS, or an error that Redis will name */
    }
    return 0;
}

static struct sta_route refuse(enum sta_refusal refusal)
{
    return (struct sta_route){.kind = STA_DISPATCH_REFUSED, .refusal = refusal};
}

/* With what the server says of its keys. */
static struct sta_route own(const struct sta_command_table *table, enum sta_own_command command,
                            const struct strata_bytes *argv, size_t argc)
{
    return (struct sta_route){
        .kind = STA_DISPATCH_OWN,
        .own = command,
        .lane = STA_LANE_OWN,
        .command = table != NULL ? sta_command_find(table, argv, argc) : NULL,
    };
}

/* On the lane of the client's protocol, with what the server says about the command. */
static struct sta_route plain(const struct sta_command_table *table, int protocol,
                              const struct strata_bytes *argv, size_t argc)
{
    const struct sta_known_command *command =
        table != NULL ? sta_command_find(table, argv, argc) : NULL;
    if (command != NULL && (command->flags & STA_COMMAND_BLOCKING) != 0)
        return own(table, STA_OWN_BLOCKING, argv, argc);
    return (struct sta_route){
        .kind = STA_DISPATCH_FORWARD,
        .lane = protocol == 3 ? STA_LANE_PLAIN3 : STA_LANE_PLAIN2,
        .writes = command == NULL || (command->flags & STA_COMMAND_READONLY) == 0,
        .command = command,
        .repeatable = command != NULL && (command->flags & STA_COMMAND_READONLY) != 0,
    };
}

/* As plain(), for the stream reads: COMMAND flags them as blocking, but without BLOCK they are
 * not. Reading a group changes the stream, which is no string: nothing in L1 depends on it. */
static struct sta_route stream_read(const struct sta_command_table *table, int protocol,
                                    const struct strata_bytes *argv, size_t argc)
{
    if (sta_dispatch_block_at(argv, argc) > 0)
        return own(table, STA_OWN_BLOCKING, argv, argc);
    return (struct sta_route){
        .kind = STA_DISPATCH_FORWARD,
        .lane = protocol == 3 ? STA_LANE_PLAIN3 : STA_LANE_PLAIN2,
        .keys_known = true,
        .command = table != NULL ? sta_command_find(table, argv, argc) : NULL,
        .repeatable = sta_dispatch_word_is(argv[0], "xread"),
    };
}

static bool script_debugs(const struct strata_bytes *argv, size_t argc)
{
    return argc >= 2 && sta_dispatch_word_is(argv[0], "script") &&
           sta_dispatch_word_is(argv[1], "debug");
}

static struct sta_route shared(const struct rule *rule, enum sta_dispatch_kind kind, bool writes)
{
    return (struct sta_route){
        .kind = kind,
        .lane = STA_LANE_SHARED,
        .writes = writes,
        .keys_known = true,
        .keys = rule->keys,
        .repeatable = !writes,
    };
}

struct sta_route sta_dispatch(const struct sta_command_table *table, int protocol,
                              const struct strata_bytes *argv, size_t argc)
{
    const struct rule *rule = rule_find(argv[0]);
    if (rule == NULL)
        return script_debugs(argv, argc) ? refuse(STA_REFUSAL_CONNECTION)
                                         : plain(table, protocol, argv, argc);
    struct sta_route route;
    switch ((enum rule_class)rule->class) {
    case CLASS_LOCAL:
        return (struct sta_route){.kind = STA_DISPATCH_LOCAL, .local = rule->id};
    case CLASS_GET:
        return shared(rule, argc == 2 ? STA_DISPATCH_GET : STA_DISPATCH_FORWARD, false);
    case CLASS_MGET:
        return shared(rule, argc >= 2 ? STA_DISPATCH_MGET : STA_DISPATCH_FORWARD, false);
    case CLASS_SET:
        return shared(rule, argc >= 3 ? STA_DISPATCH_SET : STA_DISPATCH_FORWARD, true);
    case CLASS_READ:
        return shared(rule, STA_DISPATCH_FORWARD, false);
    case CLASS_WRITE:
        return shared(rule, STA_DISPATCH_FORWARD, true);
    case CLASS_PLAIN_WRITE:
        route = plain(table, protocol, argv, argc);
        route.writes = true;
        route.repeatable = false;
        return route;
    case CLASS_CLEAR:
        route = plain(table, protocol, argv, argc);
        route.repeatable = false;
        route.kind = STA_DISPATCH_CLEAR;
        return route;
    case CLASS_TRANSACTION:
        return (struct sta_route){.kind = STA_DISPATCH_TRANSACTION};
    case CLASS_OWN:
        return own(table, (enum sta_own_command)rule->id, argv, argc);
    case CLASS_CONNECTION:
        return refuse(STA_REFUSAL_CONNECTION);
    case CLASS_NOT_PASSED_ON:
        return refuse(STA_REFUSAL_NOT_PASSED_ON);
    case CLASS_STREAM_READ:
        return stream_read(table, protocol, argv, argc);
    }
    return refuse(STA_REFUSAL_CONNECTION); /* no class is left */
}

bool sta_dispatch_may_send(enum sta_lane_kind current, unsigned in_flight,
                           enum sta_lane_kind wanted)
{
    return in_flight == 0 || current == wanted;
}

void sta_dispatch_keys(const struct sta_route *route, const struct strata_bytes *argv, size_t argc,
                       void (*visit)(void *arg, size_t index), void *arg)
{
    if (!route->keys_known || route->command != NULL) {
        if (route->command != NULL &&
            sta_command_keys(route->command, argv, argc, visit, arg) == STRATA_OK)
            return;
        for (size_t i = 1; i < argc && !route->keys_known; i++)
            visit(arg, i);
        return;
    }
    if (route->keys.first == 0)
        return;
    size_t last = route->keys.last < 0 ? argc + (size_t)(ptrdiff_t)route->keys.last
                                       : (size_t)route->keys.last;
    for (size_t i = (size_t)route->keys.first; i <= last && i < argc; i += (size_t)route->keys.step)
        visit(arg, i);
}
