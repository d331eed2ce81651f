/* SPDX-License-Identifier: MIT
 *
 * The commands that the scripted server receives, as text. A parser of its own and not the
 * library's: it is to be tested with this.
 */
#ifndef TEST_FAKE_REDIS_WORDS_H
#define TEST_FAKE_REDIS_WORDS_H

#include <stddef.h>

/* Joins the words of the first command in `input` (an array of bulks, or an inline line) with
 * blanks, cut at `cap`; bytes that are not printable become dots. The bytes that the command
 * takes, 0 where it is not whole yet, -1 where it is none. */
long fake_redis_words(const char *input, size_t len, char *text, size_t cap, unsigned *words);

#endif
