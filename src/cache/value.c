/* SPDX-License-Identifier: MIT
 *
 * See value.h.
 */
#include "cache/value.h"

#include <stdlib.h>
#include <string.h>

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

void sta_value_release(struct strata_value *value)
{
    if (value->owner[0] != NULL) {
        struct sta_l1_lease lease = {.value = value->bytes, .pin = value->owner[1]};
        sta_l1_release(value->owner[0], &lease);
    } else {
        free(value->owner[1]);
    }
    *value = (struct strata_value){0};
}
