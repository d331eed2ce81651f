/* SPDX-License-Identifier: MIT
 *
 * Private Redis Clusters for tests: who owns what, and moving it. What a node believes is read
 * from its CLUSTER NODES, whose lines say
 *
 *     id ip:port@bus[,name] flags primary-id ping pong epoch link slot first-last [...] ...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/redis_cluster.h"
#include "support/redis_cluster_inside.h"
#include "support/wait.h"

#define MIGRATE_KEYS   100u
#define FAILOVER_MS    5000
#define FAILOVER_TRIES 5
#define PEACE_MS       5000u /* after that primaries say anew what is theirs */
#define HANDOVER_MS    2000
#define HANDOVER_TRIES 10

/* ---- what a node believes ---- */

struct view {
    int8_t owner[REDIS_CLUSTER_SLOTS]; /* a node's number, or -1 */
    unsigned primaries;                /* a bit for each node */
    unsigned long long epoch;          /* of the node itself */
    bool primary;                      /* the node itself is */
    char missing[128];                 /* a link or a node that it misses; empty: none */
};

struct line {
    char *words[8];
    char *slots;
};

/* Splits one line in place and returns the next; NULL after the last. */
static char *split_line(char *text, struct line *line)
{
    char *end = strchr(text, '\n');
    if (end == NULL)
        return NULL;
    *end = '\0';
    char *rest = text;
    for (size_t i = 0; i < 8; i++) {
        char *word = strsep(&rest, " ");
        line->words[i] = word != NULL ? word : end;
    }
    line->slots = rest != NULL ? rest : end;
    return end + 1;
}

static void read_slots(struct view *view, char *slots, int owner)
{
    for (char *word = strsep(&slots, " "); word != NULL; word = strsep(&slots, " ")) {
        unsigned first;
        unsigned last;
        if (*word == '[' || *word == '\0') /* on its way, still owned here */
            continue;
        if (sscanf(word, "%u-%u", &first, &last) != 2)
            first = last = (unsigned)strtoul(word, NULL, 10);
        for (; first <= last && first < REDIS_CLUSTER_SLOTS; first++)
            view->owner[first] = (int8_t)owner;
    }
}

static void read_line(const struct redis_cluster *cluster, struct view *view,
                      const struct line *line)
{
    int node = redis_cluster_find(cluster, line->words[0]);
    const char *flags = line->words[2];
    if (node < 0)
        return;
    read_slots(view, line->slots, node);
    if (strstr(flags, "master") != NULL && redis_cluster_runs(cluster, (unsigned)node))
        view->primaries |= 1u << node;
    if (strstr(flags, "myself") != NULL) {
        view->epoch = strtoull(line->words[6], NULL, 10);
        view->primary = strstr(flags, "master") != NULL;
    } else if (redis_cluster_runs(cluster, (unsigned)node) &&
               (strstr(flags, "fail") != NULL || strcmp(line->words[7], "connected") != 0)) {
        (void)snprintf(view->missing, sizeof view->missing, "node %d is %s, %s", node, flags,
                       line->words[7]);
    }
}

/* Whether the node has answered. */
static bool read_view(const struct redis_cluster *cluster, unsigned node, struct view *view)
{
    struct line line;
    redisReply *reply = redis_cluster_ask(cluster, node, "CLUSTER NODES");
    bool good = reply != NULL && reply->type == REDIS_REPLY_STRING;
    memset(view, 0, sizeof *view);
    memset(view->owner, -1, sizeof view->owner);
    char *text = good ? split_line(reply->str, &line) : NULL;
    for (; text != NULL; text = split_line(text, &line))
        read_line(cluster, view, &line);
    freeReplyObject(reply);
    return good;
}

bool redis_cluster_is_primary(const struct redis_cluster *cluster, unsigned node)
{
    struct view view;
    return redis_cluster_runs(cluster, node) && read_view(cluster, node, &view) && view.primary;
}

int redis_cluster_primary(const struct redis_cluster *cluster, unsigned slot)
{
    int primary = -1;
    unsigned long long newest = 0;
    for (unsigned i = 0; i < cluster->count; i++) {
        struct view view;
        if (redis_cluster_runs(cluster, i) && read_view(cluster, i, &view) &&
            view.owner[slot] == (int)i && (primary < 0 || view.epoch > newest)) {
            primary = (int)i;
            newest = view.epoch;
        }
    }
    return primary;
}

