/* SPDX-License-Identifier: MIT
 *
 * strata doctor: asks the configuration, Redis and stratad, and says what is wrong and what to do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/output.h"
#include "cli/resp_client.h"
#include "cli/stats.h"
#include "config/options.h"
#include "core/clock.h"
#include "net/endpoint.h"
#include "strata/options.h"

enum { DOCTOR_REDIS };

#define PINGS    20u
#define INFO_CAP (64u << 10)

static const struct cli_option doctor_options[] = {
    [DOCTOR_REDIS] = {"redis", "URL", "the Redis to look at; default: the one that is configured"},
    {0},
};

struct doctor {
    const struct cli_run *run;
    struct cli_doctor_report report;
    struct strata_options configuration;
    bool configured; /* else `configuration` is not valid */
    struct cli_resp_client *redis;
    char *info; /* INFO_CAP bytes */
};

/* Up to four words, and the answer as text in doctor->info; an error reply's text there as well. */
static int ask(struct doctor *doctor, const char *const words[4])
{
    struct strata_bytes argv[4];
    size_t argc = 0;
    struct sta_resp_value value;
    struct strata_error error = {0};
    for (; argc < 4 && words[argc] != NULL; argc++)
        argv[argc] = strata_text(words[argc]);
    int status = cli_resp_client_call(doctor->redis, argv, argc, &value, &error);
    if (status == STRATA_OK)
        (void)snprintf(doctor->info, INFO_CAP, "%.*s", (int)value.bytes.len,
                       (const char *)value.bytes.data);
    else
        (void)snprintf(doctor->info, INFO_CAP, "%s", error.text);
    return status;
}

static int by_size(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static void look_at_latency(struct doctor *doctor)
{
    uint64_t times_ns[PINGS];
    size_t count = 0;
    const char *const ping[4] = {"PING"};
    for (; count < PINGS; count++) {
        uint64_t begin_ns = sta_clock_now_ns();
        if (ask(doctor, ping) != STRATA_OK)
            break;
        times_ns[count] = sta_clock_now_ns() - begin_ns;
    }
    qsort(times_ns, count, sizeof *times_ns, by_size);
    uint64_t budget_ms = doctor->configuration.socket_timeout_ms;
    cli_doctor_latency(&doctor->report, times_ns, count, budget_ms > 0 ? budget_ms : 5000);
}

/* Asks for what a tracked connection asks; in RESP2 the invalidations need a connection to go to,
 * and this one will do. */
static void look_at_tracking(struct doctor *doctor)
{
    struct strata_bytes argv[5] = {strata_text("CLIENT"), strata_text("TRACKING"),
                                   strata_text("ON"), strata_text("REDIRECT")};
    const struct strata_bytes id[] = {strata_text("CLIENT"), strata_text("ID")};
    struct sta_resp_value value;
    struct strata_error error = {0};
    char number[24];
    if (cli_resp_client_send(doctor->redis, id, 2, &error) != STRATA_OK ||
        cli_resp_client_reply(doctor->redis, &value, &error) != STRATA_OK)
        return;
    (void)snprintf(number, sizeof number, "%lld",
                   value.type == STA_RESP_INTEGER ? (long long)value.integer : 0LL);
    argv[4] = strata_text(number);
    int status = cli_resp_client_call(doctor->redis, argv, 5, &value, &error);
    cli_doctor_tracking(&doctor->report, status == STRATA_OK ? NULL : error.text);
}

/* CONFIG is not everybody's: who may not ask is not told. */
static bool ask_table_limit(struct doctor *doctor, uint64_t *most)
{
    const struct strata_bytes argv[] = {strata_text("CONFIG"), strata_text("GET"),
                                        strata_text("tracking-table-max-keys")};
    struct sta_resp_value value;
    struct strata_error error;
    char text[24];
    if (cli_resp_client_send(doctor->redis, argv, 3, &error) != STRATA_OK ||
        cli_resp_client_reply(doctor->redis, &value, &error) != STRATA_OK ||
        value.type != STA_RESP_ARRAY || value.count != 2)
        return false;
    struct sta_resp_walk walk = sta_resp_walk(cli_resp_client_frame(doctor->redis));
    for (int i = 0; i < 3; i++) { /* the array, its name, its value */
        if (sta_resp_next(&walk, &value) != STRATA_OK)
            return false;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)value.bytes.len, (const char *)value.bytes.data);
    *most = strtoull(text, NULL, 10);
    return true;
}

static void look_at_table(struct doctor *doctor)
{
    const char *const stats[4] = {"INFO", "stats"};
    uint64_t most;
    if (ask_table_limit(doctor, &most) && ask(doctor, stats) == STRATA_OK)
        cli_doctor_table(&doctor->report, doctor->info, most);
}

static void look_inside_redis(struct doctor *doctor)
{
    const char *const info[4] = {"INFO", "everything"}, *const cluster[4] = {"CLUSTER", "INFO"};
    if (ask(doctor, info) != STRATA_OK) {
        cli_doctor_add(&doctor->report, "redis info", CLI_DOCTOR_WARN,
                       "allow INFO (ACL: +info) to have this looked at", "%.300s", doctor->info);
    } else {
        bool is_cluster = strstr(doctor->info, "cluster_enabled:1") != NULL;
        cli_doctor_info(&doctor->report, doctor->info,
                        doctor->configuration.cluster_enabled == STRATA_ON);
        if (is_cluster && ask(doctor, cluster) == STRATA_OK)
            cli_doctor_cluster(&doctor->report, doctor->info);
    }
    look_at_latency(doctor);
    look_at_table(doctor);
    look_at_tracking(doctor);
}

