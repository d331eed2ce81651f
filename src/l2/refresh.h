/* SPDX-License-Identifier: MIT
 *
 * When a cluster is asked for its topology, whom, and whether the answer is believed. A state
 * machine without clock and I/O: the owner asks step() what to do, does it, and tells what came
 * of it.
 *
 *              demand(), period over                    step(): not before the floor
 *     IDLE ------------------------------> WANTED ------------------------------------> ASKING
 *       ^                                   ^  ^                                           |
 *       |                                   |  '--- failed(), or not believed: backoff ----|
 *       |                                   '------ believed, and demanded meanwhile ------|
 *       '------------------------------------------ believed ------------------------------'
 *
 * There is one of these per process (or per engine), so there is one question in the air at most,
 * and at least `floor_ns` and up to twice as much between two questions: 16384 slots that move
 * under load make at most 10 questions per second.
 *
 * Whom: first the node that sent the MOVED, for it knows better; then by turns a random node that
 * is alive and a configured seed, whose name is resolved anew. Seeds are never forgotten: when
 * all addresses behind them have changed they are the only way back. Where no node is alive, seeds
 * only.
 *
 * What is believed (STA_REFRESH_ADOPT): an answer with at least one slot, unless
 *   - its epoch is known and lower than that of the map in use (OLDER): a node that was cut off
 *     speaks of the past;
 *   - its node says that the cluster has failed, and it serves fewer slots at the same epoch
 *     (SMALLER): it may only not have heard of the others yet.
 * Three such answers in a row, from whomever, are believed all the same: then the cluster really
 * is so (it was reset and made anew, or slots were taken away). An answer without slots (EMPTY)
 * is never believed: the map in use leads further than nothing, and where there is none a
 * cluster that is being made is soon asked again.
 * The epoch is CLUSTER INFO's current_epoch: it only grows, and reaches all nodes of a cluster.
 * Threads: one owner.
 */
#ifndef STA_REFRESH_H
#define STA_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "l2/topology.h"

/* Zero fields mean the defaults. */
struct sta_refresh_config {
    uint64_t floor_ns;   /* least time between two questions; 100 ms */
    uint64_t period_ns;  /* without any demand; 10 s, less up to a quarter */
    uint64_t backoff_ns; /* the most between questions while they fail; 1 s */
    uint64_t timeout_ns; /* of one question; 1 s */
    unsigned seed_count; /* at least 1 */
};

enum sta_refresh_state { STA_REFRESH_IDLE, STA_REFRESH_WANTED, STA_REFRESH_ASKING };

/* The owner may read; only the functions write. */
struct sta_refresh {
    struct sta_refresh_config config;
    enum sta_refresh_state state;
    bool demanded; /* while ASKING */
    bool has_sender;
    struct sta_endpoint sender; /* of the first MOVED since the last question */
    uint64_t random;
    uint64_t at_ns;     /* IDLE: the period ends; WANTED: not before; ASKING: the deadline */
    uint64_t asked_ns;  /* when the last question was put; 0: never */
    uint64_t epoch;     /* of the map in use; 0: not known */
    unsigned tries;     /* questions since the last answer that was believed */
    unsigned turn;      /* whose turn is next, of enum sta_refresh_whom */
    unsigned doubts;    /* OLDER and SMALLER in a row */
    unsigned seed;      /* the next one */
    uint64_t questions; /* counters: put, */
    uint64_t failures;  /*   failed, */
    uint64_t refusals;  /*   not believed */
};

/* A first question is wanted at once. `random` seeds the jitter and the first seed to ask. */
void sta_refresh_init(struct sta_refresh *refresh, const struct sta_refresh_config *config,
                      uint64_t random, uint64_t now_ns);

/* Somebody doubts the map: a MOVED from `sender`, a lost node, CLUSTERDOWN (sender NULL). Cheap;
 * may be called for each redirect. */
void sta_refresh_demand(struct sta_refresh *refresh, const struct sta_endpoint *sender,
                        uint64_t now_ns);

enum sta_refresh_whom {
    STA_REFRESH_NOBODY, /* nothing to do before `at_ns` (or before the next demand) */
    STA_REFRESH_SENDER, /* the node at `sender` */
    STA_REFRESH_NODE,   /* the `pick`th of the nodes that are alive */
    STA_REFRESH_SEED    /* the `pick`th configured seed, resolved anew */
};

struct sta_refresh_ask {
    enum sta_refresh_whom whom;
    unsigned pick;
    struct sta_endpoint sender;
    uint64_t at_ns; /* NOBODY: step again then; else the question's deadline */
};

/* Whom to ask now. Where it is not NOBODY the question counts as put, and its owner calls
 * answered() or failed() exactly once. `alive`: how many nodes could be asked. */
struct sta_refresh_ask sta_refresh_step(struct sta_refresh *refresh, unsigned alive,
                                        uint64_t now_ns);

enum sta_refresh_verdict {
    STA_REFRESH_ADOPT, /* replace the map by the answer */
    STA_REFRESH_OLDER,
    STA_REFRESH_SMALLER,
    STA_REFRESH_EMPTY
};

/* An answer has come. `now_map` is the map in use (NULL: none), `info` may be NULL. The owner
 * replaces its map exactly where ADOPT is returned. */
enum sta_refresh_verdict sta_refresh_answered(struct sta_refresh *refresh,
                                              const struct sta_slot_map *now_map,
                                              const struct sta_slot_map *answer,
                                              const struct sta_topology_info *info,
                                              uint64_t now_ns);

/* No answer, an error, or one that could not be parsed. */
void sta_refresh_failed(struct sta_refresh *refresh, uint64_t now_ns);

#endif