/* Whether the text of INFO or CLUSTER INFO has the line. */
static bool says(const struct redis_cluster *cluster, unsigned node, const char *question,
                 const char *line)
{
    redisReply *reply = redis_cluster_ask(cluster, node, question);
    bool yes =
        reply != NULL && reply->type == REDIS_REPLY_STRING && strstr(reply->str, line) != NULL;
    freeReplyObject(reply);
    return yes;
}

int redis_cluster_replica(const struct redis_cluster *cluster, unsigned node)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        redisReply *reply = redis_cluster_runs(cluster, i) && i != node
                                ? redis_cluster_ask(cluster, i, "CLUSTER NODES")
                                : NULL;
        const char *myself = reply != NULL && reply->type == REDIS_REPLY_STRING
                                 ? strstr(reply->str, "myself,slave ")
                                 : NULL;
        bool found = myself != NULL && strncmp(myself + strlen("myself,slave "),
                                               cluster->nodes[node].id, NODE_ID_LEN) == 0;
        freeReplyObject(reply);
        if (found)
            return (int)i;
    }
    return -1;
}

unsigned redis_cluster_slot(const struct redis_cluster *cluster, const char *key)
{
    unsigned slot = 0;
    for (unsigned i = 0; i < cluster->count; i++) {
        redisReply *reply = redis_cluster_runs(cluster, i)
                                ? redis_cluster_ask(cluster, i, "CLUSTER KEYSLOT %s", key)
                                : NULL;
        bool answered = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
        if (answered)
            slot = (unsigned)reply->integer;
        freeReplyObject(reply);
        if (answered)
            break;
    }
    return slot;
}

/* ---- peace ---- */

struct peace {
    const struct redis_cluster *cluster;
    char missing[256]; /* empty: nothing */
};

static void check_node(struct peace *peace, unsigned node, const struct view *first)
{
    const struct redis_cluster *cluster = peace->cluster;
    struct view view;
    const char *missing = NULL;
    if (!read_view(cluster, node, &view))
        missing = "no answer";
    else if (view.missing[0] != '\0')
        missing = view.missing;
    else if (view.primaries != first->primaries) /* it would not vote for a new replica yet */
        missing = "knows other primaries than the first that runs";
    else if (memcmp(view.owner, first->owner, sizeof view.owner) != 0)
        missing = "has another slot map than the first that runs";
    else if (memchr(view.owner, -1, sizeof view.owner) != NULL)
        missing = "knows a slot without an owner";
    else if (!says(cluster, node, "CLUSTER INFO", "cluster_state:ok"))
        missing = "its cluster_state is not ok";
    else if (!view.primary && !says(cluster, node, "INFO replication", "master_link_status:up"))
        missing = "is not in step with its primary";
    if (missing != NULL)
        (void)snprintf(peace->missing, sizeof peace->missing, "node %u: %s", node, missing);
}

static bool is_peace(void *arg)
{
    struct peace *peace = arg;
    struct view first;
    bool have_first = false;
    peace->missing[0] = '\0';
    for (unsigned i = 0; i < peace->cluster->count && peace->missing[0] == '\0'; i++) {
        if (!redis_cluster_runs(peace->cluster, i))
            continue;
        have_first = have_first || read_view(peace->cluster, i, &first);
        if (have_first)
            check_node(peace, i, &first);
    }
    return have_first && peace->missing[0] == '\0';
}

static void print_logs(const struct redis_cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        (void)fprintf(stderr, "---- node %u on port %d\n", i, cluster->nodes[i].port);
        redis_server_print_log(cluster->nodes[i].server);
    }
}

int redis_cluster_settle(const struct redis_cluster *cluster, unsigned timeout_ms)
{
    struct peace peace = {.cluster = cluster};
    if (wait_until(is_peace, &peace, timeout_ms))
        return 0;
    (void)fprintf(stderr, "the cluster has not settled in %u ms: %s\n", timeout_ms, peace.missing);
    print_logs(cluster);
    return -1;
}

struct hope {
    const struct redis_cluster *cluster;
    unsigned node;
};

static bool is_promoted(void *arg)
{
    const struct hope *hope = arg;
    return redis_cluster_is_primary(hope->cluster, hope->node);
}

static bool ask_to_lead(const struct hope *hope, const char *kind)
{
    return (*kind != '\0'
                ? redis_cluster_tell(hope->cluster, hope->node, "CLUSTER FAILOVER %s", kind)
                : redis_cluster_tell(hope->cluster, hope->node, "CLUSTER FAILOVER")) == 0;
}

/* It may take several tries. The others refuse their votes to a second replica of a primary within
 * twice cluster-node-timeout, and Redis gives up after FAILOVER_MS. After a TAKEOVER, Redis 7.0
 * counts votes of the election before: the replica wins at once with an epoch that is too old, and
 * is a replica again as soon as the others have heard of it. */
