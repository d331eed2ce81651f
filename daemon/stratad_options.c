/* SPDX-License-Identifier: MIT
 *
 * stratad's own option table, and what of the library's it changes: no bound in entries. It shows
 * its clients Redis as it is: key_prefix only names the namespace whose barriers they are behind.
 */
#include "daemon/stratad_options.h"

#include <inttypes.h>
#include <unistd.h>

#include "config/live.h"
#include "config/options.h"
#include "core/error.h"
#include "daemon/dispatch.h"
#include "strata/status.h"

#define AT(member) STA_OPTION_AT(sta_stratad_options, member)

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Why an option does not change while stratad runs. */
#define CLIENTS "clients were let in by it"
#define ADMIN   "the listener was opened with it"
#define WARM    "it is for the start"

static const char *const log_formats[] = {"text", "json", NULL};
static const char *const room_levels[] = {"same", "error", "warning", "info", "debug", NULL};

static const struct sta_option table[] = {
    {
        .name = "listen",
        .env = "STRATA_LISTEN",
        .flag = "--listen",
        .type = STA_OPTION_ENDPOINTS,
        STA_OPTION_LIST_AT(sta_stratad_options, listen, listen_count),
        .most = 64,
        .default_text = "127.0.0.1:6380",
        .fixed = "sockets are bound at the start",
        .group = "Daemon",
        .help = "Where clients connect: host:port or unix:PATH, several times if need be. Port 0 "
                "is any free one; the ready line tells which.",
    },
    {
        .name = "workers",
        .env = "STRATA_WORKERS",
        .flag = "--workers",
        .type = STA_OPTION_COUNT,
        AT(workers),
        .least = 1,
        .most = 256,
        .unit = "threads",
        .fixed = "threads are started once",
        .group = "Daemon",
        .help =
            "Threads that serve clients. None: as many as cores, and no more than a third of "
            "max_connections less one, because each may need three connections, and barriers one.",
    },
    {
        .name = "clients_max",
        .env = "STRATA_CLIENTS_MAX",
        .flag = "--clients-max",
        .type = STA_OPTION_COUNT,
        AT(clients_max),
        .least = 1,
        .most = 1000000,
        .unit = "clients",
        .default_text = "10000",
        .group = "Daemon",
        .help = "Clients at a time; others are told so and closed.",
    },
    {
        .name = "own_connections_max",
        .env = "STRATA_OWN_CONNECTIONS_MAX",
        .flag = "--own-connections-max",
        .type = STA_OPTION_COUNT,
        AT(own_connections_max),
        .most = 1000000,
        .unit = "connections",
        .default_text = "1000",
        .group = "Daemon",
        .help = "Connections to Redis that clients have for themselves at a time, beside those of "
                "max_connections: for WATCH, SUBSCRIBE, commands that block, MONITOR and WAIT. "
                "Others are told so (BUSY). 0: nobody gets one.",
    },
    {
        .name = "user",
        .env = "STRATA_USER",
        .flag = "--user",
        .type = STA_OPTION_STRING,
        AT(user),
        .least = 1,
        .most = 127,
        .default_text = "default",
        .fixed = CLIENTS,
        .group = "Daemon",
        .help = "The user that clients authenticate as.",
    },
    {
        .name = "password",
        .env = "STRATA_PASSWORD",
        .type = STA_OPTION_STRING,
        AT(password),
        .least = 1,
        .most = 511,
        .secret = true,
        .fixed = CLIENTS,
        .group = "Daemon",
        .help =
            "The password that clients must give with AUTH or HELLO. None: they need not. There "
            "is no flag for it: command lines are seen by everybody.",
    },
    {
        .name = "drain_timeout",
        .env = "STRATA_DRAIN_TIMEOUT",
        .flag = "--drain-timeout",
        .type = STA_OPTION_SECONDS,
        AT(drain_timeout_ms),
        .least = 1,
        .most = 3600000,
        .default_text = "5",
        .group = "Daemon",
        .help = "How long SIGTERM waits for commands under way.",
    },
    {
        .name = "query_limit",
        .env = "STRATA_QUERY_LIMIT",
        .flag = "--query-limit",
        .type = STA_OPTION_BYTES,
        AT(query_limit),
        .least = 64 * KIB,
        .most = 4 * GIB,
        .default_text = "513MiB",
        .fixed = "buffers are made with it",
        .group = "Daemon",
        .help = "The largest request of a client.",
    },
    {
        .name = "output_limit",
        .env = "STRATA_OUTPUT_LIMIT",
        .flag = "--output-limit",
        .type = STA_OPTION_BYTES,
        AT(output_limit),
        .least = 1 * MIB,
        .most = 64 * GIB,
        .default_text = "1GiB",
        .fixed = "buffers are made with it",
        .group = "Daemon",
        .help = "Replies that may wait for a client that does not read; then it is closed.",
    },
    {
        .name = "pipeline_limit",
        .env = "STRATA_PIPELINE_LIMIT",
        .flag = "--pipeline-limit",
        .type = STA_OPTION_COUNT,
        AT(pipeline_limit),
        .least = 2,
        .most = 65536,
        .unit = "commands",
        .default_text = "1024",
        .group = "Daemon",
        .help = "Unanswered commands of one client; more wait in its socket.",
    },
    {
        .name = "log_format",
        .env = "STRATA_LOG_FORMAT",
        .flag = "--log-format",
        .type = STA_OPTION_CHOICE,
        AT(log_format),
        .choices = log_formats,
        .default_text = "text",
        .fixed = "the log was begun in it",
        .group = "Daemon",
        .help = "How each line of the log is written to stderr: text, or a JSON object with time, "
                "level, "
                "room and message.",
    },
    {
        .name = "log_level_daemon",
        .env = "STRATA_LOG_LEVEL_DAEMON",
        .flag = "--log-level-daemon",
        .type = STA_OPTION_CHOICE,
        AT(log_level_daemon),
        .choices = room_levels,
        .default_text = "same",
        .group = "Daemon",
        .help = "As log_level, of the room daemon: clients, start and end. same: as log_level.",
    },
    {
        .name = "hot_file",
        .env = "STRATA_HOT_FILE",
        .flag = "--hot-file",
        .type = STA_OPTION_STRING,
        AT(hot_file),
        .least = 1,
        .most = 4095,
        .fixed = WARM,
        .group = "Warm start",
        .help =
            "Where the keys that L1 has are saved when stratad ends, the hottest first, and from "
            "where it is warmed before it is ready. None: it begins cold.",
    },
    {
        .name = "warm_timeout",
        .env = "STRATA_WARM_TIMEOUT",
        .flag = "--warm-timeout",
        .type = STA_OPTION_SECONDS,
        AT(warm_timeout_ms),
        .least = 1,
        .most = 3600000,
        .default_text = "10",
        .fixed = WARM,
        .group = "Warm start",
        .help = "How long being ready waits for warming; then it goes without the rest.",
    },
    {
        .name = "warm_rate",
        .env = "STRATA_WARM_RATE",
        .flag = "--warm-rate",
        .type = STA_OPTION_COUNT,
        AT(warm_rate),
        .least = 1,
        .most = 100000000,
        .unlimited = true,
        .unit = "keys a second",
        .default_text = "unlimited",
        .fixed = WARM,
        .group = "Warm start",
        .help = "The most keys that warming asks Redis for. It is at work for half of the time at "
                "most, in any case.",
    },
    {
        .name = "admin_listen",
        .env = "STRATA_ADMIN_LISTEN",
        .flag = "--admin-listen",
        .type = STA_OPTION_ENDPOINTS,
        STA_OPTION_LIST_AT(sta_stratad_options, admin_listen, admin_listen_count),
        .most = 1,
        .default_text = "[]",
        .fixed = ADMIN,
        .group = "Administration over HTTP",
        .help =
            "Where /metrics, /health, /livez, /readyz, /stats and /config are answered: host:port "
            "or unix:PATH. None: nowhere. An address that other machines can reach needs "
            "admin_token; without one, who can reach it may change options.",
    },
    {
        .name = "admin_token",
        .env = "STRATA_ADMIN_TOKEN",
        .type = STA_OPTION_STRING,
        AT(admin_token),
        .least = 16,
        .most = 511,
        .secret = true,
        .fixed = ADMIN,
        .group = "Administration over HTTP",
        .help = "What is to be sent as 'Authorization: Bearer TOKEN', for all but /livez. None: "
                "nothing. There is no flag for it: command lines are seen by everybody.",
    },
    {
        .name = "admin_hosts",
        .env = "STRATA_ADMIN_HOSTS",
        .flag = "--admin-hosts",
        .type = STA_OPTION_STRING,
        AT(admin_hosts),
        .least = 1,
        .most = 1023,
        .fixed = ADMIN,
        .group = "Administration over HTTP",
        .help = "Names under which it may be asked for, with commas between them, beside "
                "localhost and the address of admin_listen: what a browser is led to by a name "
                "that somebody else owns is refused.",
    },
};

