/* SPDX-License-Identifier: MIT
 *
 * Arguments of a command from one line of text, for tests: split at single spaces.
 */
#ifndef TEST_WORDS_H
#define TEST_WORDS_H

#include <string.h>

#include "strata/bytes.h"

#define WORDS_MOST 16u

struct words {
    struct strata_bytes argv[WORDS_MOST];
    size_t argc;
};

static inline struct words words_of(const char *line)
{
    struct words words = {.argc = 0};
    for (const char *end; *line != '\0' && words.argc < WORDS_MOST; line = *end ? end + 1 : end) {
        end = line + strcspn(line, " ");
        words.argv[words.argc++] = strata_bytes(line, (size_t)(end - line));
    }
    return words;
}

#endif
