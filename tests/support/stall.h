/* SPDX-License-Identifier: MIT
 *
 * What the machine takes away. A busy machine stops whole processes for a while; a bound in time
 * that is a property of ours must hold without that. A thread of the process sleeps a millisecond
 * again and again, from the first mark on to the end: for what it is kept longer, nobody ran.
 *
 * Threads: any.
 */
#ifndef TEST_STALL_H
#define TEST_STALL_H

#include <stdint.h>

struct stall_mark {
    uint64_t at_ns;
    uint64_t lost_ns; /* of stalls, since the watch began */
};

struct stall_mark stall_mark(void);

/* Since the mark: the time that passed, without what was taken away; and what was. */
uint64_t stall_took_ns(struct stall_mark since);
uint64_t stall_lost_ns(struct stall_mark since);

/* Fails the running test unless at least so much time passed since the mark, and no more than so
 * much was not taken away. */
void stall_assert_took_ms(struct stall_mark since, uint64_t least_ms, uint64_t most_ms);

#endif