#define TABLE_COUNT (sizeof table / sizeof table[0])

static const struct sta_option_default library_defaults[] = {
    {"l1_max_size", "unlimited"},
    {"l1_max_bytes", "256MiB"},
};

/* What the library does with what it has of its own, and a sidecar has not: time in Redis, absent
 * keys remembered, write-behind, queued invalidation. */
static const char *const library_alone[] = {
    "l2_ttl",
    "write_through",
    "write_behind",
    "write_behind_journal",
    "write_behind_fsync",
    "write_behind_interval",
    "write_behind_batch_size",
    "write_behind_max_entries",
    "write_behind_max_bytes",
    "write_behind_full",
    "write_behind_rate",
    "write_behind_drain_timeout",
    "write_behind_guard",
    "read_through",
    "null_values",
    "null_ttl",
    "invalidation_enabled",
    "invalidation_batch_size",
    "invalidation_timeout",
    NULL,
};

enum { SET_OWN, SET_LIBRARY, SET_COUNT };

static void sets_init(struct sta_option_set sets[SET_COUNT], struct sta_stratad_options *options)
{
    sets[SET_OWN] = (struct sta_option_set){
        .section = "stratad",
        .options = table,
        .count = TABLE_COUNT,
        .target = options,
    };
    sets[SET_LIBRARY] = (struct sta_option_set){
        .options = sta_option_table,
        .count = STA_OPTION_TABLE_COUNT,
        .defaults = library_defaults,
        .default_count = sizeof library_defaults / sizeof library_defaults[0],
        .unused = library_alone,
        .unused_because = "has no effect in stratad: it is the library's",
        .target = options != NULL ? &options->cache : NULL,
    };
}

