/* SPDX-License-Identifier: MIT
 *
 * Private Redis Clusters for tests: the nodes. A cluster is not created by MEET and gossip: each
 * node is given a nodes.conf that says what it would have learned, and reads it as after a
 * restart. That is the file Redis itself writes, and nothing is left to wait for but the links.
 */
#include "support/redis_cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "support/port.h"
#include "support/redis_cluster_inside.h"
#include "support/wait.h"

#define START_TRIES 5
#define ASK_SECONDS 5

/* ---- creation ---- */

static struct redis_cluster_config with_defaults(const struct redis_cluster_config *config)
{
    struct redis_cluster_config full = {0};
    if (config != NULL)
        full = *config;
    full.primaries = full.primaries != 0 ? full.primaries : 3;
    full.node_timeout_ms = full.node_timeout_ms != 0 ? full.node_timeout_ms : 2000;
    full.host = full.host != NULL ? full.host : "127.0.0.1";
    return full;
}

static void draw_id(char id[NODE_ID_LEN + 1])
{
    unsigned char bytes[NODE_ID_LEN / 2];
    (void)getrandom(bytes, sizeof bytes, 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

static int draw_ports(const struct redis_cluster *cluster, struct cluster_node *node)
{
    const char *told = cluster->config.client_host;
    told = told != NULL ? told : cluster->config.host;
    node->port = port_choose(cluster->config.host);
    do {
        node->bus_port = port_choose(cluster->config.host);
    } while (node->bus_port > 0 && node->bus_port == node->port);
    (void)snprintf(node->port_text, sizeof node->port_text, "%d", node->port);
    (void)snprintf(node->bus_port_text, sizeof node->bus_port_text, "%d", node->bus_port);
    (void)snprintf(node->address, sizeof node->address,
                   strchr(told, ':') != NULL ? "[%s]:%d" : "%s:%d", told, node->port);
    redis_server_set_port(node->server, node->port);
    return node->port > 0 && node->bus_port > 0 ? 0 : -1;
}

static int add_options(const struct redis_cluster *cluster, struct cluster_node *node)
{
    const char *const fixed[] = {
        "--bind",
        cluster->config.host,
        "--cluster-enabled",
        "yes",
        "--cluster-config-file",
        "nodes.conf",
        "--cluster-port",
        node->bus_port_text,
        "--cluster-announce-ip",
        cluster->config.host,
        "--cluster-node-timeout",
        cluster->node_timeout_text,
        "--repl-diskless-sync-delay",
        "0",
        "--repl-ping-replica-period",
        "1",
        "--enable-debug-command",
        "local",
        "--loglevel",
        "notice",
        NULL,
    };
    return redis_server_add_args(node->server, fixed);
}

static int add_choices(const struct redis_cluster *cluster, struct cluster_node *node)
{
    const struct redis_cluster_config *config = &cluster->config;
    const char *const told[] = {"--cluster-announce-hostname", config->client_host,
                                "--cluster-preferred-endpoint-type", "hostname", NULL};
    const char *const password[] = {"--requirepass", config->password, "--masterauth",
                                    config->password, NULL};
    const char *const tls[] = {
        "--port", "0", "--tls-port", node->port_text, "--tls-cluster", "yes", "--tls-replication",
        "yes",    NULL};
    if (config->client_host != NULL && redis_server_add_args(node->server, told) != 0)
        return -1;
    if (config->password != NULL && redis_server_add_args(node->server, password) != 0)
        return -1;
    if (config->tls_args != NULL && (redis_server_add_args(node->server, tls) != 0 ||
                                     redis_server_add_args(node->server, config->tls_args) != 0))
        return -1;
    return redis_server_add_args(node->server, config->more_args);
}

/* A node with all that it needs to be started. */
static int prepare_node(struct redis_cluster *cluster)
{
    if (cluster->count == REDIS_CLUSTER_NODES) {
        (void)fprintf(stderr, "too many nodes\n");
        return -1;
    }
    struct cluster_node *node = &cluster->nodes[cluster->count++];
    draw_id(node->id);
    if (redis_server_create(&node->server) != 0 || draw_ports(cluster, node) != 0)
        return -1;
    return add_options(cluster, node) == 0 ? add_choices(cluster, node) : -1;
}

/* A line of nodes.conf about node `i`, as in the file of node `of`. */
static void write_line(const struct redis_cluster *cluster, unsigned i, unsigned of, FILE *file)
{
    const struct cluster_node *node = &cluster->nodes[i];
    unsigned primaries = cluster->config.primaries;
    unsigned shard = i % primaries;
    bool primary = i < primaries;
    const char *name = cluster->config.client_host;
    (void)fprintf(file, "%s %s:%d@%d%s%s %s%s %s 0 0 %u connected", node->id, cluster->config.host,
                  node->port, node->bus_port, name != NULL ? "," : "", name != NULL ? name : "",
                  i == of ? "myself," : "", primary ? "master" : "slave",
                  primary ? "-" : cluster->nodes[shard].id, shard + 1);
    if (primary)
        (void)fprintf(file, " %u-%u", shard * REDIS_CLUSTER_SLOTS / primaries,
                      (shard + 1) * REDIS_CLUSTER_SLOTS / primaries - 1);
    (void)fputc('\n', file);
}

static int write_nodes_conf(const struct redis_cluster *cluster, unsigned of)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/nodes.conf",
                   redis_server_folder(cluster->nodes[of].server));
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    for (unsigned i = 0; i < cluster->count; i++)
        write_line(cluster, i, of, file);
    (void)fprintf(file, "vars currentEpoch %u lastVoteEpoch 0\n", cluster->config.primaries);
    return fclose(file) == 0 ? 0 : -1;
}

