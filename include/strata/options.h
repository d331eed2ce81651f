/* SPDX-License-Identifier: MIT
 *
 * Configuration of a cache. A zeroed struct is a good configuration: every field that is zero
 * (NULL, STRATA_SWITCH_DEFAULT) means its default. docs/configuration.md lists each option with
 * its environment variable, bounds and default.
 *
 * Ownership: strings are borrowed until strata_open() returns, except in a struct that
 * strata_options_from_environment() filled: that one owns its strings; give it to
 * strata_options_fini() when it is no longer used.
 */
#ifndef STRATA_OPTIONS_H
#define STRATA_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "log.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum strata_switch { STRATA_SWITCH_DEFAULT = 0, STRATA_ON = 1, STRATA_OFF = 2 };

/* For counts and sizes: explicitly no bound. For TTLs: never expires. */
#define STRATA_UNLIMITED UINT64_MAX

/* How a server that rediss:// leads to has to prove itself. */
enum strata_tls_verify {
    STRATA_TLS_VERIFY_DEFAULT = 0, /* full */
    STRATA_TLS_VERIFY_FULL = 1, /* a certificate by somebody we trust, for the name we asked for */
    STRATA_TLS_VERIFY_CA = 2,   /* a certificate by somebody we trust, for anybody */
    STRATA_TLS_VERIFY_NONE = 3  /* not at all: whoever is in between can read and change all */
};

/* How L1 hears of what others write to Redis. */
enum strata_tracking {
    STRATA_TRACKING_DEFAULT = 0, /* auto */
    STRATA_TRACKING_AUTO = 1,    /* of what was read, where servers can; else by the TTL */
    STRATA_TRACKING_BCAST = 2,   /* of all that begins with the prefix */
    STRATA_TRACKING_OFF = 3      /* not at all */
};

/* What a get does with an entry of L1 that is not proven to be current, where Redis does not
 * answer. */
enum strata_serve_stale {
    STRATA_SERVE_STALE_DEFAULT = 0, /* off */
    STRATA_SERVE_STALE_ON = 1,      /* answers it, as STRATA_STALE */
    STRATA_SERVE_STALE_OFF = 2,     /* passes it by: Redis' failure is the answer, when it is one */
    STRATA_SERVE_STALE_ERROR = 3    /* STRATA_ERR_UNPROVEN, at once where the node gives no sign */
};

/* What a write does that finds no room in the queue of write-behind. */
enum strata_full {
    STRATA_FULL_DEFAULT = 0, /* block */
    STRATA_FULL_BLOCK = 1,   /* waits for room; STRATA_ERR_BUSY at the end of its budget */
    STRATA_FULL_THROUGH = 2, /* goes to Redis at once, and is answered from there */
    STRATA_FULL_REJECT = 3   /* STRATA_ERR_BUSY */
};

/* Whether a late write of write-behind overwrites what others have written meanwhile. */
enum strata_guard {
    STRATA_GUARD_DEFAULT = 0, /* off */
    STRATA_GUARD_OFF = 1,     /* it does */
    STRATA_GUARD_LAX = 2,     /* it is dropped, if Redis has been looked at since it was accepted */
    STRATA_GUARD_ON = 3       /* it is dropped; a write may wait for that look before it succeeds */
};

/* When the journal of write-behind is on disk. */
enum strata_fsync {
    STRATA_FSYNC_DEFAULT = 0,  /* always */
    STRATA_FSYNC_ALWAYS = 1,   /* before a write is acknowledged */
    STRATA_FSYNC_INTERVAL = 2, /* within a second */
    STRATA_FSYNC_NEVER = 3     /* when the system sees fit */
};

/* TLS, which is a library of its own: strata/tls.h. */
struct strata_tls_provider;

struct strata_options {
    /* L1 */
    enum strata_switch l1_enabled; /* on */
    uint64_t l1_ttl_ms;            /* 300 000 */
    uint64_t l1_max_size;          /* entries; 1000 */
    uint64_t l1_max_bytes;         /* 64 MiB */
    const char *const *l1_quotas;  /* "PREFIX=BYTES/ENTRIES" each; l1_quota_count of them */
    size_t l1_quota_count;
    uint64_t l1_cleanup_interval_ms; /* 60 000 */

