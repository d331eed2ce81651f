/* SPDX-License-Identifier: MIT
 *
 * Write-behind: a counter of visits is written a thousand times in a row, and Redis gets the last
 * value. Whoever has to know that it is there calls strata_flush() before the end.
 * With STRATA_WRITE_BEHIND_JOURNAL=<directory> what was acknowledged survives kill -9.
 * ROUTER_REDIS_URL=redis://localhost:6379/0 ./write_behind
 */
#include <stdio.h>

#include <strata/strata.h>

static int count_visits(struct strata *cache, unsigned visits)
{
    char text[16];
    int status = STRATA_OK;
    for (unsigned i = 1; i <= visits && status == STRATA_OK; i++) {
        int len = snprintf(text, sizeof text, "%u", i);
        status = strata_set(cache, strata_text("visits"), strata_bytes(text, (size_t)len), 0);
    }
    return status; /* STRATA_ERR_BUSY: there is no room, and Redis has been away for long */
}

int main(void)
{
    struct strata *cache = NULL;
    struct strata_statistics numbers;
    struct strata_options options = {0};
    struct strata_error error;

    int status = strata_options_from_environment(&options, &error);
    if (status == STRATA_OK) {
        options.write_through = STRATA_OFF;
        options.write_behind = STRATA_ON;
        status = strata_open(&cache, &options, &error);
        strata_options_fini(&options);
    }
    if (status != STRATA_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    status = count_visits(cache, 1000);
    if (status == STRATA_OK)
        status = strata_flush(cache, 5000);
    strata_statistics(cache, &numbers);
    if (status == STRATA_OK)
        printf("of 1000 writes Redis saw %llu\n", (unsigned long long)numbers.write_behind.flushed);
    else
        fprintf(stderr, "%s\n", strata_status_text(status));
    strata_close(&cache);
    return status == STRATA_OK ? 0 : 1;
}
