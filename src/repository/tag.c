/* SPDX-License-Identifier: MIT
 *
 * See tag.h.
 */
#include "repository/tag.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/random.h"

#define TAG_AT_ONCE 512 /* versions that go to Redis together */

static void tag_add(struct sta_tag *tag, const char *text, size_t len)
{
    memcpy(tag->name + tag->len, text, len);
    tag->len += len;
}

void sta_tag_all(struct sta_tag *tag, const struct sta_schema *schema)
{
    tag->len = 0;
    tag_add(tag, schema->prefix, strlen(schema->prefix));
    tag_add(tag, "@v", 2);
}

/* Values that SQL calls equal hash equally. */
static uint64_t tag_hash(const struct strata_field *field)
{
    double real;
    uint8_t boolean;
    switch (field->type) {
    case STRATA_TYPE_TEXT:
    case STRATA_TYPE_BLOB:
        return XXH3_64bits(field->of.bytes.data, field->of.bytes.len);
    case STRATA_TYPE_REAL:
        real = field->of.real == 0 ? 0 : field->of.real; /* 0 and -0 */
        return XXH3_64bits(&real, sizeof real);
    case STRATA_TYPE_BOOLEAN:
        boolean = field->of.boolean ? 1 : 0;
        return XXH3_64bits(&boolean, sizeof boolean);
    case STRATA_TYPE_NULL:
        return 0;
    default:
        return XXH3_64bits(&field->of.integer, sizeof field->of.integer);
    }
}

void sta_tag_value(struct sta_tag *tag, const struct sta_column *column,
                   const struct strata_field *field)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = tag_hash(field);
    tag->len = 0;
    tag_add(tag, column->tag.text, column->tag.len);
    for (unsigned shift = 0; shift < 16; shift += 4)
        tag->name[tag->len++] = digits[hash >> shift & 0xf];
}

/* ---- sets ---- */

static int tag_set_add(struct sta_tag_set *set, const struct sta_tag *tag)
{
    uint8_t len = (uint8_t)tag->len;
    int status = sta_buffer_reserve(&set->bytes, 1u + tag->len);
    if (status != STRATA_OK)
        return status;
    (void)sta_buffer_append(&set->bytes, strata_bytes(&len, 1));
    return sta_buffer_append(&set->bytes, strata_bytes(tag->name, tag->len));
}

int sta_tag_set_add_row(struct sta_tag_set *set, const struct sta_schema *schema,
                        const struct strata_field *fields)
{
    struct sta_tag tag;
    sta_tag_all(&tag, schema);
    int status = tag_set_add(set, &tag);
    for (size_t i = 0; i < schema->column_count && status == STRATA_OK; i++) {
        if (!schema->columns[i].indexed)
            continue;
        sta_tag_value(&tag, &schema->columns[i], &fields[i]);
        status = tag_set_add(set, &tag);
    }
    return status;
}

/* Takes the next tag off the front of `bytes`. */
static bool tag_set_next(struct strata_bytes *bytes, struct strata_bytes *tag)
{
    const uint8_t *at = bytes->data;
    if (bytes->len == 0 || at[0] == 0 || bytes->len < 1u + at[0])
        return false;
    *tag = strata_bytes(at + 1, at[0]);
    *bytes = strata_bytes(at + 1 + at[0], bytes->len - 1u - at[0]);
    return true;
}

bool sta_tag_set_concerns(struct strata_bytes bytes, const struct sta_schema *schema)
{
    struct sta_tag all;
    struct strata_bytes tag;
    sta_tag_all(&all, schema);
    while (tag_set_next(&bytes, &tag)) {
        if (tag.len == all.len && memcmp(tag.data, all.name, all.len) == 0)
            return true;
    }
    return false;
}

static int tag_compare(const void *left, const void *right)
{
    const struct strata_item *a = left, *b = right;
    size_t shorter = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = memcmp(a->key.data, b->key.data, shorter);
    return order != 0 ? order : (a->key.len > b->key.len) - (a->key.len < b->key.len);
}

/* The tags as items to store, each once, without values; STRATA_ERR_PROTOCOL as above. */
static int tag_set_items(struct strata_bytes bytes, struct strata_item **out, size_t *out_count)
{
    size_t count = 0, kept = 0;
    struct strata_bytes rest = bytes, tag;
    while (tag_set_next(&rest, &tag))
        count++;
    if (rest.len != 0)
        return STRATA_ERR_PROTOCOL;
    struct strata_item *items = calloc(count + 1, sizeof *items);
    if (items == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; tag_set_next(&bytes, &tag); i++)
        items[i].key = tag;
    qsort(items, count, sizeof *items, tag_compare);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || tag_compare(&items[kept - 1], &items[i]) != 0)
            items[kept++] = items[i];
    }
    *out = items;
    *out_count = kept;
    return STRATA_OK;
}

int sta_tag_set_renew(struct strata_bytes bytes, struct strata *cache, _Atomic uint64_t *versions)
{
    uint64_t values[TAG_AT_ONCE];
    struct strata_item *items;
    size_t count;
    int status = tag_set_items(bytes, &items, &count);
    if (status != STRATA_OK)
        return status;
    for (size_t from = 0; from < count; from += TAG_AT_ONCE) {
        size_t some = count - from < TAG_AT_ONCE ? count - from : TAG_AT_ONCE;
        for (size_t i = 0; i < some; i++) {
            values[i] = sta_tag_new_version(versions);
            items[from + i].value = strata_bytes(&values[i], sizeof values[i]);
            items[from + i].ttl_ms = STA_TAG_TTL_MS;
        }
        int told = strata_set_many(cache, items + from, some, NULL);
        if (status == STRATA_OK && told < 0)
            status = told;
    }
    free(items);
    return status;
}

uint64_t sta_tag_new_version(_Atomic uint64_t *versions)
{
    /* The generator's own step, taken by many threads: relaxed, for only the number matters. */
    uint64_t state =
        atomic_fetch_add_explicit(versions, UINT64_C(0x9e3779b97f4a7c15), memory_order_relaxed);
    return sta_random_next(&state);
}
