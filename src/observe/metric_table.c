/* SPDX-License-Identifier: MIT
 *
 * See metric_table.h. Names of `cache_` and `redis_cluster_` are fixed by what users know.
 */
#include "observe/metric_table.h"

#define AT(member) .offset = offsetof(struct sta_snapshot, member)
#define L1         STA_SNAPSHOT_L1
#define L2         STA_SNAPSHOT_L2
#define WRITES     STA_SNAPSHOT_WRITES
#define COHERENCE  STA_SNAPSHOT_COHERENCE

#define COUNTER(NAME, PATH, PARTS, MEMBER, HELP)                                                   \
    {                                                                                              \
        .name = NAME, .path = PATH, .parts = PARTS, AT(MEMBER), .help = HELP                       \
    }
#define GAUGE(NAME, PATH, PARTS, MEMBER, HELP)                                                     \
    {                                                                                              \
        .name = NAME, .path = PATH, .kind = STA_METRIC_GAUGE, .parts = PARTS, AT(MEMBER),          \
        .help = HELP                                                                               \
    }
#define RATIO(NAME, PATH, PARTS, MEMBER, HELP)                                                     \
    {                                                                                              \
        .name = NAME, .path = PATH, .kind = STA_METRIC_GAUGE, .type = STA_METRIC_DOUBLE,           \
        .parts = PARTS, AT(MEMBER), .help = HELP                                                   \
    }
#define LABELLED(NAME, LABELS, PATH, PARTS, MEMBER, HELP)                                          \
    {                                                                                              \
        .name = NAME, .labels = LABELS, .path = PATH, .parts = PARTS, AT(MEMBER), .help = HELP     \
    }

#define MISSES(REASON, LABEL)                                                                      \
    LABELLED("strata_l1_misses_total", "reason=\"" LABEL "\"",                                     \
             "metrics.l1.misses_by_reason." LABEL, L1, l1.misses_##REASON,                         \
             "Gets that L1 did not answer, by reason. Their sum is cache_l1_misses_total.")