/* All nodes at once: each spends its time waiting. */
static int launch_all(struct redis_cluster *cluster)
{
    int result = 0;
    for (unsigned i = 0; i < cluster->count && result == 0; i++)
        result = write_nodes_conf(cluster, i);
    for (unsigned i = 0; i < cluster->count && result == 0; i++)
        result = redis_server_spawn(cluster->nodes[i].server);
    for (unsigned i = 0; i < cluster->count && result == 0; i++) {
        result = redis_server_await(cluster->nodes[i].server);
        if (result < 0)
            redis_server_print_log(cluster->nodes[i].server);
    }
    return result;
}

/* One attempt: 0, 1 where a port was taken by somebody, else -1. */
static int create(struct redis_cluster **out, const struct redis_cluster_config *config)
{
    struct redis_cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL)
        return -1;
    *out = cluster;
    cluster->config = with_defaults(config);
    (void)snprintf(cluster->node_timeout_text, sizeof cluster->node_timeout_text, "%u",
                   cluster->config.node_timeout_ms);
    unsigned count = cluster->config.primaries * (cluster->config.no_replicas ? 1 : 2);
    for (unsigned i = 0; i < count; i++)
        if (prepare_node(cluster) != 0)
            return -1;
    return launch_all(cluster);
}

int redis_cluster_start(struct redis_cluster **out, const struct redis_cluster_config *config)
{
    int result = 1;
    struct redis_cluster *cluster = NULL;
    for (int i = 0; i < START_TRIES && result == 1; i++) {
        redis_cluster_stop(&cluster);
        result = create(&cluster, config);
    }
    if (result == 0)
        result = redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS);
    if (result != 0) {
        redis_cluster_stop(&cluster);
        return -1;
    }
    *out = cluster;
    return 0;
}

void redis_cluster_stop(struct redis_cluster **cluster)
{
    if (*cluster == NULL)
        return;
    for (unsigned i = 0; i < (*cluster)->count; i++)
        redis_server_stop(&(*cluster)->nodes[i].server);
    free(*cluster);
    *cluster = NULL;
}

/* ---- nodes ---- */

unsigned redis_cluster_count(const struct redis_cluster *cluster)
{
    return cluster->count;
}

bool redis_cluster_runs(const struct redis_cluster *cluster, unsigned node)
{
    const struct cluster_node *it = &cluster->nodes[node];
    return it->server != NULL && !it->frozen && redis_server_pid(it->server) != 0;
}

int redis_cluster_port(const struct redis_cluster *cluster, unsigned node)
{
    return cluster->nodes[node].port;
}