/* Workers open their lanes when they need them, but each may need all of them; and one is for
 * barriers. */
static int check_connections(struct sta_stratad_options *options, struct strata_error *error)
{
    uint64_t most = (options->cache.max_connections - 1) / STA_LANE_COUNT;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t wanted = cores > 0 ? (uint64_t)cores : 1;
    if (options->workers == 0)
        options->workers = wanted < most ? wanted : most;
    if (options->workers <= most && options->workers > 0)
        return STRATA_OK;
    uint64_t workers = options->workers > 0 ? options->workers : 1;
    return sta_error_set(error, STRATA_ERR_CONFIG,
                         "max_connections: %" PRIu64 " is not enough for workers: %" PRIu64
                         ", each of which may need %d, and barriers one; allowed: %" PRIu64
                         " or more, or fewer workers",
                         options->cache.max_connections, workers, STA_LANE_COUNT,
                         workers * STA_LANE_COUNT + 1);
}

/* What the library can do and a sidecar cannot. */
static int check(const struct sta_stratad_options *options, struct strata_error *error)
{
    if (options->listen_count == 0)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "listen: empty; stratad has to listen somewhere");
    if (options->cache.l2_enabled == STRATA_OFF)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "l2_enabled: stratad stands before a Redis and cannot do without");
    if (options->hot_file != NULL && options->cache.l1_enabled == STRATA_OFF)
        return sta_error_set(error, STRATA_ERR_CONFIG,
                             "hot_file: it is what L1 has, and L1 is off (l1_enabled)");
    if (options->cache.write_behind == STRATA_ON)
        return sta_error_set(error, STRATA_ERR_UNSUPPORTED,
                             "write-behind (write_behind, CACHE_WRITE_BEHIND) is the library's: "
                             "stratad answers a write with what Redis has answered");
    return STRATA_OK;
}

int sta_stratad_options_load(struct sta_stratad_options *out, struct sta_config **config, int argc,
                             char *const *argv, char *const *environment, const struct sta_log *log,
                             struct strata_error *error)
{
    struct sta_stratad_options options = {0};
    struct sta_option_set sets[SET_COUNT];
    sets_init(sets, &options);
    const struct sta_config_input input = {
        .program = "stratad",
        .sets = sets,
        .set_count = SET_COUNT,
        .environment = environment,
        .argc = argc,
        .argv = argv,
        .log = log,
    };
    struct sta_config *loaded;
    int status = sta_config_load(&loaded, &input, error);
    if (status != STRATA_OK)
        return status;
    status = sta_options_resolve(&options.cache, &options.cache, error);
    if (status == STRATA_OK)
        status = check(&options, error);
    if (status == STRATA_OK)
        status = check_connections(&options, error);
    if (status < 0) {
        sta_config_destroy(&loaded);
        return status;
    }
    options.given = (struct sta_stratad_given){loaded, argc, argv, environment};
    *config = loaded;
    *out = options;
    return STRATA_OK;
}

void sta_stratad_options_live(struct sta_stratad_options *options, const struct sta_config *config)
{
    struct sta_option_set sets[SET_COUNT];
    sets_init(sets, options);
    sta_live_store(config, sets, SET_COUNT);
}

void sta_stratad_options_log(const struct sta_stratad_options *options, struct sta_log *log)
{
    sta_live_log(log, &options->cache);
    if (options->log_level_daemon != STRATA_LOG_DEFAULT)
        sta_log_set_room(log, STA_ROOM_DAEMON, options->log_level_daemon);
}

int sta_stratad_options_help(struct sta_buffer *out)
{
    struct sta_option_set sets[SET_COUNT];
    sets_init(sets, NULL);
    return sta_config_help(sets, SET_COUNT, out);
}

int sta_stratad_options_markdown(struct sta_buffer *out)
{
    struct sta_option_set sets[SET_COUNT];
    sets_init(sets, NULL);
    return sta_config_markdown(&sets[SET_OWN], 1, out);
}
