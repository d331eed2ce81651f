/* SPDX-License-Identifier: MIT
 *
 * strata cluster: one look at a Redis Cluster, or one after another until it is interrupted.
 *
 * Threads: events come on the monitor's thread and are kept, the last EVENTS_KEPT of them, under a
 * lock; all that is printed is printed by main's.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cluster_print.h"
#include "cli/looks.h"
#include "cli/output.h"
#include "config/options.h"
#include "core/error.h"
#include "strata/options.h"
#include "strata/tls.h"

#define EVENTS_KEPT 10u
#define EVENT_CAP   640
#define URL_CAP     2048

static const struct cli_option cluster_options[] = {
    CLI_LOOKS_OPTIONS("go on looking, and tell what happens, until interrupted"),
    {0},
};

struct events {
    pthread_mutex_t lock;
    uint64_t seen; /* how many there were, ever */
    struct {
        time_t at;
        char kind[24];
        char text[EVENT_CAP];
    } kept[EVENTS_KEPT]; /* number n is at n % EVENTS_KEPT */
};

struct watch {
    const struct cli_run *run;
    enum cli_cluster_view view;
    struct cli_looks looks;
    struct events events;
    uint64_t told; /* events that are in a document already */
};

static void on_event(void *arg, const struct strata_cluster_event *event)
{
    struct events *events = arg;
    (void)pthread_mutex_lock(&events->lock);
    size_t at = events->seen++ % EVENTS_KEPT;
    events->kept[at].at = time(NULL);
    (void)snprintf(events->kept[at].kind, sizeof events->kept[at].kind, "%s",
                   strata_cluster_event_name(event->kind));
    cli_cluster_event_text(event, events->kept[at].text, EVENT_CAP);
    (void)pthread_mutex_unlock(&events->lock);
}

static uint64_t events_oldest(const struct events *events, uint64_t from)
{
    uint64_t oldest = events->seen > EVENTS_KEPT ? events->seen - EVENTS_KEPT : 0;
    return from > oldest ? from : oldest;
}

static void print_events(struct events *events)
{
    (void)pthread_mutex_lock(&events->lock);
    for (uint64_t n = events_oldest(events, 0); n < events->seen; n++) {
        char clock[16];
        struct tm when;
        size_t at = n % EVENTS_KEPT;
        (void)strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&events->kept[at].at, &when));
        (void)printf("%s%s  ", n == events_oldest(events, 0) ? "\n" : "", clock);
        cli_output_value(strata_text(events->kept[at].text));
        (void)putchar('\n');
    }
    (void)pthread_mutex_unlock(&events->lock);
}

/* Those since the last document. */
static json_t *events_json(struct watch *watch)
{
    struct events *events = &watch->events;
    json_t *list = json_array();
    (void)pthread_mutex_lock(&events->lock);
    for (uint64_t n = events_oldest(events, watch->told); n < events->seen; n++) {
        size_t at = n % EVENTS_KEPT;
        (void)json_array_append_new(list, json_pack("{s:s, s:s}", "event", events->kept[at].kind,
                                                    "text", events->kept[at].text));
    }
    watch->told = events->seen;
    (void)pthread_mutex_unlock(&events->lock);
    return list;
}

static enum cli_exit show(struct watch *watch, const struct strata_cluster_info *info)
{
    bool serves =
        strcmp(info->cluster_state, "ok") == 0 || strcmp(info->cluster_state, "standalone") == 0;
    bool watching = watch->looks.watching;
    enum cli_exit code = serves ? CLI_OK : CLI_NEGATIVE;
    if (watch->run->json) {
        json_t *document = cli_cluster_json(watch->view, info);
        if (document != NULL && watching)
            (void)json_object_set_new(document, "events", events_json(watch));
        return cli_output_json(document, code);
    }
    cli_looks_clear(&watch->looks);
    cli_cluster_print(watch->view, info);
    if (watching)
        print_events(&watch->events);
    if (watching && !cli_output_is_terminal())
        (void)putchar('\n');
    return code;
}

/* STRATA_OK where there was something to show; *code is its. */
static int look(struct watch *watch, struct strata_cluster *cluster, enum cli_exit *code)
{
    struct strata_cluster_info *info = NULL;
    int status = strata_cluster_get_info(cluster, &info);
    if (status == STRATA_OK)
        *code = show(watch, info);
    strata_cluster_info_free(&info);
    return status;
}

/* While it watches, a cluster that cannot be reached is said and waited for. */
static enum cli_exit look_on(struct watch *watch, struct strata_cluster *cluster)
{
    enum cli_exit code = CLI_OK;
    do {
        struct strata_error error;
        int status = look(watch, cluster, &code);
        if (status < 0) {
            (void)sta_error_set(&error, status, "no node has told of the cluster: %s",
                                strata_status_text(status));
            code = cli_output_failure(watch->run, &error);
        }
    } while (cli_looks_again(&watch->looks));
    return code;
}