const char *redis_cluster_socket(const struct redis_cluster *cluster, unsigned node)
{
    return redis_server_socket(cluster->nodes[node].server);
}

const char *redis_cluster_id(const struct redis_cluster *cluster, unsigned node)
{
    return cluster->nodes[node].id;
}

pid_t redis_cluster_pid(const struct redis_cluster *cluster, unsigned node)
{
    return redis_server_pid(cluster->nodes[node].server);
}

const char *redis_cluster_address(const struct redis_cluster *cluster, unsigned node)
{
    return cluster->nodes[node].address;
}

int redis_cluster_find(const struct redis_cluster *cluster, const char *id)
{
    for (unsigned i = 0; i < cluster->count; i++)
        if (strcmp(cluster->nodes[i].id, id) == 0)
            return (int)i;
    return -1;
}

void redis_cluster_kill9(struct redis_cluster *cluster, unsigned node)
{
    redis_server_kill9(cluster->nodes[node].server);
    cluster->nodes[node].frozen = false;
}

void redis_cluster_freeze(struct redis_cluster *cluster, unsigned node)
{
    redis_server_freeze(cluster->nodes[node].server);
    cluster->nodes[node].frozen = true;
}

void redis_cluster_thaw(struct redis_cluster *cluster, unsigned node)
{
    redis_server_thaw(cluster->nodes[node].server);
    cluster->nodes[node].frozen = false;
}

int redis_cluster_restart(struct redis_cluster *cluster, unsigned node)
{
    cluster->nodes[node].frozen = false;
    return redis_server_restart(cluster->nodes[node].server);
}

int redis_cluster_relocate(struct redis_cluster *cluster, unsigned node)
{
    redis_cluster_kill9(cluster, node);
    if (draw_ports(cluster, &cluster->nodes[node]) != 0)
        return -1;
    return redis_cluster_restart(cluster, node);
}

/* ---- more nodes, fewer nodes ---- */

struct acquaintance {
    const struct redis_cluster *cluster;
    unsigned node;
};

static bool knows(const struct redis_cluster *cluster, unsigned node, unsigned other)
{
    redisReply *reply = redis_cluster_ask(cluster, node, "CLUSTER NODES");
    bool yes = reply != NULL && reply->type == REDIS_REPLY_STRING &&
               strstr(reply->str, cluster->nodes[other].id) != NULL;
    freeReplyObject(reply);
    return yes;
}

static bool all_know_each_other(void *arg)
{
    const struct acquaintance *it = arg;
    for (unsigned i = 0; i < it->cluster->count; i++)
        if (redis_cluster_runs(it->cluster, i) &&
            (!knows(it->cluster, i, it->node) || !knows(it->cluster, it->node, i)))
            return false;
    return true;
}

/* The id that a new node has given itself. */
static int learn_id(struct redis_cluster *cluster, unsigned node)
{
    redisReply *reply = redis_cluster_ask(cluster, node, "CLUSTER MYID");
    bool good = reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == NODE_ID_LEN;
    if (good)
        memcpy(cluster->nodes[node].id, reply->str, NODE_ID_LEN + 1);
    freeReplyObject(reply);
    return good ? 0 : -1;
}

static int introduce(struct redis_cluster *cluster, unsigned node)
{
    struct acquaintance it = {.cluster = cluster, .node = node};
    for (unsigned i = 0; i < node; i++)
        if (redis_cluster_runs(cluster, i) &&
            redis_cluster_tell(cluster, node, "CLUSTER MEET %s %d %d", cluster->config.host,
                               cluster->nodes[i].port, cluster->nodes[i].bus_port) != 0)
            return -1;
    if (wait_until(all_know_each_other, &it, REDIS_CLUSTER_WAIT_MS))
        return 0;
    (void)fprintf(stderr, "node %u did not become known to the others\n", node);
    return -1;
}

