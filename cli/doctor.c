/* SPDX-License-Identifier: MIT
 *
 * See doctor.h. docs/cli.md lists the checks.
 */
#include "cli/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

void cli_doctor_add(struct cli_doctor_report *report, const char *check,
                    enum cli_doctor_state state, const char *advice, const char *format, ...)
{
    if (report->count == CLI_DOCTOR_MOST)
        return;
    struct cli_doctor_finding *finding = &report->findings[report->count++];
    *finding = (struct cli_doctor_finding){.check = check, .state = state, .advice = advice};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
}

enum cli_doctor_state cli_doctor_worst(const struct cli_doctor_report *report)
{
    enum cli_doctor_state worst = CLI_DOCTOR_OK;
    for (size_t i = 0; i < report->count; i++) {
        if (report->findings[i].state > worst)
            worst = report->findings[i].state;
    }
    return worst;
}

void cli_doctor_unreachable(struct cli_doctor_report *report, const struct strata_error *error)
{
    switch (error->status) {
    case STRATA_ERR_DENIED:
        cli_doctor_add(report, "redis auth", CLI_DOCTOR_FAIL,
                       "mend user and password in ROUTER_REDIS_URL, the user's ACL, or, with TLS, "
                       "our certificate (STRATA_TLS_CERT_FILE)",
                       "%.300s", error->text);
        break;
    case STRATA_ERR_UNTRUSTED:
        cli_doctor_add(
            report, "redis tls", CLI_DOCTOR_FAIL,
            "see docs/operations.md, TLS: the CA, the name in the certificate, its dates", "%.300s",
            error->text);
        break;
    case STRATA_ERR_TIMEOUT:
        cli_doctor_add(report, "redis", CLI_DOCTOR_FAIL,
                       "it accepts and does not answer: log in to its host, redis-cli ping; with "
                       "rediss://, is that its tls-port?",
                       "%.300s", error->text);
        break;
    default:
        cli_doctor_add(report, "redis", CLI_DOCTOR_FAIL,
                       "is it running, and does it listen there (bind, port, protected-mode)?",
                       "%.300s", error->text);
    }
}

/* ---- INFO ---- */

/* The value of "name:value" at the beginning of a line; "" where there is none. */
static void field(const char *info, const char *name, char *value, size_t cap)
{
    size_t len = strlen(name);
    value[0] = '\0';
    for (const char *at = info; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, name, len) != 0 || at[len] != ':')
            continue;
        (void)snprintf(value, cap, "%.*s", (int)strcspn(at + len + 1, "\r\n"), at + len + 1);
        return;
    }
}

static uint64_t number(const char *info, const char *name)
{
    char value[32];
    field(info, name, value, sizeof value);
    return strtoull(value, NULL, 10);
}

static bool is(const char *info, const char *name, const char *expected)
{
    char value[64];
    field(info, name, value, sizeof value);
    return strcmp(value, expected) == 0;
}

static void judge_version(struct cli_doctor_report *report, const char *info)
{
    char version[32];
    field(info, "redis_version", version, sizeof version);
    unsigned long major = strtoul(version, NULL, 10);
    if (major >= 6)
        cli_doctor_add(report, "version", CLI_DOCTOR_OK, NULL, "Redis %s", version);
    else
        cli_doctor_add(report, "version", CLI_DOCTOR_FAIL,
                       "take Redis 6 or newer: older ones know neither RESP3 nor tracking",
                       "Redis %s", version[0] != '\0' ? version : "of no known version");
}

static void judge_role(struct cli_doctor_report *report, const char *info)
{
    if (is(info, "loading", "1"))
        cli_doctor_add(report, "role", CLI_DOCTOR_FAIL, "wait until it has read its data",
                       "it is loading");
    else if (is(info, "role", "slave"))
        cli_doctor_add(report, "role", CLI_DOCTOR_FAIL, "name its primary in ROUTER_REDIS_URL",
                       "it is a replica: writes are refused");
    else
        cli_doctor_add(report, "role", CLI_DOCTOR_OK, NULL, "a primary");
}

