/* SPDX-License-Identifier: MIT
 *
 * Stores a value in both tiers and reads it back. Which Redis, and everything else, comes from
 * the environment: ROUTER_REDIS_URL=redis://localhost:6379/0 ./quickstart
 */
#include <stdio.h>

#include <strata/strata.h>

int main(void)
{
    struct strata *cache = NULL;
    struct strata_value value = {0};
    struct strata_error error;

    if (strata_open(&cache, NULL, &error) != STRATA_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    int status = strata_set(cache, strata_text("greeting"), strata_text("hello"), 60000);
    if (status == STRATA_OK) /* Redis has it; L1 has it, too, and answers: */
        status = strata_get(cache, strata_text("greeting"), &value);
    if (status == STRATA_OK)
        printf("%.*s\n", (int)value.bytes.len, (const char *)value.bytes.data);
    else
        fprintf(stderr, "%s\n", strata_status_text(status));
    strata_release(&value); /* before the cache is closed; where there is none, it does nothing */
    strata_close(&cache);
    return status == STRATA_OK ? 0 : 1;
}
