/* SPDX-License-Identifier: MIT
 *
 * Waiting on a 32-bit word (futex(2)): one system call wakes one waiter or all of them, and no
 * memory belongs to a waiter. The word is the caller's to change; waking does not change it.
 */
#ifndef STA_FUTEX_H
#define STA_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps as long as *word is `expected`, at most `most` (NULL: without limit); may wake for
 * nothing. */
static inline void sta_futex_wait(_Atomic uint32_t *word, uint32_t expected,
                                  const struct timespec *most)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, most, NULL, 0);
}

/* Returns how many were woken. */
static inline long sta_futex_wake(_Atomic uint32_t *word, int most)
{
    return syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, NULL, NULL, 0);
}

#endif
