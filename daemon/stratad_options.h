/* SPDX-License-Identifier: MIT
 *
 * The options of stratad: those of the library that it uses, and its own. Both come from flags,
 * environment and file by one machinery (config/config.h).
 */
#ifndef STA_STRATAD_OPTIONS_H
#define STA_STRATAD_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "core/log.h"
#include "strata/options.h"

enum sta_stratad_log_format { STA_STRATAD_LOG_TEXT, STA_STRATAD_LOG_JSON };

/* How options were given, for who reads them again. Zeroed: they were not loaded, and do not
 * change. */
struct sta_stratad_given {
    struct sta_config *config;
    int argc;
    char *const *argv;
    char *const *environment;
};

/* Strings and lists belong to the config they came from. */
struct sta_stratad_options {
    const char *const *listen; /* listen_count of them */
    size_t listen_count;
    uint64_t workers; /* >= 1 once loaded */
    uint64_t clients_max;
    uint64_t own_connections_max;    /* to Redis, of clients' own */
    const char *user;                /* "default" */
    const char *password;            /* NULL: clients need none */
    uint64_t drain_timeout_ms;       /* how long SIGTERM waits for what is under way */
    uint64_t query_limit;            /* bytes of one request */
    uint64_t output_limit;           /* bytes that wait for a client that does not read */
    uint64_t pipeline_limit;         /* unanswered commands of one client */
    const char *hot_file;            /* NULL: neither saved nor warmed */
    uint64_t warm_timeout_ms;        /* how long being ready waits for it */
    uint64_t warm_rate;              /* keys a second; STRATA_UNLIMITED */
    const char *const *admin_listen; /* admin_listen_count of them: one, or none */
    size_t admin_listen_count;
    const char *admin_token; /* NULL: none is asked for */
    const char
        *admin_hosts; /* with commas between them; NULL: only those that are always allowed */
    enum sta_stratad_log_format log_format; /* of the log on stderr */
    enum strata_log_level log_level_daemon; /* of the room "daemon"; default: as log_level */
    struct strata_options cache;            /* L1, L2, log level */
    struct sta_stratad_given given;
};

/* Reads flags, environment and file. As sta_config_load(): STA_CONFIG_HELP and STA_CONFIG_VERSION
 * are outcomes. `*config` owns what `out` points to; argv and environment outlive it. */
int sta_stratad_options_load(struct sta_stratad_options *out, struct sta_config **config, int argc,
                             char *const *argv, char *const *environment, const struct sta_log *log,
                             struct strata_error *error);

/* Replaces what is live in `options` by what the config says. */
void sta_stratad_options_live(struct sta_stratad_options *options, const struct sta_config *config);

/* The levels of the log, as the options say. */
void sta_stratad_options_log(const struct sta_stratad_options *options, struct sta_log *log);

/* Appends the text of --help. */
int sta_stratad_options_help(struct sta_buffer *out);

/* Appends the tables of its own options for docs/configuration.md. */
int sta_stratad_options_markdown(struct sta_buffer *out);

#endif
