/* SPDX-License-Identifier: MIT
 *
 * Read-through: a page is asked for by its number; where no tier has it, it is "rendered", once,
 * and both tiers keep it. The second answer comes from memory.
 * ROUTER_REDIS_URL=redis://localhost:6379/0 ./read_through
 */
#include <stdio.h>

#include <strata/strata.h>

struct site {
    unsigned rendered;
};

/* Runs on the thread of the call that found nothing; others that want the same page wait for it. */
static int render(struct strata_load *load, void *arg)
{
    struct site *site = arg;
    struct strata_bytes key = strata_load_key(load);
    char page[128];
    if (key.len < 6 || memcmp(key.data, "page:", 5) != 0)
        return STRATA_MISS; /* there is no such page */
    site->rendered++;
    int len = snprintf(page, sizeof page, "<h1>%.*s</h1>", (int)(key.len < 64 ? key.len : 64),
                       (const char *)key.data);
    return strata_load_set(load, strata_bytes(page, (size_t)len), 0);
}

static int show(struct strata *cache, struct site *site, const char *key)
{
    struct strata_load_options options = {.ttl_ms = 60000, .null_ttl_ms = 5000};
    struct strata_value value = {0};
    int status = strata_get_or_load(cache, strata_text(key), render, site, &options, &value);
    if (status == STRATA_OK)
        printf("%s: %.*s (rendered %u)\n", key, (int)value.bytes.len,
               (const char *)value.bytes.data, site->rendered);
    else
        printf("%s: %s\n", key, strata_status_text(status));
    strata_release(&value); /* where there is none, it does nothing */
    return status;
}

int main(void)
{
    struct strata *cache = NULL;
    struct strata_error error;
    struct site site = {0};

    if (strata_open(&cache, NULL, &error) != STRATA_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    int first = show(cache, &site, "page:7");
    int second = show(cache, &site, "page:7");
    int none = show(cache, &site, "nonsense");
    strata_close(&cache);
    return first == STRATA_OK && second == STRATA_OK && none == STRATA_MISS ? 0 : 1;
}
