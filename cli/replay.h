/* SPDX-License-Identifier: MIT
 *
 * A replay: one trace, against stratad and, beside it, directly against Redis. Both are driven
 * from the same thread in turns, a slice of the trace at a time and in the order A B, B A, so
 * that noise and drift of the machine reach both alike. Their keys have different prefixes, so
 * that neither warms the other.
 */
#ifndef CLI_REPLAY_H
#define CLI_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/replay_side.h"
#include "strata/status.h"

struct cli_replay_options {
    const char *path;                 /* of the trace */
    const struct cli_target *through; /* the server under test */
    const struct cli_target *direct;  /* what it is compared with; NULL: nothing */
    const char *prefix;               /* of keys; at most CLI_REPLAY_PREFIX_MOST - 2 bytes */
    uint64_t limit;                   /* requests; UINT64_MAX: the whole trace */
    uint64_t duration_ms;             /* stop after that long; UINT64_MAX: never */
    size_t lanes;
    size_t pipeline;
    size_t value_bytes;
    uint64_t ttl_ms;
    uint64_t timeout_ms;
};

/* What stratad says of itself: differences between the replay's end and its begin. */
struct cli_replay_tiers {
    bool known; /* false: the server is not stratad */
    uint64_t l1_hits;
};

struct cli_replay;

/* Opens the trace and connects. Errors of the trace, of cli_resp_client_open() and memory. */
int cli_replay_open(struct cli_replay **out, const struct cli_replay_options *options,
                    struct strata_error *error);
void cli_replay_close(struct cli_replay **replay);

/* Replays to the end, with a progress bar where standard error is a terminal. STRATA_OK, even
 * with wrong values or error replies: those are in the counts. Otherwise what ended it. */
int cli_replay_run(struct cli_replay *replay, struct strata_error *error);

/* The results; `direct` is NULL where nothing was compared. They live with the replay. */
const struct cli_replay_counts *cli_replay_through(const struct cli_replay *replay);
const struct cli_replay_counts *cli_replay_direct(const struct cli_replay *replay);
struct cli_replay_tiers cli_replay_tiers(const struct cli_replay *replay);
double cli_replay_seconds(const struct cli_replay *replay);

#endif
