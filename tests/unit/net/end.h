/* SPDX-License-Identifier: MIT
 *
 * What the tests of streams share: one stream, what has become of it, and a plain nonblocking
 * socket at its other end. The loop runs on the test's own thread until what is waited for is
 * true.
 */
#ifndef TEST_END_H
#define TEST_END_H

#include "net/stream.h"

#define PATIENCE_NS (60 * STA_NS_SEC)

struct end {
    struct sta_loop *loop;
    struct sta_stream *stream;
    struct sta_timer poll; /* looks whether what end_run_until() waits for is true */
    bool (*until)(struct end *end);
    uint64_t give_up_ns;
    bool gave_up;
    int peer; /* the other end; -1: none */

    /* What received() consumes of what it is shown: all, nothing below `least`, or `step`. */
    size_t least;
    size_t step;

    struct sta_buffer got; /* consumed */
    size_t shown;          /* the latest sight */
    unsigned sights;
    unsigned opened;
    unsigned closed;
    unsigned drained;
    int status;
    char reason[128];
    uint64_t wanted; /* for until */
    bool close_in_received;
    bool close_in_drained;
    bool pause_in_received;
    bool stay_after_end; /* closed(STRATA_OK) does not close the stream */
};

extern const struct sta_stream_events end_events;
extern const struct sta_stream_config end_roomy; /* limits that are not met */

/* A loop and nothing else; a stream on one end of a socket pair; the end of either. */
void end_init(struct end *end);
void end_init_pair(struct end *end, const struct sta_stream_config *config);
void end_fini(struct end *end);

/* Runs the loop until `until` says yes. Fails the test when PATIENCE_NS are over. */
void end_run_until(struct end *end, bool (*until)(struct end *end));

/* A few ticks, for what must not happen. */
void end_run_some_ticks(struct end *end);

/* What can be waited for; `wanted` counts bytes, and for the last one ticks. */
bool end_got_wanted(struct end *end);
bool end_saw_wanted(struct end *end);
bool end_peer_read(struct end *end); /* reads at the peer, into `got` */
bool end_has_opened(struct end *end);
bool end_has_drained(struct end *end);
bool end_has_closed(struct end *end);
bool end_is_gone(struct end *end);
bool end_ticks_passed(struct end *end);

void end_peer_write(struct end *end, const void *bytes, size_t len);

/* Bytes that tell where they belong. */
uint8_t end_pattern_at(size_t i);
void end_append_pattern(struct end *end, size_t from, size_t len); /* to the stream, with flush */
void end_assert_pattern(struct strata_bytes bytes, size_t len);

#endif
