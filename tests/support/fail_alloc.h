/* SPDX-License-Identifier: MIT
 *
 * Failing allocations on purpose: the n-th allocation from now on fails, once or from then on.
 * Works for code linked with the test_fail_alloc target, which redirects malloc, calloc,
 * realloc, aligned_alloc and strdup (ld --wrap); allocations inside shared libraries are not
 * touched.
 *
 * A ladder fails the 1st, 2nd, ... allocation of a call until the call gets through:
 *
 *     for (uint64_t n = 1;; n++) {
 *         fail_alloc_at(n);
 *         int status = call();
 *         if (!fail_alloc_end())
 *             break;                        it needed fewer than n
 *         ... status is the out-of-memory code and nothing has changed ...
 *     }
 *
 * Threads: the counter is one for the process and atomic. What happens meanwhile is for one thread.
 */
#ifndef STA_TEST_FAIL_ALLOC_H
#define STA_TEST_FAIL_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The n-th allocation from now on fails, n >= 1. */
void fail_alloc_at(uint64_t n);

/* No more failures; returns whether one happened since fail_alloc_at(). */
bool fail_alloc_end(void);

/* Between the two nothing fails and nothing is counted: for what a test does itself. */
uint64_t fail_alloc_pause(void);
void fail_alloc_resume(uint64_t paused);

/* `then` is called within the next malloc of `bytes` or more, once: in the middle of a call. It may
 * allocate. */
void fail_alloc_meanwhile(size_t bytes, void (*then)(void *arg), void *arg);

#endif