/* --url, or what --host and --port amount to, or STRATA_URL; NULL: the environment's cluster. */
static int seed_url(const struct cli_run *run, char *text, size_t cap, const char **out,
                    struct strata_error *error)
{
    const char *const *given = run->arguments.values[0];
    const char *environment = getenv(CLI_TARGET_VARIABLE);
    *out = given[CLI_OPTION_URL];
    if (*out == NULL && given[CLI_OPTION_HOST] == NULL && given[CLI_OPTION_PORT] == NULL) {
        *out = environment != NULL && environment[0] != '\0' ? environment : NULL;
        return STRATA_OK;
    }
    struct cli_target target = {.tls = NULL};
    int status = cli_target_resolve(&run->arguments, NULL, &target, error);
    if (status == STRATA_OK && *out == NULL) {
        sta_redis_url_format(&target.url, text, cap); /* of a host and a port: no password in it */
        *out = text;
    }
    cli_target_close(&target);
    return status;
}

static int find_view(const char *name, enum cli_cluster_view *view, struct strata_error *error)
{
    for (size_t i = 0; i < CLI_CLUSTER_VIEWS; i++) {
        if (strcmp(name, cli_cluster_view_names[i]) == 0) {
            *view = (enum cli_cluster_view)i;
            return STRATA_OK;
        }
    }
    return sta_error_set(error, STRATA_ERR_INVALID, "cluster %.100s: info, nodes or map", name);
}

static int read_options(struct cli_run *run, struct watch *watch, struct strata_error *error)
{
    int status = find_view(run->operands[0], &watch->view, error);
    if (status == STRATA_OK)
        status = cli_looks_read(&watch->looks, run, error);
    return status;
}

/* What the monitor takes for a pause between its looks. */
static uint64_t in_range(uint64_t ms)
{
    return ms < 100 ? 100 : ms > 3600000 ? 3600000 : ms;
}

/* Files and names for rediss://; the strings are the environment's own. */
static int read_tls(struct strata_cluster_options *options, struct strata_error *error)
{
    struct strata_options said = {0};
    int status = sta_options_read_tls(&said, environ, error);
    options->tls_provider = strata_tls_openssl();
    options->tls_ca_file = said.tls_ca_file;
    options->tls_ca_dir = said.tls_ca_dir;
    options->tls_crl_file = said.tls_crl_file;
    options->tls_cert_file = said.tls_cert_file;
    options->tls_key_file = said.tls_key_file;
    options->tls_key_password = said.tls_key_password;
    options->tls_server_name = said.tls_server_name;
    options->tls_verify = said.tls_verify;
    return status;
}

/* Of the environment only what says where the cluster is, and how it is spoken to. */
static int open_cluster(struct strata_cluster **cluster, struct strata_cluster_options *options,
                        struct strata_error *error)
{
    struct strata_options environment = {0};
    int status = STRATA_OK;
    if (options->redis_url == NULL) {
        status = strata_options_from_environment(&environment, error);
        options->redis_url = environment.redis_url;
        options->cluster_nodes = environment.cluster_nodes;
        options->cluster_node_count = environment.cluster_node_count;
    }
    if (status == STRATA_OK)
        status = read_tls(options, error);
    if (status == STRATA_OK)
        status = strata_cluster_open(cluster, options, error);
    strata_options_fini(&environment);
    return status;
}

static enum cli_exit run_cluster(struct cli_run *run)
{
    struct watch watch = {.run = run};
    struct strata_cluster *cluster = NULL;
    struct strata_error error;
    char text[URL_CAP];
    struct strata_cluster_options options = {.on_event = on_event, .event_arg = &watch.events};
    int status = read_options(run, &watch, &error);
    if (status == STRATA_OK)
        status = seed_url(run, text, sizeof text, &options.redis_url, &error);
    if (status < 0)
        return cli_output_failure(run, &error);
    (void)pthread_mutex_init(&watch.events.lock, NULL);
    options.interval_ms = in_range(watch.looks.interval_ms);
    options.timeout_ms = in_range(run->timeout_ms);
    status = open_cluster(&cluster, &options, &error);
    enum cli_exit code = status < 0 ? cli_output_failure(run, &error) : look_on(&watch, cluster);
    strata_cluster_close(&cluster);
    return code;
}

const struct cli_command cli_command_cluster = {
    .name = "cluster",
    .operands = "info|nodes|map",
    .summary = "show a Redis Cluster: its state, its nodes, or who serves which slots",
    .text = "Without --url, --host, --port and STRATA_URL it begins at REDIS_CLUSTER_NODES, or at\n"
            "ROUTER_REDIS_URL. Exit code 1 where the cluster does not serve.",
    .least = 1,
    .most = 1,
    .options = cluster_options,
    .run = run_cluster,
};
