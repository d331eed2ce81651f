/* SPDX-License-Identifier: MIT
 *
 * One server under replay: its connections, and what its answers came to. Every request is a
 * read-through get: GET, and on a nil the "loader" answers and SETs the value it made.
 *
 *     waiting list of records --GET--> lane --value--> checked: hit, or wrong
 *                                        \----nil----> load --SET--> lane --OK--> stored
 *
 * A lane is a connection with up to `pipeline` commands under way; replies come in the order of
 * commands, so a ring of what was sent is all there is to remember.
 * Threads: one; poll() over all lanes. Memory: fixed at open, plus the connections' buffers.
 */
#ifndef CLI_REPLAY_SIDE_H
#define CLI_REPLAY_SIDE_H

#include <stddef.h>
#include <stdint.h>

#include "cli/replay_value.h"
#include "cli/target.h"
#include "cli/trace.h"
#include "core/histogram.h"

#define CLI_REPLAY_LANES_MOST    256u
#define CLI_REPLAY_PIPELINE_MOST 1024u

struct cli_replay_side;

struct cli_replay_side_config {
    const struct cli_target *target;
    const char *prefix;  /* of keys; at most CLI_REPLAY_PREFIX_MOST; borrowed */
    size_t lanes;        /* connections, 1..CLI_REPLAY_LANES_MOST */
    size_t pipeline;     /* commands under way on each, 1..CLI_REPLAY_PIPELINE_MOST */
    size_t value_bytes;  /* the most, CLI_REPLAY_VALUE_LEAST..CLI_REPLAY_VALUE_MOST */
    uint64_t ttl_ms;     /* of what the loader stores */
    uint64_t timeout_ms; /* without any answer */
};

struct cli_replay_counts {
    uint64_t requests; /* answered: hits + loads + wrong + errors of GET */
    uint64_t hits;     /* with the right value */
    uint64_t loads;    /* nil: answered by the loader */
    uint64_t wrong;    /* with another value than the key's */
    uint64_t errors;   /* error replies, to GET and SET */
    char first_wrong[160];
    char first_error[160];
    struct sta_histogram get_ns; /* from handing a GET to its connection to its reply */
    struct sta_histogram set_ns;
};

/* Connects all lanes. Errors as cli_resp_client_open(). */
int cli_replay_side_open(struct cli_replay_side **out, const struct cli_replay_side_config *config,
                         struct strata_error *error);
void cli_replay_side_close(struct cli_replay_side **side);

/* Replays records[0..count-1] and waits for every reply. Errors as cli_resp_client_reply(); then
 * the side is of no use any more but for its counts. */
int cli_replay_side_run(struct cli_replay_side *side, const struct cli_trace_record *records,
                        size_t count, struct strata_error *error);

const struct cli_replay_counts *cli_replay_side_counts(const struct cli_replay_side *side);

#endif
