/* SPDX-License-Identifier: MIT
 *
 * What the files of a read share.
 */
#ifndef STA_READ_INSIDE_H
#define STA_READ_INSIDE_H

#include "cache/cache.h"

/* A key that L1 did not answer. */
struct sta_read_missing {
    struct sta_key key;
    struct sta_l1_token token;
    size_t index;
    bool suspect; /* L1 has an entry that is in doubt */

    bool tagged; /* its value is in `values` as it is stored until its tags are known */
};

/* On the loop: sends what is missing. */
void sta_read_start(struct sta_read *read);

/* On the loop, instead: whether L1 answers all of it by now; then the read is over. */
bool sta_read_ask_l1_again(struct sta_read *read, uint64_t now_ns);

/* On the loop, instead: all that is missing ends so, or with what is wanted instead. */
void sta_read_fail(struct sta_read *read, int status);

/* Stores in L1 what Redis has, under the token as it stands; else nothing older stays there. */
void sta_read_keep(struct sta_read *read, const struct sta_read_missing *missing, uint64_t now_ms,
                   struct strata_bytes stored, uint64_t ttl_ms, bool aged);

/* Nothing is kept of what Redis has answered: nothing older stays in L1. */
void sta_read_keep_nothing(struct sta_read *read, const struct sta_read_missing *missing,
                           uint64_t now_ms);

/* All keys are answered: finds out which tagged values count, on the spot or (true) with a second
 * batch, of which `over` is called when it has ended. */
bool sta_read_tagged_settle(struct sta_read *read, void (*over)(struct sta_batch *batch));

#endif
