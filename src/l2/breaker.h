/* SPDX-License-Identifier: MIT
 *
 * A circuit breaker for one node: when it has shown that it does not answer, calls to it fail at
 * once instead of each waiting for its own time-out. Pure: one step function, `now` passed in.
 *
 *              FAILED in a row, or too many of them in the window; SILENT
 *     CLOSED ---------------------------------------------------------------> OPEN
 *       ^                                                                    |   ^
 *       |                              ASK, the probe is due: this is the one|   | PROBE_FAILED
 *       |   PROBE_OK, OK                                                     v   | (next interval)
 *       '------------------------------------------------------------- HALF_OPEN
 *
 * In OPEN and HALF_OPEN everybody but the one probe is refused. The interval between probes
 * begins at `probe_min_ns`, doubles with each that fails up to `probe_max_ns`, and is drawn from
 * the upper half of that: at the defaults a server that is well again is noticed within 500 ms and
 * the probe's round trip. Any sign of life (OK, LATE) in OPEN makes the probe due at once, so a
 * server that was frozen comes back as soon as it stirs.
 *
 * What counts as FAILED is time-outs and lost connections, not error replies: a server that
 * answers is alive. A caller's impatience is no evidence either: report a time-out only where the
 * request had waited for a time that a healthy server does not need (100 ms, say).
 * Threads: one owner.
 */
#ifndef STA_BREAKER_H
#define STA_BREAKER_H

#include <stdint.h>

/* Zero fields mean the defaults. */
struct sta_breaker_config {
    unsigned failures;     /* in a row that open it; 5 */
    unsigned window_least; /* results in the window before its ratio counts; 20 */
    unsigned percent;      /* of failures in the window that open it; 50 */
    uint64_t window_ns;    /* 10 s; what is looked at are the last 5 to 10 */
    uint64_t probe_min_ns; /* 50 ms */
    uint64_t probe_max_ns; /* 500 ms */
};

enum sta_breaker_state { STA_BREAKER_CLOSED, STA_BREAKER_OPEN, STA_BREAKER_HALF_OPEN };

enum sta_breaker_event {
    STA_BREAKER_ASK,      /* may a request be sent? */
    STA_BREAKER_OK,       /* a request was answered in time */
    STA_BREAKER_LATE,     /* one that had timed out was answered after all */
    STA_BREAKER_FAILED,   /* a request timed out, or was lost with the connection */
    STA_BREAKER_SILENT,   /* it owes answers, a ping's included, and has sent nothing for long */
    STA_BREAKER_PROBE_OK, /* exactly one of these two follows each PROBE */
    STA_BREAKER_PROBE_FAILED
};

/* What ASK is answered with; other events are answered with PASS where the breaker is closed
 * afterwards, else REFUSE. */
enum sta_breaker_answer {
    STA_BREAKER_PASS,
    STA_BREAKER_PROBE, /* send it (or a PING in its place): it is the probe */
    STA_BREAKER_REFUSE
};

/* The owner may read; only step() writes. */
struct sta_breaker {
    struct sta_breaker_config config;
    enum sta_breaker_state state;
    unsigned in_a_row;    /* failures */
    unsigned probes;      /* that failed since it opened */
    uint64_t probe_at_ns; /* OPEN: the next probe is due; a timer may ask then */
    uint64_t window_at_ns;
    unsigned results[2]; /* of this half of the window and the one before it */
    unsigned failed[2];
    uint64_t random;
    uint64_t opened;    /* counters: times opened, */
    uint64_t refused;   /*   ASKs that were refused, */
    uint64_t opened_ns; /* when it last left CLOSED */
};

void sta_breaker_init(struct sta_breaker *breaker, const struct sta_breaker_config *config,
                      uint64_t random, uint64_t now_ns);

enum sta_breaker_answer sta_breaker_step(struct sta_breaker *breaker, enum sta_breaker_event event,
                                         uint64_t now_ns);

#endif