    /* L2 */
    enum strata_switch l2_enabled;      /* on */
    uint64_t l2_ttl_ms;                 /* 3 600 000 */
    const char *l2_key_prefix;          /* "atp:cache:"; "" is none */
    const char *redis_url;              /* "redis://localhost:6379/0" */
    enum strata_switch cluster_enabled; /* off */
    const char *const *cluster_nodes;   /* "host:port" each; cluster_node_count of them */
    size_t cluster_node_count;
    uint64_t max_connections;   /* 20, per node; the library uses two, or one where it is 1 */
    uint64_t socket_timeout_ms; /* 5000; the budget of one call over all its retries */

    /* TLS, for rediss://; files are PEM, and read by strata_open() */
    const struct strata_tls_provider *tls_provider; /* strata_tls_openssl(); NULL: no TLS */
    const char *tls_ca_file;                        /* who may sign servers; */
    const char *tls_ca_dir;                         /*   neither file nor folder: the system's */
    const char *tls_crl_file;                       /* what they have revoked */
    const char *tls_cert_file; /* our certificate, where the server wants one */
    const char *tls_key_file;  /* its key; NULL: it is in tls_cert_file */
    const char *tls_key_password;
    const char *tls_server_name;       /* whom the certificate must name; NULL: the URL's host */
    enum strata_tls_verify tls_verify; /* full */

    /* strategies */
    enum strata_switch write_through;       /* on */
    enum strata_switch write_behind;        /* off; with write_through on: an error */
    const char *write_behind_journal;       /* a directory; NULL: no journal */
    enum strata_fsync write_behind_fsync;   /* always */
    uint64_t write_behind_interval_ms;      /* 100; from a key's first write to its way to Redis */
    uint64_t write_behind_batch_size;       /* 256 keys */
    uint64_t write_behind_max_entries;      /* 100 000 keys */
    uint64_t write_behind_max_bytes;        /* 64 MiB */
    enum strata_full write_behind_full;     /* block */
    enum strata_guard write_behind_guard;   /* off */
    uint64_t write_behind_rate;             /* writes a second; STRATA_UNLIMITED */
    uint64_t write_behind_drain_timeout_ms; /* 5000; so long strata_close() waits for Redis */
    enum strata_switch read_through;        /* on */
    enum strata_switch null_values;         /* off */
    uint64_t null_ttl_ms;                   /* 60 000 */

    /* coherence with other writers */
    enum strata_tracking tracking;       /* auto */
    uint64_t max_staleness_ms;           /* 1500; without proof for so long L1 answers nothing */
    enum strata_serve_stale serve_stale; /* off */
    uint64_t repair_rate; /* entries in doubt that are read again, a second; 20 000 */

    /* queued invalidation */
    enum strata_switch invalidation_enabled; /* on; off: it is refused, queued and by pattern */
    uint64_t invalidation_batch_size;        /* 100 keys */
    uint64_t invalidation_timeout_ms;        /* 1000 */

    /* metrics: observe.h */
    enum strata_switch metrics_enabled;  /* on; off: operations are not timed */
    enum strata_switch metrics_detailed; /* off; on: series by Redis node and by prefix as well */
    const char *const *metrics_prefixes; /* that always have series; metrics_prefix_count of them */
    size_t metrics_prefix_count;
    const char *metrics_delimiter; /* ":"; one byte, with which the prefixes of other keys end */

    /* log */
    enum strata_log_level log_level;       /* info */
    enum strata_log_level log_level_cache; /* of the room "cache"; default: as log_level */
    enum strata_log_level log_level_l2;    /* of the room "l2" */
    strata_log_sink log_sink;              /* NULL: nothing is logged */
    void *log_arg;

    void *owned; /* the library's; leave it zero */
};

/* Fills `out` from the environment (and from the file that STRATA_CONFIG_FILE names). A bad value
 * is STRATA_ERR_CONFIG: `error` (may be NULL) names the variable, its value and what is allowed,
 * and `out` is untouched. Names that look like ours but are unknown are warned about through
 * `out->log_sink` as it stands when called (give a zeroed struct, or one with a sink; it and
 * `tls_provider` stay). */
STRATA_API int strata_options_from_environment(struct strata_options *out,
                                               struct strata_error *error);

/* One option by its name in files, and its value as it stands there: {"l1_max_size", "500"}. */
struct strata_setting {
    const char *name;
    const char *value;
};

/* Frees what strata_options_from_environment() allocated and zeroes the struct. */
STRATA_API void strata_options_fini(struct strata_options *options);

#ifdef __cplusplus
}
#endif

#endif
