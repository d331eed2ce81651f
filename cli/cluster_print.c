/* SPDX-License-Identifier: MIT
 *
 * See cluster_print.h. Addresses and ids come from the cluster: escaped, like all that is not ours.
 */
#include "cli/cluster_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"

#define COLUMNS_MAX 9
#define CELL_CAP    300

const char *const cli_cluster_view_names[CLI_CLUSTER_VIEWS] = {"info", "nodes", "map"};

static const char *role_name(enum strata_node_role role)
{
    return role == STRATA_NODE_PRIMARY ? "primary" : "replica";
}

static const char *state_name(enum strata_node_state state)
{
    static const char *const names[] = {[STRATA_NODE_UP] = "up",
                                        [STRATA_NODE_SUSPECT] = "suspect",
                                        [STRATA_NODE_DOWN] = "down",
                                        [STRATA_NODE_FAILED] = "failed",
                                        [STRATA_NODE_UNKNOWN] = "unknown"};
    return names[state];
}

/* A node is told of by its address, and by its id where it has none. */
static const char *name_of(const struct strata_cluster_node *node)
{
    return node->address[0] != '\0' ? node->address : node->id;
}

static const struct strata_cluster_node *node_by_id(const struct strata_cluster_info *info,
                                                    const char *id)
{
    for (unsigned i = 0; i < info->total_nodes; i++)
        if (strcmp(info->nodes[i].id, id) == 0)
            return &info->nodes[i];
    return NULL;
}

/* ---- lines ---- */

typedef void (*row_writer)(const struct strata_cluster_info *info, size_t row,
                           char cells[COLUMNS_MAX][CELL_CAP]);

static void print_row(char cells[COLUMNS_MAX][CELL_CAP], const size_t *widths, size_t columns)
{
    for (size_t column = 0; column < columns; column++) {
        size_t len = strlen(cells[column]);
        cli_output_value(strata_bytes(cells[column], len));
        if (column + 1 < columns)
            (void)printf("%*s", (int)(widths[column] - len + 2), "");
    }
    (void)putchar('\n');
}

/* Each row is written twice: for the widths, and to be printed. */
static void print_table(const struct strata_cluster_info *info, const char *const *heads,
                        size_t columns, size_t rows, row_writer write)
{
    char cells[COLUMNS_MAX][CELL_CAP];
    size_t widths[COLUMNS_MAX];
    for (size_t column = 0; column < columns; column++)
        widths[column] = strlen(heads[column]);
    for (size_t row = 0; row < rows; row++) {
        write(info, row, cells);
        for (size_t column = 0; column < columns; column++) {
            size_t len = strlen(cells[column]);
            widths[column] = len > widths[column] ? len : widths[column];
        }
    }
    for (size_t column = 0; column < columns; column++)
        (void)snprintf(cells[column], CELL_CAP, "%s", heads[column]);
    print_row(cells, widths, columns);
    for (size_t row = 0; row < rows; row++) {
        write(info, row, cells);
        print_row(cells, widths, columns);
    }
}

static void latency_text(char *text, uint64_t ns)
{
    if (ns == 0)
        (void)snprintf(text, CELL_CAP, "-");
    else
        (void)snprintf(text, CELL_CAP, "%.3f", (double)ns / 1e6);
}

static void node_row(const struct strata_cluster_info *info, size_t row,
                     char cells[COLUMNS_MAX][CELL_CAP])
{
    const struct strata_cluster_node *node = &info->nodes[row];
    const struct strata_cluster_node *primary = node_by_id(info, node->primary_id);
    (void)snprintf(cells[0], CELL_CAP, "%s", name_of(node));
    (void)snprintf(cells[1], CELL_CAP, "%s", role_name(node->role));
    (void)snprintf(cells[2], CELL_CAP, "%s", state_name(node->state));
    (void)snprintf(cells[3], CELL_CAP, "%u", node->slots);
    if (node->role == STRATA_NODE_PRIMARY)
        (void)snprintf(cells[4], CELL_CAP, "%u replica%s", node->replicas,
                       node->replicas == 1 ? "" : "s");
    else
        (void)snprintf(cells[4], CELL_CAP, "of %s",
                       primary != NULL ? name_of(primary) : node->primary_id);
    latency_text(cells[5], node->latency_ns);
    latency_text(cells[6], node->latency_p99_ns);
    (void)snprintf(cells[7], CELL_CAP, "%" PRIu64, node->reconnects);
    (void)snprintf(cells[8], CELL_CAP, "%" PRIu64, node->timeouts + node->losses);
}

/* The replicas of a node, with a blank between; cut where there are too many for a cell. */
static void replicas_text(const struct strata_cluster_info *info, const char *id, char *text)
{
    size_t len = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < info->total_nodes && len < CELL_CAP; i++) {
        const struct strata_cluster_node *node = &info->nodes[i];
        if (node->role == STRATA_NODE_REPLICA && strcmp(node->primary_id, id) == 0)
            len += (size_t)snprintf(text + len, CELL_CAP - len, "%s%s", len > 0 ? " " : "",
                                    name_of(node));
    }
}

static void range_row(const struct strata_cluster_info *info, size_t row,
                      char cells[COLUMNS_MAX][CELL_CAP])
{
    const struct strata_cluster_range *range = &info->ranges[row];
    bool served = range->node != STRATA_CLUSTER_NOBODY;
    (void)snprintf(cells[0], CELL_CAP, "%u-%u", range->first, range->last);
    (void)snprintf(cells[1], CELL_CAP, "%u", range->last - range->first + 1u);
    (void)snprintf(cells[2], CELL_CAP, "%s",
                   served ? name_of(&info->nodes[range->node]) : "nobody");
    cells[3][0] = '\0';
    if (served)
        replicas_text(info, info->nodes[range->node].id, cells[3]);
}

