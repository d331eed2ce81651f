/* SPDX-License-Identifier: MIT
 *
 * Cache-aside: the program asks the cache, and where that has no answer, the source, and sets what
 * it said. Who changes the source deletes the key, so that the next one asks anew.
 * ROUTER_REDIS_URL=redis://localhost:6379/0 ./cache_aside
 */
#include <stdio.h>

#include <strata/strata.h>

/* Stands for a database. */
struct source {
    unsigned stock;
    unsigned questions;
};

static unsigned ask(struct source *source)
{
    source->questions++;
    return source->stock;
}

static int show(struct strata *cache, struct source *source)
{
    struct strata_value value;
    char text[16];
    int status = strata_get(cache, strata_text("stock"), &value);
    if (status == STRATA_OK || status == STRATA_STALE) { /* stale: only with serve_stale */
        printf("stock %.*s, from the cache\n", (int)value.bytes.len,
               (const char *)value.bytes.data);
        strata_release(&value);
        return STRATA_OK;
    }
    /* STRATA_MISS; or Redis does not answer, and the source still does. */
    int len = snprintf(text, sizeof text, "%u", ask(source));
    printf("stock %s, from the source (asked %u times)\n", text, source->questions);
    return strata_set(cache, strata_text("stock"), strata_bytes(text, (size_t)len), 60000);
}

int main(void)
{
    struct strata *cache = NULL;
    struct strata_error error;
    struct source source = {.stock = 7};

    if (strata_open(&cache, NULL, &error) != STRATA_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    int status = show(cache, &source);
    if (status == STRATA_OK)
        status = show(cache, &source);
    source.stock = 6; /* the source first, then the key: what is read in between falls, too */
    if (status == STRATA_OK)
        status = strata_delete(cache, strata_text("stock"));
    if (status == STRATA_OK)
        status = show(cache, &source);
    if (status != STRATA_OK)
        fprintf(stderr, "%s\n", strata_status_text(status));
    strata_close(&cache);
    return status == STRATA_OK ? 0 : 1;
}
