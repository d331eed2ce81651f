/* SPDX-License-Identifier: MIT
 *
 * What strata cluster shows: of one look at a cluster, the summary, the nodes, or the slots. As
 * lines for people, whose columns are as wide as what stands in them, or as a JSON document.
 */
#ifndef CLI_CLUSTER_PRINT_H
#define CLI_CLUSTER_PRINT_H

#include <jansson.h>
#include <stddef.h>

#include "strata/cluster.h"

enum cli_cluster_view { CLI_CLUSTER_INFO, CLI_CLUSTER_NODES, CLI_CLUSTER_MAP, CLI_CLUSTER_VIEWS };

/* As they are called on the command line. */
extern const char *const cli_cluster_view_names[CLI_CLUSTER_VIEWS];

/* To standard output. */
void cli_cluster_print(enum cli_cluster_view view, const struct strata_cluster_info *info);

/* The summary is in each; NULL where memory is out. */
json_t *cli_cluster_json(enum cli_cluster_view view, const struct strata_cluster_info *info);

/* An event as a line for people, without its newline. */
void cli_cluster_event_text(const struct strata_cluster_event *event, char *text, size_t cap);

#endif
