/* SPDX-License-Identifier: MIT
 *
 * Which questions had a large answer. Nobody knows the size of a reply before it comes, but who
 * asked for something large asks for it again, and then it can go where nothing small waits behind
 * it.
 *
 * What is remembered is a hash of the question's bytes, in a table where a newer one takes the
 * place of an older one: a guess, which only chooses between two ways that both lead there. An
 * answer that is small after all is forgotten.
 * Pure. Memory: the struct. Threads: one owner.
 */
#ifndef STA_LARGE_ANSWERS_H
#define STA_LARGE_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

#define STA_LARGE_ANSWERS_PLACES 256u /* a power of two */

/* Bytes that a line of 1 Gbit/s carries in half a millisecond: what is larger, others feel. */
#define STA_LARGE_ANSWERS_BYTES ((size_t)64 << 10)

/* Zeroed is empty. */
struct sta_large_answers {
    uint32_t marks[STA_LARGE_ANSWERS_PLACES]; /* 0: none */
    unsigned count;
};

/* `question`: RESP commands. What is long is not looked at: it brings a value, and asks for
 * none. */
bool sta_large_answers_expects(const struct sta_large_answers *answers,
                               struct strata_bytes question);

/* What came of it. */
void sta_large_answers_note(struct sta_large_answers *answers, struct strata_bytes question,
                            bool was_large);

#endif
