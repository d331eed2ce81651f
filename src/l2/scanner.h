/* SPDX-License-Identifier: MIT
 *
 * A scan of all keys that begin with a prefix and match a pattern, on every primary at once. Whom
 * to ask is scan_plan.h's, what to say is scan_page.h's; here it is sent, and paced.
 *
 *               next()                page                       taken
 *     IDLE -------------> RESTING ---------> PAGE -------------------------> IDLE, or WORD where
 *       ^                      ^                |  '--> HELD --more()------->  it was the last
 *       |                      '--- failed -----'
 *       '---- what the node says of its slots ------- WORD <-- the walk has come to its end
 *
 * What is promised: a key that is there from start() to the end is told at least once, while slots
 * move and primaries fail; one that comes or goes meanwhile, perhaps; one may be told twice. Where
 * that cannot be kept (a node stays away for longer than the patience, a server refuses) the scan
 * ends with an error, never in silence.
 *
 * A cursor means something to one process: a walk whose connection is another than at its begin
 * starts from 0 again. In a cluster a walk's first question and its last are CLUSTER NODES.
 *
 * The pace: a page that came after t is followed by a rest of t x (100 - share) / share, so that a
 * node is busy with the scan for `share` percent of the time at the most; a server that is slow,
 * for whatever reason, is asked less. Pages come by the lane for large replies, where nobody else
 * waits behind them. Rests of less than a millisecond are saved up until they are one.
 *
 * At most STA_SCANNER_WALKS_MOST nodes are walked at a time.
 * Memory: the plan's (scan_plan.h), and for each node one page while it is read.
 * Threads: the loop's only.
 */
#ifndef STA_SCANNER_H
#define STA_SCANNER_H

#include "l2/router.h"
#include "strata/bytes.h"

#define STA_SCANNER_WALKS_MOST 64u

struct sta_scanner;

struct sta_scanner_config {
    struct strata_bytes prefix;  /* copied; not told with the keys */
    struct strata_bytes pattern; /* copied; no bytes: all keys */
    unsigned count;              /* COUNT of a page, >= 1 */
    unsigned share;              /* percent, 1 to 100 */
    uint64_t page_ns;            /* the most that one answer may take */
    uint64_t patience_ns;        /* a node that has answered nothing for so long ends the scan */

    /* A page has come: take its keys with sta_scanner_key() before returning. STRATA_OK;
     * STRATA_MORE: this lane is not asked on before sta_scanner_more(); an error ends the scan with
     * it. */
    int (*page)(void *arg, struct sta_scanner *scan, unsigned lane);
    /* Called once, with STRATA_OK or what the scan failed with, and why; never after stop(). The
     * scan is gone when it returns. */
    void (*ended)(void *arg, int status, const char *reason);
    void *arg;
};

/* STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG (the pattern). No callback is called before it returns. */
int sta_scanner_start(struct sta_scanner **out, struct sta_router *router,
                      const struct sta_scanner_config *config);

/* In page(): its next key, without the prefix, readable until page() returns; false: no more. Keys
 * of canaries are not told, nor what no cache takes for a key. */
bool sta_scanner_key(struct sta_scanner *scan, struct strata_bytes *key);

/* For a lane whose page() answered STRATA_MORE: its keys have been dealt with. Not from page(). */
void sta_scanner_more(struct sta_scanner *scan, unsigned lane);

/* Ends it; ended() is not called. May be called from page(). NULL is fine. */
void sta_scanner_stop(struct sta_scanner **scan);

/* Ends all of a router's that closes, with STRATA_ERR_CLOSED. */
void sta_scanner_end_all(struct sta_router *router);

#endif
