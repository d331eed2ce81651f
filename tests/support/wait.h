/* SPDX-License-Identifier: MIT
 *
 * Waiting in tests: for a fact, not for a time.
 */
#ifndef TEST_WAIT_H
#define TEST_WAIT_H

#include <stdbool.h>

/* Asks fact(arg) again and again, about once a millisecond, until it is true or `timeout_ms`
 * are over, not counting what the machine itself stood still in between. Says what it was at
 * last. */
bool wait_until(bool (*fact)(void *arg), void *arg, unsigned timeout_ms);

#endif