/* A cluster is looked at through the first of its nodes, with the URL's user, password and TLS. */
static int find_redis(const struct doctor *doctor, struct cli_target *target,
                      struct strata_error *error)
{
    const struct strata_options *configuration = &doctor->configuration;
    const char *named = cli_run_option(doctor->run, DOCTOR_REDIS);
    const char *url = named != NULL ? named : configuration->redis_url;
    int status =
        cli_target_parse("redis", url != NULL ? url : "redis://localhost:6379/0", target, error);
    if (status == STRATA_OK && named == NULL && configuration->cluster_enabled == STRATA_ON &&
        configuration->cluster_node_count > 0) /* which were checked with the rest */
        (void)sta_endpoint_parse_tcp(configuration->cluster_nodes[0], &target->url.endpoint, NULL);
    return status;
}

static void look_at_redis(struct doctor *doctor)
{
    struct cli_target target = {.tls = NULL};
    struct strata_error error = {0};
    const struct strata_bytes ping = strata_text("PING");
    struct sta_resp_value value;
    if (!doctor->configured && cli_run_option(doctor->run, DOCTOR_REDIS) == NULL) {
        cli_doctor_add(&doctor->report, "redis", CLI_DOCTOR_WARN,
                       "mend the configuration, or name Redis with --redis",
                       "not looked at: the configuration that names it is not valid");
        return;
    }
    int status = find_redis(doctor, &target, &error);
    if (status == STRATA_OK)
        status = cli_resp_client_open(&doctor->redis, &target, doctor->run->timeout_ms, &error);
    if (status == STRATA_OK) /* a frozen one is connected to all the same */
        status = cli_resp_client_call(doctor->redis, &ping, 1, &value, &error);
    if (status < 0) {
        cli_doctor_unreachable(&doctor->report, &error);
    } else {
        char text[320];
        sta_redis_url_format(&target.url, text, sizeof text);
        cli_doctor_add(&doctor->report, "redis", CLI_DOCTOR_OK, NULL, "%.300s answers", text);
        look_inside_redis(doctor);
    }
    cli_resp_client_close(&doctor->redis);
    cli_target_close(&target);
}

static void look_at_configuration(struct doctor *doctor)
{
    struct strata_error error = {0};
    struct strata_options resolved;
    doctor->configured =
        strata_options_from_environment(&doctor->configuration, &error) == STRATA_OK &&
        sta_options_resolve(&doctor->configuration, &resolved, &error) == STRATA_OK;
    if (doctor->configured)
        cli_doctor_add(&doctor->report, "configuration", CLI_DOCTOR_OK, NULL,
                       "the environment is valid");
    else
        cli_doctor_add(&doctor->report, "configuration", CLI_DOCTOR_FAIL,
                       "mend it; strata config shows where each value comes from", "%.300s",
                       error.text);
}

static void look_at_stratad(struct doctor *doctor)
{
    struct strata_error error = {0};
    json_t *document = NULL;
    int status = cli_stats_ask(doctor->run, &document, &error);
    if (status == STRATA_OK)
        cli_doctor_stats(&doctor->report, document);
    else if (status == STRATA_ERR_UNSUPPORTED)
        cli_doctor_add(&doctor->report, "stratad", CLI_DOCTOR_WARN,
                       "name stratad with --url or --port, and Redis with --redis", "%.300s",
                       error.text);
    else
        cli_doctor_add(&doctor->report, "stratad", CLI_DOCTOR_WARN,
                       "start it, or name it with --url or --port; the library needs none",
                       "%.300s", error.text);
    json_decref(document);
}

static const char *state_name(enum cli_doctor_state state)
{
    static const char *const names[] = {
        [CLI_DOCTOR_OK] = "ok", [CLI_DOCTOR_WARN] = "warn", [CLI_DOCTOR_FAIL] = "fail"};
    return names[state];
}

static json_t *report_json(const struct cli_doctor_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->count && list != NULL; i++) {
        const struct cli_doctor_finding *finding = &report->findings[i];
        json_t *one = json_pack("{s:s, s:s, s:s}", "check", finding->check, "state",
                                state_name(finding->state), "advice",
                                finding->advice != NULL ? finding->advice : "");
        (void)cli_output_member(one, "text", strata_text(finding->text));
        (void)json_array_append_new(list, one);
    }
    return json_pack("{s:o}", "checks", list);
}

static void print_report(const struct cli_doctor_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct cli_doctor_finding *finding = &report->findings[i];
        (void)printf("%-4s  %-14s  ", state_name(finding->state), finding->check);
        cli_output_value(strata_text(finding->text));
        (void)putchar('\n');
        if (finding->advice != NULL)
            (void)printf("%22s%s\n", "-> ", finding->advice);
    }
}

static enum cli_exit run_doctor(struct cli_run *run)
{
    struct doctor doctor = {.run = run, .info = malloc(INFO_CAP)};
    if (doctor.info == NULL) {
        cli_output_complain("out of memory");
        return CLI_NEGATIVE;
    }
    look_at_configuration(&doctor);
    look_at_redis(&doctor);
    look_at_stratad(&doctor);
    strata_options_fini(&doctor.configuration);
    free(doctor.info);
    enum cli_exit code =
        cli_doctor_worst(&doctor.report) == CLI_DOCTOR_FAIL ? CLI_NEGATIVE : CLI_OK;
    if (run->json)
        return cli_output_json(report_json(&doctor.report), code);
    print_report(&doctor.report);
    return code;
}

const struct cli_command cli_command_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "look for what is wrong, and say what to do",
    .text = "Looks at the configuration here, at Redis and at stratad. Exit code 1 where a check\n"
            "fails; a warning is none.",
    .connects = true,
    .options = doctor_options,
    .run = run_doctor,
};