#define L1_WORK(NAME, HELP)                                                                        \
    COUNTER("strata_l1_" #NAME "_total", "l1_cache." #NAME, L1, l1.NAME, "L1: " HELP "."),

#define SETS    "Sets, by tier. A batch counts each of its keys."
#define DELETES "Deletes, by tier. A batch counts each of its keys."
#define ERRORS  "Operations that a tier failed, by tier. A batch counts each of its keys."

const struct sta_metric sta_metric_table[] = {
    RATIO("cache_hit_ratio", "metrics.combined.hit_ratio", STA_SNAPSHOT_ALWAYS,
          statistics.combined_hit_ratio, "Part of all gets that either tier answered, since open."),

    /* L1 */
    COUNTER("cache_l1_hits_total", "metrics.l1.hits", L1, statistics.l1.hits,
            "Gets that L1 answered."),
    COUNTER("cache_l1_misses_total", "metrics.l1.misses", L1, statistics.l1.misses,
            "Gets that L1 did not answer."),
    RATIO(NULL, "metrics.l1.hit_ratio", L1, l1_hit_ratio, "Part of all gets that L1 answered."),
    MISSES(absent, "cold"),
    MISSES(expired, "expired"),
    MISSES(invalidated, "invalidated"),
    MISSES(evicted, "evicted"),
    MISSES(suspect, "suspect"),
    COUNTER("strata_l1_evictions_total", "l1_cache.evictions", L1, l1.evictions,
            "L1: entries that had to make room."),
    GAUGE("strata_l1_entries", "l1_cache.total_entries", L1, l1.entries, "Entries in L1."),
    GAUGE("strata_l1_max_entries", "l1_cache.max_entries", L1, l1.max_entries,
          "The most entries that L1 takes; 0: no bound but the bytes."),
    GAUGE("cache_l1_memory_bytes", "l1_cache.memory_usage_bytes", L1, l1.memory_bytes,
          "Memory of L1: index, entries and all that belongs to them."),
    GAUGE("strata_l1_max_bytes", "l1_cache.max_bytes", L1, l1.max_bytes,
          "The most memory that L1 takes."),
    GAUGE("strata_l1_entry_bytes", "l1_cache.entry_bytes", L1, l1.entry_bytes,
          "Of the memory of L1: keys, values and headers of its entries."),
    GAUGE("strata_l1_index_bytes", "l1_cache.index_bytes", L1, l1.index_bytes,
          "Of the memory of L1: its index."),
    GAUGE(
        "strata_l1_held_bytes", "l1_cache.held_bytes", L1, l1.held_bytes,
        "Of the memory of L1: without an entry, kept only because values in it were not released."),
    GAUGE("strata_l1_held_segments", "l1_cache.held_segments", L1, l1.held_segments,
          "The same, in segments."),
    {.name = "strata_l1_held_seconds",
     .path = "l1_cache.held_seconds",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_NANOSECONDS,
     .parts = L1,
     AT(l1_held_ns),
     .help = "Time since the oldest of these segments should have been free; 0: there is none."},

    /* L2 */
    COUNTER("cache_l2_hits_total", "metrics.l2.hits", L2, statistics.l2.hits,
            "Gets that Redis answered with a value."),
    COUNTER("cache_l2_misses_total", "metrics.l2.misses", L2, statistics.l2.misses,
            "Gets of keys that Redis had not."),
    RATIO(NULL, "metrics.l2.hit_ratio", L2, l2_hit_ratio,
          "Part of the gets that Redis answered for which it had a value."),
    GAUGE("redis_cluster_nodes_healthy", "l2_cache.healthy_nodes", L2, healthy_nodes,
          "Redis nodes that are connected and answer, of those that there was need for."),
    GAUGE("strata_l2_nodes", "l2_cache.total_nodes", L2, known_nodes,
          "Redis nodes that there was need for."),
    GAUGE("redis_cluster_slots_ok", "l2_cache.slots_ok", L2, slots_ok,
          "Slots, of 16384, that a node serves which is not known to be unwell; before a single "
          "Redis all or none."),
    GAUGE("strata_l2_cluster", "l2_cache.cluster", L2, cluster, "1: Redis is a cluster."),
    {.name = "strata_l2_connected",
     .path = "l2_cache.connected",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_INT,
     .parts = L2,
     AT(statistics.l2_connected),
     .help = "1: Redis is connected to."},
    COUNTER("strata_l2_reconnects_total", "l2_cache.reconnects", L2, statistics.l2_reconnects,
            "Connections to Redis that were made again after a loss."),
    COUNTER("strata_l2_connect_failures_total", "l2_cache.connect_failures", L2, link.failures,
            "Attempts to connect to Redis that failed."),
    COUNTER("strata_l2_requests_total", "l2_cache.requests", L2, link.requests,
            "Requests accepted for sending to Redis."),
    COUNTER("strata_l2_replies_total", "l2_cache.replies", L2, link.replies,
            "Requests that Redis answered in time."),
    COUNTER("strata_l2_late_replies_total", "l2_cache.late_replies", L2, link.late,
            "Requests that Redis answered when their time was over."),
    COUNTER("strata_l2_timeouts_total", "l2_cache.timeouts", L2, link.timeouts,
            "Requests that Redis did not answer in time."),
    COUNTER("strata_l2_lost_total", "l2_cache.lost", L2, link.lost,
            "Requests whose connection broke before the answer."),
    COUNTER("strata_l2_refused_total", "l2_cache.refused", L2, link.refused,
            "Requests that were not sent: no connection, or too much waits."),
    COUNTER("strata_l2_sent_bytes_total", "l2_cache.sent_bytes", L2, link.bytes_out,
            "Bytes sent to Redis."),
    COUNTER("strata_l2_received_bytes_total", "l2_cache.received_bytes", L2, link.bytes_in,
            "Bytes received from Redis."),

    /* Both. */
    LABELLED("strata_sets_total", "tier=\"l1\"", "metrics.l1.sets", L1 | WRITES, statistics.l1.sets,
             SETS),
    LABELLED("strata_sets_total", "tier=\"l2\"", "metrics.l2.sets", L2 | WRITES, statistics.l2.sets,
             SETS),
    LABELLED("strata_deletes_total", "tier=\"l1\"", "metrics.l1.deletes", L1 | WRITES,
             statistics.l1.deletes, DELETES),
    LABELLED("strata_deletes_total", "tier=\"l2\"", "metrics.l2.deletes", L2 | WRITES,
             statistics.l2.deletes, DELETES),
    LABELLED("strata_errors_total", "tier=\"l1\"", "metrics.l1.errors", L1 | WRITES,
             statistics.l1.errors, ERRORS),
    LABELLED("strata_errors_total", "tier=\"l2\"", "metrics.l2.errors", L2 | WRITES,
             statistics.l2.errors, ERRORS),

    /* Loaders. */
    COUNTER("strata_loads_total", "loads.started", WRITES, statistics.loads,
            "Keys that loaders were asked for."),
    COUNTER("strata_loads_failed_total", "loads.failed", WRITES, statistics.loads_failed,
            "Keys whose loader answered with an error."),
    COUNTER("strata_loads_early_total", "loads.early", WRITES, statistics.loads_early,
            "Keys that loaders were asked for before the value's time was over."),
    COUNTER("strata_loads_shared_total", "loads.shared", WRITES, statistics.loads_shared,
            "Keys that were answered by a load that another call ran."),

    /* Queued invalidation. */
    COUNTER("strata_invalidation_queued_total", "invalidation.queued", WRITES,
            statistics.invalidation.queued, "Keys queued for invalidation."),
    COUNTER("strata_invalidation_coalesced_total", "invalidation.coalesced", WRITES,
            statistics.invalidation.coalesced, "Of these: keys that were queued already."),
    COUNTER("strata_invalidation_batches_total", "invalidation.batches", WRITES,
            statistics.invalidation.batches, "Batches of invalidations that were sent."),
    COUNTER("strata_invalidation_done_total", "invalidation.done", WRITES,
            statistics.invalidation.done,
            "Queued keys that Redis has not any more, or that were written anew."),
    COUNTER("strata_invalidation_retried_total", "invalidation.retried", WRITES,
            statistics.invalidation.retried, "Keys that were queued again after a failure."),
    COUNTER("strata_invalidation_failed_total", "invalidation.failed", WRITES,
            statistics.invalidation.failed, "Queued keys that were given up."),
    GAUGE("strata_invalidation_waiting", "invalidation.waiting", WRITES,
          statistics.invalidation.waiting, "Keys that are queued or sent now."),

    /* Write-behind. */
    GAUGE("strata_write_behind_entries", "write_behind.entries", WRITES,
          statistics.write_behind.entries,
          "Write-behind: keys whose last write is not in Redis yet."),
    GAUGE("strata_write_behind_bytes", "write_behind.bytes", WRITES, statistics.write_behind.bytes,
          "Write-behind: memory for them."),
    GAUGE("strata_write_behind_parked", "write_behind.parked", WRITES,
          statistics.write_behind.parked,
          "Write-behind: of these, refused again and again, and set aside for a while."),
    GAUGE("strata_write_behind_blocked", "write_behind.blocked", WRITES,
          statistics.write_behind.blocked, "Write-behind: calls that wait for room."),
    COUNTER("strata_write_behind_accepted_total", "write_behind.accepted", WRITES,
            statistics.write_behind.accepted, "Write-behind: writes that were accepted."),
    COUNTER("strata_write_behind_coalesced_total", "write_behind.coalesced", WRITES,
            statistics.write_behind.coalesced,
            "Write-behind: of these, replaced by a later one before they were sent."),
    COUNTER("strata_write_behind_flushed_total", "write_behind.flushed", WRITES,
            statistics.write_behind.flushed, "Write-behind: writes that Redis acknowledged."),
    COUNTER("strata_write_behind_retried_total", "write_behind.retried", WRITES,
            statistics.write_behind.retried, "Write-behind: writes that were sent again."),
    COUNTER("strata_write_behind_refused_total", "write_behind.refused", WRITES,
            statistics.write_behind.refused, "Write-behind: answers that were errors."),
    COUNTER("strata_write_behind_through_total", "write_behind.through", WRITES,
            statistics.write_behind.through,
            "Write-behind: writes that were sent at once, because there was no room."),
    COUNTER("strata_write_behind_rejected_total", "write_behind.rejected", WRITES,
            statistics.write_behind.rejected,
            "Write-behind: writes that were refused, because there was no room."),
    COUNTER("strata_write_behind_overtaken_total", "write_behind.overtaken", WRITES,
            statistics.write_behind.overtaken,
            "Write-behind: keys whose writes were dropped, because others had written them."),

    /* What others write. */
    {.name = "strata_coherence_mode",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_INT,
     .parts = COHERENCE,
     AT(statistics.coherence),
     .help = "How L1 hears of what others write: 0 not at all, by its TTL; 1 no server was reached "
             "yet; 2 tracking of what was read; 3 of all under the prefix."},
    COUNTER("strata_coherence_invalidations_total", "coherence.invalidations", COHERENCE,
            statistics.invalidations, "Keys that Redis named because they have changed."),
    COUNTER(
        "strata_coherence_invalidations_of_all_total", "coherence.invalidations_of_all", COHERENCE,
        statistics.invalidations_of_all,
        "Times all entries of a connection were doubted: it was lost, or its database flushed."),
    COUNTER("strata_coherence_canaries_total", "coherence.canaries", COHERENCE, statistics.canaries,
            "Proofs that what Redis names comes through."),
    COUNTER("strata_coherence_canaries_lost_total", "coherence.canaries_lost", COHERENCE,
            statistics.canaries_lost, "Connections that were given up because no proof came."),
    COUNTER("strata_stale_answers_total", "coherence.stale_answers", COHERENCE,
            statistics.stale_answers, "Gets that were answered with a value past its proof."),
    COUNTER("strata_repairs_total", "coherence.repairs", COHERENCE, statistics.repairs,
            "Entries in doubt that were asked for, and so read again."),
    COUNTER("strata_repairs_delayed_total", "coherence.repairs_delayed", COHERENCE,
            statistics.repairs_delayed, "Gets of such that waited for their turn."),
    COUNTER("strata_repairs_refused_total", "coherence.repairs_refused", COHERENCE,
            statistics.repairs_refused, "Gets of such whose turn would have come too late."),

    /* What L1 counts besides. */
    STA_L1_WORK(L1_WORK){0},
};

#undef AT
#define AT(member) .offset = offsetof(struct strata_l2_node, member)

#define NODE_ERROR(KIND)                                                                           \
    {                                                                                              \
        .name = "strata_l2_node_errors_total", .labels = "kind=\"" #KIND "\"", .path = #KIND,      \
        AT(KIND), .help = "Operations that failed at a node, or had to be sent again, by kind."    \
    }

const struct sta_metric sta_metric_node_table[] = {
    {.name = "strata_l2_node_state",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_INT,
     AT(state),
     .help = "0 up, 1 connecting, 2 sick, 3 down."},
    GAUGE("strata_l2_node_in_flight", "in_flight", 0, in_flight,
          "Operations under way at a node, now."),
    {.name = "strata_l2_node_latency_seconds",
     .path = "latency_seconds",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_NANOSECONDS,
     AT(latency_ns),
     .help = "Time of an operation at a node, moving mean; 0: none was answered."},
    {.name = "strata_l2_node_latency_p99_seconds",
     .path = "latency_p99_seconds",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_NANOSECONDS,
     AT(latency_p99_ns),
     .help = "The same, 99th percentile of the last 10 to 20 s."},
    COUNTER("strata_l2_node_requests_total", "requests", 0, requests, "Operations sent to a node."),
    COUNTER("strata_l2_node_replies_total", "replies", 0, replies,
            "Operations that a node answered in time."),
    COUNTER("strata_l2_node_reconnects_total", "reconnects", 0, reconnects,
            "Connections to a node that were made again after a loss."),
    NODE_ERROR(timeouts),
    NODE_ERROR(losses),
    NODE_ERROR(refused),
    NODE_ERROR(busy),
    NODE_ERROR(redirected),
    NODE_ERROR(retried),
    NODE_ERROR(denied),
    NODE_ERROR(server),
    {0},
};

#undef AT
#define AT(member) .offset = offsetof(struct sta_prefix_numbers, member)

#define BY_TIER(NAME, PATH, MEMBER, HELP)                                                          \
    LABELLED("strata_prefix_" NAME "_total", "tier=\"l1\"", "l1." PATH, 0, MEMBER[STA_TIMING_L1],  \
             HELP),                                                                                \
        LABELLED("strata_prefix_" NAME "_total", "tier=\"l2\"", "l2." PATH, 0,                     \
                 MEMBER[STA_TIMING_L2], HELP)

const struct sta_metric sta_metric_prefix_table[] = {
    BY_TIER("hits", "hits", hits, "Gets that a tier answered, by prefix of the key."),
    BY_TIER("misses", "misses", misses, "Gets that a tier did not answer, by prefix of the key."),
    BY_TIER("hit_bytes", "hit_bytes", bytes,
            "Bytes of the values that a tier answered with, by prefix of the key."),
    {0},
};