int redis_cluster_add(struct redis_cluster *cluster, int of)
{
    unsigned node = cluster->count;
    int result = prepare_node(cluster);
    for (int i = 0; i < START_TRIES && result == 0; i++) {
        result = redis_cluster_restart(cluster, node);
        if (result == 0)
            break;
        result = draw_ports(cluster, &cluster->nodes[node]);
    }
    if (result != 0 || learn_id(cluster, node) != 0 || introduce(cluster, node) != 0)
        return -1;
    if (of >= 0 &&
        redis_cluster_tell(cluster, node, "CLUSTER REPLICATE %s", cluster->nodes[of].id) != 0)
        return -1;
    return redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS) == 0 ? (int)node : -1;
}

int redis_cluster_remove(struct redis_cluster *cluster, unsigned node)
{
    redis_cluster_kill9(cluster, node);
    cluster->nodes[node].removed = true;
    for (unsigned i = 0; i < cluster->count; i++)
        if (redis_cluster_runs(cluster, i) &&
            redis_cluster_tell(cluster, i, "CLUSTER FORGET %s", cluster->nodes[node].id) != 0)
            return -1;
    return 0;
}

/* ---- commands ---- */

redisContext *redis_cluster_connect(const struct redis_cluster *cluster, unsigned node)
{
    const struct timeval patience = {.tv_sec = ASK_SECONDS};
    redisContext *redis =
        redisConnectUnixWithTimeout(redis_cluster_socket(cluster, node), patience);
    if (redis == NULL || redis->err != 0 || redisSetTimeout(redis, patience) != REDIS_OK) {
        if (redis != NULL)
            redisFree(redis);
        return NULL;
    }
    if (cluster->config.password != NULL)
        freeReplyObject(redisCommand(redis, "AUTH %s", cluster->config.password));
    return redis;
}

static redisReply *ask(const struct redis_cluster *cluster, unsigned node, const char *format,
                       va_list values)
{
    redisContext *redis = redis_cluster_connect(cluster, node);
    redisReply *reply = NULL;
    if (redis != NULL) {
        reply = redisvCommand(redis, format, values);
        redisFree(redis);
    }
    return reply;
}

redisReply *redis_cluster_ask(const struct redis_cluster *cluster, unsigned node,
                              const char *format, ...)
{
    va_list values;
    va_start(values, format);
    redisReply *reply = ask(cluster, node, format, values);
    va_end(values);
    return reply;
}

/* Whether a command has succeeded; says on stderr why not. */
static int judge(unsigned node, const char *command, redisReply *reply)
{
    bool good = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    if (!good)
        (void)fprintf(stderr, "node %u: %s: %s\n", node, command,
                      reply != NULL ? reply->str : "no answer");
    freeReplyObject(reply);
    return good ? 0 : -1;
}

int redis_cluster_tell(const struct redis_cluster *cluster, unsigned node, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    redisReply *reply = ask(cluster, node, format, values);
    va_end(values);
    return judge(node, format, reply);
}

int redis_cluster_tell_words(const struct redis_cluster *cluster, unsigned node, int count,
                             const char **words, const size_t *lens)
{
    redisContext *redis = redis_cluster_connect(cluster, node);
    redisReply *reply = redis != NULL ? redisCommandArgv(redis, count, words, lens) : NULL;
    if (redis != NULL)
        redisFree(redis);
    return judge(node, words[0], reply);
}

/* The sum of calls= over the lines of INFO commandstats whose command begins with `name`. */
static uint64_t count_calls(const char *info, const char *name)
{
    uint64_t calls = 0;
    const char *line = strstr(info, "cmdstat_");
    for (; line != NULL; line = strstr(line + 1, "cmdstat_")) {
        const char *number = strstr(line, ":calls=");
        if (number != NULL && strncmp(line + strlen("cmdstat_"), name, strlen(name)) == 0)
            calls += strtoull(number + strlen(":calls="), NULL, 10);
    }
    return calls;
}

uint64_t redis_cluster_calls(const struct redis_cluster *cluster, const char *name)
{
    uint64_t calls = 0;
    for (unsigned i = 0; i < cluster->count; i++) {
        redisReply *reply = redis_cluster_runs(cluster, i)
                                ? redis_cluster_ask(cluster, i, "INFO commandstats")
                                : NULL;
        if (reply != NULL && reply->type == REDIS_REPLY_STRING)
            calls += count_calls(reply->str, name);
        freeReplyObject(reply);
    }
    return calls;
}
