/* SPDX-License-Identifier: MIT
 *
 * Options that change while a cache is open.
 */
#include "api/handle.h"
#include "config/live.h"
#include "config/options.h"
#include "strata/strata.h"

int strata_reconfigure(struct strata *cache, const struct strata_setting *settings, size_t count,
                       struct strata_error *error)
{
    struct strata_options options;
    struct sta_config *read = NULL;
    const struct sta_option_set set = {
        .options = sta_option_table, .count = STA_OPTION_TABLE_COUNT, .target = &options};
    pthread_mutex_lock(&cache->lock);
    options = cache->options;
    int status = sta_live_read(&read, &set, 1, settings, count, error);
    if (status < 0)
        goto unlock;
    status = sta_live_check(&options, cache->l1_max_bytes, error);
    if (status == STRATA_OK && sta_live_names(settings, count, "l1_quotas"))
        status = sta_handle_set_quotas(cache, &options, error);
    if (status == STRATA_OK) {
        sta_handle_adjust(cache, &options);
        sta_options_keep(&cache->options, &options);
    }
    sta_config_destroy(&read);
unlock:
    pthread_mutex_unlock(&cache->lock);
    return status;
}
