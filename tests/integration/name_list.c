/* SPDX-License-Identifier: MIT
 *
 * See name_list.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/name_list.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

void name_list_add(struct name_list *list, struct strata_bytes name)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 256 : 2 * list->cap;
        list->names = realloc(list->names, list->cap * sizeof *list->names);
        assert_non_null(list->names);
    }
    void *copy = malloc(name.len + 1);
    assert_non_null(copy);
    memcpy(copy, name.data, name.len);
    list->names[list->count++] = strata_bytes(copy, name.len);
}

void name_list_clear(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free((void *)list->names[i].data);
    free(list->names);
    *list = (struct name_list){.count = 0};
}

void name_list_collect(struct name_list *list, struct strata *cache,
                       const struct strata_keys_options *options)
{
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    struct strata_error error = {.text = ""};
    int status;
    assert_int_equal(strata_keys_open(&keys, cache, options), STRATA_OK);
    while ((status = strata_keys_next(keys, &name, &error)) == STRATA_OK)
        name_list_add(list, name);
    if (status != STRATA_MISS)
        fail_msg("%s: %s", strata_status_name(status), error.text);
    strata_keys_close(&keys);
}

static int compare(const void *left, const void *right)
{
    const struct strata_bytes *one = left, *other = right;
    size_t len = one->len < other->len ? one->len : other->len;
    int order = memcmp(one->data, other->data, len);
    return order != 0 ? order : (one->len > other->len) - (one->len < other->len);
}

void name_list_assert_equal(struct name_list *named, struct name_list *expected)
{
    if (named->count > 0)
        qsort(named->names, named->count, sizeof *named->names, compare);
    if (expected->count > 0)
        qsort(expected->names, expected->count, sizeof *expected->names, compare);
    for (size_t i = 0; i < named->count && i < expected->count; i++)
        if (compare(&named->names[i], &expected->names[i]) != 0)
            fail_msg("name %zu is '%.*s', expected is '%.*s'", i, (int)named->names[i].len,
                     (const char *)named->names[i].data, (int)expected->names[i].len,
                     (const char *)expected->names[i].data);
    assert_int_equal(named->count, expected->count);
}
