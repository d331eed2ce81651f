/* SPDX-License-Identifier: MIT
 *
 * Following redirects; see route.h. nodes[0] is the run's target. A node is found by its endpoint's
 * text, as the cluster gave it: two names for one machine are two connections, and no harm.
 */
#include "cli/route.h"

#include <stdlib.h>

#include "core/error.h"
#include "l2/redirect.h"

struct route_node {
    struct sta_endpoint endpoint;
    struct cli_resp_client *client;
};

struct cli_route {
    const struct cli_run *run;
    struct route_node *nodes;
    size_t count;
};

/* Connects to `endpoint` as the run's URL says: its user, its password, its TLS. */
static int route_add(struct cli_route *route, const struct sta_endpoint *endpoint,
                     struct strata_error *error)
{
    struct route_node *nodes = realloc(route->nodes, (route->count + 1) * sizeof *nodes);
    if (nodes == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    route->nodes = nodes;
    struct cli_target target = route->run->target;
    target.url.endpoint = *endpoint;
    struct route_node node = {.endpoint = *endpoint};
    int status = cli_resp_client_open(&node.client, &target, route->run->timeout_ms, error);
    if (status == STRATA_OK)
        nodes[route->count++] = node;
    return status;
}

int cli_route_open(struct cli_route **out, const struct cli_run *run, struct strata_error *error)
{
    struct cli_route *route = calloc(1, sizeof *route);
    if (route == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    route->run = run;
    int status = route_add(route, &run->target.url.endpoint, error);
    if (status < 0)
        cli_route_close(&route);
    *out = route;
    return status;
}

void cli_route_close(struct cli_route **route)
{
    if (*route == NULL)
        return;
    for (size_t i = 0; i < (*route)->count; i++)
        cli_resp_client_close(&(*route)->nodes[i].client);
    free((*route)->nodes);
    free(*route);
    *route = NULL;
}

int cli_route_send(struct cli_route *route, const struct strata_bytes *argv, size_t argc,
                   struct strata_error *error)
{
    return cli_resp_client_send(route->nodes[0].client, argv, argc, error);
}

/* The node's place in nodes[], connected to where it is new. */
static int route_find(struct cli_route *route, const struct sta_endpoint *endpoint, size_t *out,
                      struct strata_error *error)
{
    /* The target itself may still have replies to come; a command for it takes a connection of its
     * own. */
    for (size_t i = 1; i < route->count; i++) {
        if (sta_endpoint_equal(&route->nodes[i].endpoint, endpoint)) {
            *out = i;
            return STRATA_OK;
        }
    }
    *out = route->count;
    return route_add(route, endpoint, error);
}

/* Sends the command, after ASKING where `ask`, and takes its reply. */
static int route_ask(struct cli_resp_client *client, bool ask, const struct strata_bytes *argv,
                     size_t argc, struct sta_resp_value *value, struct strata_error *error)
{
    const struct strata_bytes asking = strata_text("ASKING");
    int status = ask ? cli_resp_client_send(client, &asking, 1, error) : STRATA_OK;
    if (status == STRATA_OK)
        status = cli_resp_client_send(client, argv, argc, error);
    if (status == STRATA_OK && ask)
        status = cli_resp_client_reply(client, value, error);
    return status == STRATA_OK ? cli_resp_client_reply(client, value, error) : status;
}

/* Whether the reply names a node that can be asked. */
static bool leads_on(const struct sta_resp_value *value, const struct sta_endpoint *answered_by,
                     struct sta_redirect *redirect)
{
    if (value->type != STA_RESP_ERROR && value->type != STA_RESP_BULK_ERROR)
        return false;
    sta_redirect_parse(redirect, value->bytes, answered_by);
    return (redirect->kind == STA_REDIRECT_MOVED || redirect->kind == STA_REDIRECT_ASKED) &&
           redirect->endpoint.address[0] != '\0';
}

int cli_route_reply(struct cli_route *route, const struct strata_bytes *argv, size_t argc,
                    struct sta_resp_value *value, struct strata_error *error)
{
    struct sta_redirect redirect;
    size_t at = 0;
    int status = cli_resp_client_reply(route->nodes[0].client, value, error);
    for (unsigned hops = 0; status == STRATA_OK && hops < CLI_ROUTE_HOPS; hops++) {
        if (!leads_on(value, &route->nodes[at].endpoint, &redirect))
            return STRATA_OK;
        status = route_find(route, &redirect.endpoint, &at, error);
        if (status == STRATA_OK)
            status = route_ask(route->nodes[at].client, redirect.kind == STA_REDIRECT_ASKED, argv,
                               argc, value, error);
    }
    return status;
}
