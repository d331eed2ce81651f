/* SPDX-License-Identifier: MIT
 *
 * See value.h.
 */
#include "cache/value.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What several values own together. */
struct shared {
    atomic_uint owners;
    struct strata_value value;
};

void sta_value_from_lease(struct strata_value *value, struct sta_l1 *l1,
                          const struct sta_l1_lease *lease)
{
    *value = (struct strata_value){.bytes = lease->value, .owner = {l1, lease->pin}};
}

int sta_value_from_bytes(struct strata_value *value, struct strata_bytes bytes)
{
    void *block = malloc(bytes.len > 0 ? bytes.len : 1);
    if (block == NULL)
        return STRATA_ERR_NOMEM;
    if (bytes.len > 0)
        memcpy(block, bytes.data, bytes.len);
    *value = (struct strata_value){.bytes = {block, bytes.len}, .owner = {NULL, block}};
    return STRATA_OK;
}

int sta_value_from_memory(struct strata_value *value, struct strata_bytes bytes,
                          struct sta_buffer *memory)
{
    if (memory == NULL || bytes.len < memory->cap - memory->cap / 4)
        return sta_value_from_bytes(value, bytes);
    assert(memory->data != NULL); /* each request's is given once */
    *value = (struct strata_value){.bytes = bytes, .owner = {NULL, sta_buffer_take(memory)}};
    return STRATA_OK;
}

static bool is_lease(const struct strata_value *value)
{
    const struct shared *shared = value->owner[2];
    return (shared != NULL ? shared->value.owner[0] : value->owner[0]) != NULL;
}

int sta_value_own(struct strata_value *value)
{
    struct strata_value lease = *value;
    if (!is_lease(value))
        return STRATA_OK;
    int status = sta_value_from_bytes(value, lease.bytes);
    if (status == STRATA_OK)
        sta_value_release(&lease);
    return status;
}

int sta_value_make_shared(struct strata_value *value)
{
    if (value->owner[2] != NULL)
        return STRATA_OK;
    struct shared *shared = malloc(sizeof *shared);
    if (shared == NULL)
        return STRATA_ERR_NOMEM;
    atomic_init(&shared->owners, 1);
    shared->value = *value;
    *value = (struct strata_value){.bytes = value->bytes, .owner = {NULL, shared, shared}};
    return STRATA_OK;
}

struct strata_value sta_value_share(const struct strata_value *value)
{
    struct shared *shared = value->owner[2];
    /* relaxed: whoever shares is an owner, so the last one is not leaving. */
    atomic_fetch_add_explicit(&shared->owners, 1, memory_order_relaxed);
    return *value;
}

static void shared_release(struct shared *shared)
{
    /* release, partner: the acquire of the last owner, who sees what the others did. */
    if (atomic_fetch_sub_explicit(&shared->owners, 1, memory_order_acq_rel) != 1)
        return;
    sta_value_release(&shared->value);
    free(shared);
}

void sta_value_release(struct strata_value *value)
{
    if (value->owner[2] != NULL) {
        shared_release(value->owner[2]);
    } else if (value->owner[0] != NULL) {
        struct sta_l1_lease lease = {.value = value->bytes, .pin = value->owner[1]};
        sta_l1_release(value->owner[0], &lease);
    } else {
        free(value->owner[1]);
    }
    *value = (struct strata_value){0};
}