static void print_info(const struct strata_cluster_info *info)
{
    (void)printf("state          %s\n", info->cluster_state);
    (void)printf("healthy nodes  %u of %u\n", info->healthy_nodes, info->total_nodes);
    (void)printf("slots          %u assigned, %u ok, %u pfail, %u fail\n", info->slots_assigned,
                 info->slots_ok, info->slots_pfail, info->slots_fail);
    (void)printf("epoch          %" PRIu64 "\n", info->current_epoch);
}

void cli_cluster_print(enum cli_cluster_view view, const struct strata_cluster_info *info)
{
    static const char *const node_heads[] = {"node", "role",   "state",      "slots", "replication",
                                             "ms",   "p99 ms", "reconnects", "errors"};
    static const char *const range_heads[] = {"slots", "count", "primary", "replicas"};
    if (view == CLI_CLUSTER_INFO)
        print_info(info);
    else if (view == CLI_CLUSTER_NODES)
        print_table(info, node_heads, sizeof node_heads / sizeof node_heads[0], info->total_nodes,
                    node_row);
    else
        print_table(info, range_heads, sizeof range_heads / sizeof range_heads[0],
                    info->range_count, range_row);
}

/* ---- JSON ---- */

static json_t *node_json(const struct strata_cluster_node *node)
{
    json_t *silent =
        node->silent_ms == UINT64_MAX ? json_null() : json_integer((json_int_t)node->silent_ms);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:I, s:I, s:I}", "id",
        node->id, "address", node->address, "role", role_name(node->role), "state",
        state_name(node->state), "primary_id", node->primary_id, "slots", (json_int_t)node->slots,
        "replicas", (json_int_t)node->replicas, "migrating", (json_int_t)node->migrating,
        "importing", (json_int_t)node->importing, "config_epoch", (json_int_t)node->config_epoch,
        "latency_ms", (double)node->latency_ns / 1e6, "latency_p99_ms",
        (double)node->latency_p99_ns / 1e6, "silent_ms", silent, "reconnects",
        (json_int_t)node->reconnects, "timeouts", (json_int_t)node->timeouts, "losses",
        (json_int_t)node->losses);
}

static json_t *range_json(const struct strata_cluster_info *info, size_t at)
{
    const struct strata_cluster_range *range = &info->ranges[at];
    bool served = range->node != STRATA_CLUSTER_NOBODY;
    return json_pack("{s:i, s:i, s:s?, s:s?}", "first", range->first, "last", range->last,
                     "address", served ? info->nodes[range->node].address : NULL, "id",
                     served ? info->nodes[range->node].id : NULL);
}

json_t *cli_cluster_json(enum cli_cluster_view view, const struct strata_cluster_info *info)
{
    json_t *list = json_array();
    json_t *document =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "cluster_state", info->cluster_state,
                  "healthy_nodes", (json_int_t)info->healthy_nodes, "total_nodes",
                  (json_int_t)info->total_nodes, "slots_assigned", (json_int_t)info->slots_assigned,
                  "slots_ok", (json_int_t)info->slots_ok, "slots_pfail",
                  (json_int_t)info->slots_pfail, "slots_fail", (json_int_t)info->slots_fail,
                  "current_epoch", (json_int_t)info->current_epoch);
    size_t count = view == CLI_CLUSTER_NODES ? info->total_nodes
                   : view == CLI_CLUSTER_MAP ? info->range_count
                                             : 0;
    int failed = list == NULL || document == NULL;
    for (size_t i = 0; i < count && !failed; i++)
        failed = json_array_append_new(list, view == CLI_CLUSTER_NODES ? node_json(&info->nodes[i])
                                                                       : range_json(info, i)) < 0;
    if (!failed && view != CLI_CLUSTER_INFO)
        failed = json_object_set(document, view == CLI_CLUSTER_NODES ? "nodes" : "slots", list) < 0;
    json_decref(list);
    if (failed) {
        json_decref(document);
        return NULL;
    }
    return document;
}

/* ---- events ---- */

void cli_cluster_event_text(const struct strata_cluster_event *event, char *text, size_t cap)
{
    const char *node = event->node[0] != '\0' ? event->node : "nobody";
    const char *from = event->from[0] != '\0' ? event->from : "nobody";
    const char *plural = event->slots == 1 ? "" : "s";
    switch (event->kind) {
    case STRATA_CLUSTER_SLOTS_MOVED:
        (void)snprintf(text, cap, "%u slot%s moved from %s to %s", event->slots, plural, from,
                       node);
        break;
    case STRATA_CLUSTER_FAILOVER:
        (void)snprintf(text, cap, "%s has taken over %u slot%s of %s", node, event->slots, plural,
                       from);
        break;
    case STRATA_CLUSTER_STATE:
        (void)snprintf(text, cap, "the cluster's state is %s", event->cluster_state);
        break;
    case STRATA_CLUSTER_NODE_DOWN:
        (void)snprintf(text, cap, "%s is down", node);
        break;
    case STRATA_CLUSTER_NODE_UP:
        (void)snprintf(text, cap, "%s is up", node);
        break;
    case STRATA_CLUSTER_NODE_ADDED:
        (void)snprintf(text, cap, "%s is in the cluster", node);
        break;
    case STRATA_CLUSTER_NODE_REMOVED:
        (void)snprintf(text, cap, "%s is not in the cluster any more", node);
        break;
    }
}