int redis_cluster_failover(struct redis_cluster *cluster, unsigned replica, const char *kind)
{
    struct hope hope = {.cluster = cluster, .node = replica};
    for (int i = 0; i < FAILOVER_TRIES && ask_to_lead(&hope, kind); i++)
        if (wait_until(is_promoted, &hope, FAILOVER_MS + 500) &&
            redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS) == 0 && is_promoted(&hope))
            return 0;
    (void)fprintf(stderr, "node %u was not promoted by FAILOVER %s\n", replica, kind);
    print_logs(cluster);
    return -1;
}

/* ---- moving slots ---- */

/* The owner, who is to give the slot away; -1 with the reason on stderr. */
static int giver(const struct redis_cluster *cluster, unsigned slot, unsigned to)
{
    int from = redis_cluster_primary(cluster, slot);
    if (from >= 0 && (unsigned)from != to)
        return from;
    (void)fprintf(stderr, "slot %u is owned by %d, and is to go to %u\n", slot, from, to);
    return -1;
}

static int begin_move(const struct redis_cluster *cluster, unsigned slot, unsigned from,
                      unsigned to)
{
    if (redis_cluster_tell(cluster, to, "CLUSTER SETSLOT %u IMPORTING %s", slot,
                           cluster->nodes[from].id) != 0)
        return -1;
    return redis_cluster_tell(cluster, from, "CLUSTER SETSLOT %u MIGRATING %s", slot,
                              cluster->nodes[to].id);
}

int redis_cluster_begin_move(struct redis_cluster *cluster, unsigned slot, unsigned to)
{
    int from = giver(cluster, slot, to);
    return from >= 0 ? begin_move(cluster, slot, (unsigned)from, to) : -1;
}

/* MIGRATE of the keys in `keys`, an array reply. */
static int migrate(const struct redis_cluster *cluster, unsigned from, unsigned to,
                   const redisReply *keys)
{
    const char *words[MIGRATE_KEYS + 16] = {
        "MIGRATE", cluster->config.host, cluster->nodes[to].port_text, "", "0", "5000"};
    size_t lens[MIGRATE_KEYS + 16] = {0};
    size_t count = 6;
    if (cluster->config.password != NULL) {
        words[count++] = "AUTH";
        words[count++] = cluster->config.password;
    }
    words[count++] = "KEYS";
    for (size_t i = 0; i < count; i++)
        lens[i] = strlen(words[i]);
    for (size_t i = 0; i < keys->elements; i++, count++) {
        words[count] = keys->element[i]->str;
        lens[count] = (size_t)keys->element[i]->len;
    }
    return redis_cluster_tell_words(cluster, from, (int)count, words, lens);
}

/* Moves `most` keys at most; the number moved, or -1. */
static int move_some(const struct redis_cluster *cluster, unsigned slot, unsigned from, unsigned to,
                     unsigned most)
{
    redisReply *keys = redis_cluster_ask(cluster, from, "CLUSTER GETKEYSINSLOT %u %u", slot,
                                         most < MIGRATE_KEYS ? most : MIGRATE_KEYS);
    int moved = keys != NULL && keys->type == REDIS_REPLY_ARRAY ? (int)keys->elements : -1;
    if (moved > 0 && migrate(cluster, from, to, keys) != 0)
        moved = -1;
    freeReplyObject(keys);
    return moved;
}

static int move_keys(const struct redis_cluster *cluster, unsigned slot, unsigned from, unsigned to,
                     unsigned most)
{
    int moved = 1;
    while (moved > 0 && most > 0) {
        moved = move_some(cluster, slot, from, to, most);
        most -= moved > 0 ? (unsigned)moved : 0;
    }
    return moved < 0 ? -1 : 0;
}

int redis_cluster_move_keys(struct redis_cluster *cluster, unsigned slot, unsigned to,
                            unsigned most)
{
    int from = giver(cluster, slot, to);
    return from >= 0 ? move_keys(cluster, slot, (unsigned)from, to, most) : -1;
}

/* A primary that gives its last slot away becomes a replica by itself, and then must not be
 * told. */
static int tell_owner(const struct redis_cluster *cluster, unsigned node, unsigned slot,
                      unsigned owner)
{
    redisReply *reply = redis_cluster_ask(cluster, node, "CLUSTER SETSLOT %u NODE %s", slot,
                                          cluster->nodes[owner].id);
    bool good = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    if (!good && redis_cluster_is_primary(cluster, node))
        (void)fprintf(stderr, "node %u: SETSLOT %u: %s\n", node, slot,
                      reply != NULL ? reply->str : "no answer");
    else
        good = true;
    freeReplyObject(reply);
    return good ? 0 : -1;
}

