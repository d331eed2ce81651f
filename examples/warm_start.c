/* SPDX-License-Identifier: MIT
 *
 * Warm start: a process saves which keys its memory had before it ends, and the next one reads
 * them from Redis before it is asked. Here both are one program that opens its cache twice.
 * ROUTER_REDIS_URL=redis://localhost:6379/0 ./warm_start FILE
 */
#include <stdio.h>

#include <strata/strata.h>

static const char *const cities[] = {"city:lima", "city:oslo", "city:pune"};
enum { CITIES = sizeof cities / sizeof cities[0] };

static int save(const char *path, struct strata_error *error)
{
    struct strata *cache = NULL;
    uint64_t saved = 0;
    int status = strata_open(&cache, NULL, error);
    for (int i = 0; i < CITIES && status == STRATA_OK; i++)
        status = strata_set(cache, strata_text(cities[i]), strata_text("a place"), 60000);
    if (status == STRATA_OK)
        status = strata_save_hot(cache, path, NULL, &saved, error);
    if (status == STRATA_OK)
        printf("%d keys are hot\n", (int)saved);
    strata_close(&cache);
    return status;
}

static int start_warm(const char *path, struct strata_error *error)
{
    struct strata *cache = NULL;
    struct strata_warm_options options = {.hot_file = path};
    struct strata_warm_progress progress = {0};
    struct strata_statistics statistics;
    struct strata_value value = {0};
    int status = strata_open(&cache, NULL, error);
    if (status == STRATA_OK)
        status = strata_warm(cache, &options, &progress, error);
    if (status == STRATA_OK)
        printf("%d of %d are in memory again\n", (int)progress.warmed, (int)progress.total);
    for (int i = 0; i < CITIES && status == STRATA_OK; i++) {
        status = strata_get(cache, strata_text(cities[i]), &value);
        strata_release(&value);
    }
    if (status == STRATA_OK) {
        strata_statistics(cache, &statistics);
        printf("%d gets, %d answered from memory\n", CITIES, (int)statistics.l1.hits);
    }
    strata_close(&cache);
    return status;
}

int main(int argc, char **argv)
{
    struct strata_error error = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: warm_start FILE\n");
        return 2;
    }
    int status = save(argv[1], &error);
    if (status == STRATA_OK)
        status = start_warm(argv[1], &error);
    if (status != STRATA_OK)
        fprintf(stderr, "%s\n", error.text[0] != '\0' ? error.text : strata_status_text(status));
    return status == STRATA_OK ? 0 : 1;
}
