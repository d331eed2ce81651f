/* SPDX-License-Identifier: MIT
 *
 * Commands for keys, wherever these live: sent to the server that the run names, and, where that
 * answers MOVED or ASK as a node of a cluster does, once more to the node that it names.
 *
 *     send() ... send()  ->  reply(), in the same order, each with the command that it answers
 *
 * Sending is pipelined; what is redirected is asked one command at a time, over one connection for
 * each node, which is kept. Nothing is remembered of slots: a look from outside should show what
 * the cluster says now.
 *
 * Memory: one client for the server and one for each node that was named.
 * Threads: one owner.
 */
#ifndef CLI_ROUTE_H
#define CLI_ROUTE_H

#include "cli/command.h"
#include "cli/resp_client.h"

struct cli_route;

/* Connects to the run's target. `run` stays. Errors as cli_resp_client_open(). */
int cli_route_open(struct cli_route **out, const struct cli_run *run, struct strata_error *error);

/* Sets the pointer to NULL. NULL is fine. */
void cli_route_close(struct cli_route **route);

/* As cli_resp_client_send(). */
int cli_route_send(struct cli_route *route, const struct strata_bytes *argv, size_t argc,
                   struct strata_error *error);

/* The reply to the oldest command that has none yet, which was `argv`. Its bytes die with the next
 * call. A redirect that leads nowhere within CLI_ROUTE_HOPS is handed out as the error reply that
 * it is. Errors as cli_resp_client_reply(), and those of connecting to a node. */
int cli_route_reply(struct cli_route *route, const struct strata_bytes *argv, size_t argc,
                    struct sta_resp_value *value, struct strata_error *error);

/* Redirects that one command follows. Two in a row are a slot that moves while we look. */
#define CLI_ROUTE_HOPS 5u

#endif