/* The new owner first: from then on it answers, and the old one still asks clients to it. */
static int tell_all(const struct redis_cluster *cluster, unsigned slot, unsigned to)
{
    struct view view;
    if (tell_owner(cluster, to, slot, to) != 0 || !read_view(cluster, to, &view))
        return -1;
    for (unsigned i = 0; i < cluster->count; i++)
        if (i != to && (view.primaries & 1u << i) != 0 && tell_owner(cluster, i, slot, to) != 0)
            return -1;
    return 0;
}

struct handover {
    const struct redis_cluster *cluster;
    unsigned slot, to;
};

static bool is_agreed(void *arg)
{
    const struct handover *handover = arg;
    for (unsigned i = 0; i < handover->cluster->count; i++) {
        struct view view;
        if (redis_cluster_runs(handover->cluster, i) && read_view(handover->cluster, i, &view) &&
            view.primary && view.owner[handover->slot] != (int)handover->to)
            return false;
    }
    return true;
}

/* What was sent before all had been told may still be on its way: they must agree for a while. */
static bool is_agreed_for_good(struct handover *handover)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    if (!wait_until(is_agreed, handover, HANDOVER_MS))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        (void)nanosleep(&pause, NULL);
        if (!is_agreed(handover))
            return false;
    }
    return true;
}

/* Who has been told, and then hears what the old owner said before it was, believes that where the
 * old owner's epoch is the greater one: nobody else would ever say who owns the slot. */
int redis_cluster_finish_move(struct redis_cluster *cluster, unsigned slot, unsigned to)
{
    struct handover handover = {cluster, slot, to};
    for (unsigned i = 0; i < HANDOVER_TRIES; i++) {
        if (tell_all(cluster, slot, to) != 0)
            return -1;
        if (is_agreed_for_good(&handover))
            return 0;
        if (redis_cluster_tell(cluster, to, "CLUSTER BUMPEPOCH") != 0)
            return -1;
    }
    (void)fprintf(stderr, "slot %u: its nodes do not agree on node %u\n", slot, to);
    print_logs(cluster);
    return -1;
}

int redis_cluster_move_slot(struct redis_cluster *cluster, unsigned slot, unsigned to)
{
    int from = giver(cluster, slot, to);
    if (from < 0 || begin_move(cluster, slot, (unsigned)from, to) != 0 ||
        move_keys(cluster, slot, (unsigned)from, to, UINT32_MAX) != 0)
        return -1;
    return redis_cluster_finish_move(cluster, slot, to);
}

/* ---- slots without their keys ---- */

/* Sends one SETSLOT for each slot that moves in one write; counts the refusals. */
static int set_slots(const struct redis_cluster *cluster, unsigned node, const struct view *view,
                     unsigned first, unsigned last, unsigned to, bool import)
{
    int refused = 0;
    int sent = 0;
    redisReply *reply = NULL;
    redisContext *redis = redis_cluster_connect(cluster, node);
    if (redis == NULL)
        return -1;
    for (unsigned slot = first; slot <= last; slot++) {
        int from = view->owner[slot];
        if (from < 0 || (unsigned)from == to)
            continue;
        (void)redisAppendCommand(redis, "CLUSTER SETSLOT %u %s %s", slot,
                                 import ? "IMPORTING" : "NODE",
                                 cluster->nodes[import ? (unsigned)from : to].id);
        sent++;
    }
    for (; sent > 0 && redisGetReply(redis, (void **)&reply) == REDIS_OK; sent--) {
        refused += reply->type == REDIS_REPLY_ERROR;
        freeReplyObject(reply);
    }
    redisFree(redis);
    return refused == 0 && sent == 0 ? 0 : -1;
}

int redis_cluster_assign(struct redis_cluster *cluster, unsigned first, unsigned last, unsigned to)
{
    struct view view;
    if (!read_view(cluster, to, &view) ||
        set_slots(cluster, to, &view, first, last, to, true) != 0 ||
        set_slots(cluster, to, &view, first, last, to, false) != 0)
        return -1;
    for (unsigned i = 0; i < cluster->count; i++)
        if (i != to && redis_cluster_is_primary(cluster, i) &&
            set_slots(cluster, i, &view, first, last, to, false) != 0)
            return -1;
    return 0;
}
