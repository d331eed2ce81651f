/* SPDX-License-Identifier: MIT
 *
 * Entries of the tier and their references (item.h).
 */
#include "l1/item.h"

#include <stdlib.h>
#include <string.h>

struct sta_item *sta_item_create(const struct sta_key *key, const struct sta_l1_entry *entry)
{
    struct sta_item *item = malloc(sizeof *item + key->bytes.len + entry->value.len);
    if (item == NULL)
        return NULL;
    *item = (struct sta_item){
        .hash = key->hash,
        .deadline_ms = entry->deadline_ms,
        .value_len = (uint32_t)entry->value.len,
        .key_len = (uint16_t)key->bytes.len,
        .flags = entry->flags,
    };
    atomic_init(&item->refs, 1);
    if (key->bytes.len > 0)
        memcpy(item->bytes, key->bytes.data, key->bytes.len);
    if (entry->value.len > 0)
        memcpy(item->bytes + key->bytes.len, entry->value.data, entry->value.len);
    return item;
}

void sta_item_ref(struct sta_item *item)
{
    /* relaxed: whoever refs already holds a reference or the lock */
    atomic_fetch_add_explicit(&item->refs, 1, memory_order_relaxed);
}

void sta_item_unref(struct sta_item *item)
{
    /* release our reads of the bytes to whoever frees; acquire everybody's before freeing */
    if (atomic_fetch_sub_explicit(&item->refs, 1, memory_order_acq_rel) == 1)
        free(item);
}
