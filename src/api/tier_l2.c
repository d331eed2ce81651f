/* SPDX-License-Identifier: MIT
 *
 * The Redis tier alone: a cache whose L1 is switched off.
 */
#include <stdlib.h>

#include "api/handle.h"
#include "core/error.h"
#include "strata/l2.h"

int strata_l2_open(struct strata_l2 **out, const struct strata_l2_options *options,
                   struct strata_error *error)
{
    struct strata_l2_options given = {0};
    if (options != NULL)
        given = *options;
    struct strata_options both = {
        .l1_enabled = STRATA_OFF,
        .redis_url = given.redis_url,
        .l2_key_prefix = given.key_prefix,
        .cluster_enabled = given.cluster_enabled,
        .cluster_nodes = given.cluster_nodes,
        .cluster_node_count = given.cluster_node_count,
        .l2_ttl_ms = given.default_ttl_ms,
        .max_connections = given.max_connections,
        .socket_timeout_ms = given.socket_timeout_ms,
        .tls_provider = given.tls_provider,
        .log_level = given.log_level,
        .log_sink = given.log_sink,
        .log_arg = given.log_arg,
    };
    struct strata_l2 *l2 = calloc(1, sizeof *l2);
    if (l2 == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    int status = sta_handle_open(&l2->both, &both, error);
    if (status < 0) {
        free(l2);
        return status;
    }
    *out = l2;
    return STRATA_OK;
}

void strata_l2_close(struct strata_l2 **l2)
{
    if (l2 == NULL || *l2 == NULL)
        return;
    sta_handle_close(&(*l2)->both);
    free(*l2);
    *l2 = NULL;
}

int strata_l2_get(struct strata_l2 *l2, struct strata_bytes key, struct strata_value *value)
{
    return strata_get(&l2->both, key, value);
}

int strata_l2_set(struct strata_l2 *l2, struct strata_bytes key, struct strata_bytes value,
                  uint64_t ttl_ms)
{
    return strata_set(&l2->both, key, value, ttl_ms);
}

int strata_l2_delete(struct strata_l2 *l2, struct strata_bytes key)
{
    return strata_delete(&l2->both, key);
}

int strata_l2_get_async(struct strata_l2 *l2, struct strata_bytes key,
                        struct strata_completion completion)
{
    return strata_get_async(&l2->both, key, completion);
}

int strata_l2_set_async(struct strata_l2 *l2, struct strata_bytes key, struct strata_bytes value,
                        uint64_t ttl_ms, struct strata_completion completion)
{
    return strata_set_async(&l2->both, key, value, ttl_ms, completion);
}

int strata_l2_delete_async(struct strata_l2 *l2, struct strata_bytes key,
                           struct strata_completion completion)
{
    return strata_delete_async(&l2->both, key, completion);
}
