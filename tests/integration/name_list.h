/* SPDX-License-Identifier: MIT
 *
 * Names of keys that a test has gathered, to be compared as sets. Failures fail the running test.
 */
#ifndef TEST_NAME_LIST_H
#define TEST_NAME_LIST_H

#include "strata/strata.h"

struct name_list {
    struct strata_bytes *names; /* copies */
    size_t count;
    size_t cap;
};

void name_list_add(struct name_list *list, struct strata_bytes name);
void name_list_clear(struct name_list *list);

/* All that an iterator names; it must come to its end. */
void name_list_collect(struct name_list *list, struct strata *cache,
                       const struct strata_keys_options *options);

/* The same names, each once. Sorts both. */
void name_list_assert_equal(struct name_list *named, struct name_list *expected);

#endif
