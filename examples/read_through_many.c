/* SPDX-License-Identifier: MIT
 *
 * Read-through for many keys: a shop asks for the prices of what is in the basket. Those that no
 * tier has come from the "price list" by one question, and each has its own answer.
 * ROUTER_REDIS_URL=redis://localhost:6379/0 ./read_through_many
 */
#include <stdio.h>

#include <strata/strata.h>

#define ITEMS 4

/* One query for all: SELECT name, price FROM prices WHERE name IN (...). What it does not find has
 * no price, which is what STRATA_MISS says of all loads that were not answered. */
static int look_up(struct strata_load *const *loads, size_t count, void *arg)
{
    unsigned *questions = arg;
    (*questions)++;
    for (size_t i = 0; i < count; i++) {
        struct strata_bytes key = strata_load_key(loads[i]);
        const char *name = (const char *)key.data;
        char price[32];
        if (name[key.len - 1] == '?')
            continue;
        int len = snprintf(price, sizeof price, "%zu.00", key.len);
        int status = strata_load_set(loads[i], strata_bytes(price, (size_t)len), 0);
        if (status != STRATA_OK)
            return status;
    }
    return STRATA_MISS;
}

static int show(struct strata *cache, unsigned *questions, const struct strata_bytes *keys)
{
    struct strata_load_options options = {.ttl_ms = 60000, .null_ttl_ms = 5000};
    struct strata_value values[ITEMS];
    int statuses[ITEMS];
    int status =
        strata_get_or_load_many(cache, keys, ITEMS, look_up, questions, &options, values, statuses);
    for (int i = 0; i < ITEMS; i++) {
        printf("%.*s: %.*s\n", (int)keys[i].len, (const char *)keys[i].data,
               statuses[i] == STRATA_OK ? (int)values[i].bytes.len : 0,
               statuses[i] == STRATA_OK ? (const char *)values[i].bytes.data : "");
        strata_release(&values[i]);
    }
    printf("%u question(s) to the price list\n", *questions);
    return status;
}

int main(void)
{
    struct strata *cache = NULL;
    struct strata_error error;
    unsigned questions = 0;

    if (strata_open(&cache, NULL, &error) != STRATA_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    const struct strata_bytes keys[ITEMS] = {strata_text("price:apple"), strata_text("price:fig"),
                                             strata_text("price:quince"), strata_text("price:?")};
    int first = show(cache, &questions, keys);
    int second = show(cache, &questions, keys);
    strata_close(&cache);
    return first == STRATA_OK && second == STRATA_OK && questions == 1 ? 0 : 1;
}