static void judge_memory(struct cli_doctor_report *report, const char *info)
{
    uint64_t most = number(info, "maxmemory"), used = number(info, "used_memory");
    bool evicts = !is(info, "maxmemory_policy", "noeviction");
    if (most == 0)
        cli_doctor_add(report, "memory", CLI_DOCTOR_WARN,
                       "set maxmemory: without it the system kills Redis when memory is out",
                       "maxmemory is not set; %" PRIu64 " MiB are used", used >> 20);
    else if (used >= most - most / 10 && !evicts)
        cli_doctor_add(report, "memory", CLI_DOCTOR_FAIL,
                       "more maxmemory, shorter TTLs, or a policy that evicts",
                       "%" PRIu64 " of %" PRIu64 " MiB are used: writes are about to fail",
                       used >> 20, most >> 20);
    else
        cli_doctor_add(report, "memory", CLI_DOCTOR_OK, NULL,
                       "%" PRIu64 " of %" PRIu64 " MiB are used", used >> 20, most >> 20);
    if (evicts)
        cli_doctor_add(report, "eviction", CLI_DOCTOR_OK, NULL, "old keys make room");
    else
        cli_doctor_add(report, "eviction", CLI_DOCTOR_WARN,
                       "a cache wants allkeys-lfu or allkeys-lru (maxmemory-policy)",
                       "noeviction: a full Redis refuses writes");
}

static void judge_clients(struct cli_doctor_report *report, const char *info)
{
    uint64_t most = number(info, "maxclients"), now = number(info, "connected_clients");
    bool full = now >= most - most / 10;
    if (most == 0) /* Redis before 7 does not tell */
        return;
    cli_doctor_add(report, "clients", full ? CLI_DOCTOR_FAIL : CLI_DOCTOR_OK,
                   full ? "more maxclients, or fewer processes and workers" : NULL,
                   "%" PRIu64 " of %" PRIu64 " connections are in use", now, most);
}

static void judge_mode(struct cli_doctor_report *report, const char *info, int wants_cluster)
{
    bool is_cluster = is(info, "cluster_enabled", "1");
    if (is_cluster == (wants_cluster != 0))
        return;
    cli_doctor_add(report, "cluster mode", CLI_DOCTOR_FAIL,
                   is_cluster ? "set REDIS_CLUSTER_ENABLED=true"
                              : "set REDIS_CLUSTER_ENABLED=false, or name a node of the cluster",
                   is_cluster ? "Redis is a cluster, and the configuration says it is none"
                              : "the configuration says it is a cluster, and Redis is none");
}

void cli_doctor_info(struct cli_doctor_report *report, const char *info, int wants_cluster)
{
    judge_version(report, info);
    judge_role(report, info);
    judge_memory(report, info);
    judge_clients(report, info);
    judge_mode(report, info, wants_cluster);
}

void cli_doctor_cluster(struct cli_doctor_report *report, const char *info)
{
    uint64_t ok = number(info, "cluster_slots_ok"),
             assigned = number(info, "cluster_slots_assigned");
    bool well = is(info, "cluster_state", "ok") && ok == 16384;
    cli_doctor_add(report, "cluster", well ? CLI_DOCTOR_OK : CLI_DOCTOR_FAIL,
                   well ? NULL : "strata cluster nodes; redis-cli --cluster check HOST:PORT",
                   "%" PRIu64 " of 16384 slots are served, %" PRIu64 " assigned", ok, assigned);
}

void cli_doctor_tracking(struct cli_doctor_report *report, const char *error)
{
    if (error == NULL)
        cli_doctor_add(report, "tracking", CLI_DOCTOR_OK, NULL, "CLIENT TRACKING is allowed");
    else
        cli_doctor_add(report, "tracking", CLI_DOCTOR_FAIL,
                       "allow CLIENT TRACKING (ACL: +client|tracking), or L1 is as good as its TTL",
                       "CLIENT TRACKING is refused: %.200s", error);
}

void cli_doctor_table(struct cli_doctor_report *report, const char *info, uint64_t most)
{
    uint64_t keys = number(info, "tracking_total_keys");
    bool full = most > 0 && keys >= most - most / 10;
    cli_doctor_add(report, "tracking table", full ? CLI_DOCTOR_WARN : CLI_DOCTOR_OK,
                   full
                       ? "more tracking-table-max-keys: a full table makes L1 forget keys that did "
                         "not change"
                       : NULL,
                   "%" PRIu64 " keys are tracked, %" PRIu64 " at most", keys, most);
}

void cli_doctor_latency(struct cli_doctor_report *report, const uint64_t *times_ns, size_t count,
                        uint64_t budget_ms)
{
    if (count == 0)
        return;
    uint64_t median_us = times_ns[count / 2] / 1000, worst_us = times_ns[count - 1] / 1000;
    bool slow = worst_us >= budget_ms * 1000 / 2;
    cli_doctor_add(
        report, "latency", slow ? CLI_DOCTOR_WARN : CLI_DOCTOR_OK,
        slow ? "SLOWLOG, big values, forks and swap on its host, the network; or a longer "
               "REDIS_SOCKET_TIMEOUT"
             : NULL,
        "PING takes %" PRIu64 " us, %" PRIu64 " us at most, of %" PRIu64 " ms that a call has",
        median_us, worst_us, budget_ms);
}

/* ---- stratad ---- */

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static void judge_health(struct cli_doctor_report *report, const json_t *health)
{
    static const struct {
        const char *member, *check;
    } parts[] = {{"l1_cache", "stratad l1"}, {"l2_cache", "stratad l2"}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const json_t *part = json_object_get(health, parts[i].member);
        const char *state = text_at(part, "state");
        bool fine = strcmp(state, "healthy") == 0 || strcmp(state, "disabled") == 0;
        bool bad = strcmp(state, "unhealthy") == 0;
        cli_doctor_add(report, parts[i].check,
                       fine  ? CLI_DOCTOR_OK
                       : bad ? CLI_DOCTOR_FAIL
                             : CLI_DOCTOR_WARN,
                       fine ? NULL : "see docs/metrics.md, Health, for this reason",
                       "%.20s%s%.40s%s%.200s", state[0] != '\0' ? state : "not told",
                       fine ? "" : ": ", fine ? "" : text_at(part, "reason"), fine ? "" : ", ",
                       fine ? "" : text_at(part, "text"));
    }
}

/* What most of L1's misses have in common. */
static const char *advice_for_misses(const json_t *metrics)
{
    const json_t *reasons = json_object_get(json_object_get(metrics, "l1"), "misses_by_reason");
    static const struct {
        const char *reason, *advice;
    } advices[] = {
        {"evicted", "most misses were evicted: more STRATA_L1_MAX_BYTES or CACHE_L1_MAX_SIZE"},
        {"expired", "most misses had expired: a longer CACHE_L1_TTL, if the data allows it"},
        {"invalidated",
         "most misses were invalidated: these keys change as often as they are read"},
        {"suspect", "most misses were in doubt: the connection to Redis is not steady"},
        {"cold", "most keys are asked for only once: warm the cache, or it is of no use here"},
    };
    const char *advice = advices[4].advice;
    json_int_t most = 0;
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
        json_int_t count = json_integer_value(json_object_get(reasons, advices[i].reason));
        if (count > most) {
            most = count;
            advice = advices[i].advice;
        }
    }
    return advice;
}

static void judge_ratio(struct cli_doctor_report *report, const json_t *metrics)
{
    const json_t *l1 = json_object_get(metrics, "l1");
    double ratio = json_number_value(json_object_get(l1, "hit_ratio"));
    json_int_t gets = json_integer_value(json_object_get(l1, "hits")) +
                      json_integer_value(json_object_get(l1, "misses"));
    bool low = gets >= 1000 && ratio < 0.5;
    if (l1 == NULL)
        return;
    cli_doctor_add(report, "hit ratio", low ? CLI_DOCTOR_WARN : CLI_DOCTOR_OK,
                   low ? advice_for_misses(metrics) : NULL,
                   "L1 answered %.1f %% of %" PRId64 " gets", 100 * ratio, (int64_t)gets);
}

void cli_doctor_stats(struct cli_doctor_report *report, const json_t *stats)
{
    cli_doctor_add(report, "stratad", CLI_DOCTOR_OK, NULL, "version %.40s, up for %" PRId64 " s",
                   text_at(stats, "version"),
                   (int64_t)json_integer_value(json_object_get(stats, "uptime_seconds")));
    judge_health(report, json_object_get(stats, "health"));
    judge_ratio(report, json_object_get(stats, "metrics"));
}
