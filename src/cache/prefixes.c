/* SPDX-License-Identifier: MIT
 *
 * See prefixes.h. What is counted stays in the stripes until somebody reads: then it is moved to
 * the rows, so that a stripe's summary may forget a prefix that has a row without the row going
 * back.
 */
#include "cache/prefixes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/key.h"
#include "core/random.h"
#include "strata/status.h"

#define STRIPE_BITS 4u
#define STRIPES     (1u << STRIPE_BITS)

/* Threads that share one wait for each other. */
struct stripe {
    _Alignas(64) pthread_mutex_t lock;
    struct sta_prefix_summary summary;
    struct sta_prefix_numbers configured[STA_PREFIXES_CONFIGURED];
};

struct top {
    struct sta_prefixes_row row;
    uint64_t weight; /* at the last read */
};

struct sta_prefixes {
    /* Fixed at creation. */
    uint64_t seed;
    char delimiter;
    size_t configured_count;
    struct strata_bytes configured[STA_PREFIXES_CONFIGURED]; /* of rows_configured */

    struct stripe stripes[STRIPES];

    /* Guarded by lock, which is taken before those of stripes. */
    pthread_mutex_t lock;
    struct sta_prefixes_row rows_configured[STA_PREFIXES_CONFIGURED];
    struct top top[STA_PREFIXES_TOP];
    size_t top_count;
    struct sta_prefix_numbers other;
};

int sta_prefixes_create(struct sta_prefixes **out, const struct sta_prefixes_config *config)
{
    struct sta_prefixes *prefixes = aligned_alloc(_Alignof(struct stripe), sizeof *prefixes);
    if (prefixes == NULL)
        return STRATA_ERR_NOMEM;
    memset(prefixes, 0, sizeof *prefixes);
    prefixes->seed = sta_random_seed();
    prefixes->delimiter = config->delimiter;
    prefixes->configured_count = config->count;
    for (size_t i = 0; i < config->count; i++) {
        char *copy = prefixes->rows_configured[i].prefix;
        memcpy(copy, config->prefixes[i], strlen(config->prefixes[i]) + 1);
        prefixes->configured[i] = strata_text(copy);
    }
    pthread_mutex_init(&prefixes->lock, NULL);
    for (unsigned i = 0; i < STRIPES; i++)
        pthread_mutex_init(&prefixes->stripes[i].lock, NULL);
    *out = prefixes;
    return STRATA_OK;
}

void sta_prefixes_destroy(struct sta_prefixes **pointer)
{
    struct sta_prefixes *prefixes = *pointer;
    if (prefixes == NULL)
        return;
    *pointer = NULL;
    for (unsigned i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&prefixes->stripes[i].lock);
    pthread_mutex_destroy(&prefixes->lock);
    free(prefixes);
}

/* ---- counting ---- */

static bool begins_with(struct strata_bytes key, struct strata_bytes prefix)
{
    return key.len >= prefix.len && memcmp(key.data, prefix.data, prefix.len) == 0;
}

/* The longest that fits; configured_count: none. */
static size_t configured_of(const struct sta_prefixes *prefixes, struct strata_bytes key)
{
    size_t best = prefixes->configured_count, best_len = 0;
    for (size_t i = 0; i < prefixes->configured_count; i++) {
        struct strata_bytes prefix = prefixes->configured[i];
        if (prefix.len > best_len && begins_with(key, prefix)) {
            best = i;
            best_len = prefix.len;
        }
    }
    return best;
}

/* Up to and with the first delimiter; no bytes: it has none, or too late. */
static struct strata_bytes prefix_of(struct strata_bytes key, char delimiter)
{
    size_t look = key.len < STA_PREFIX_LEN_MOST ? key.len : STA_PREFIX_LEN_MOST;
    const char *at = memchr(key.data, delimiter, look);
    return strata_bytes(key.data, at != NULL ? (size_t)(at - (const char *)key.data) + 1 : 0);
}

static struct stripe *stripe_of_this_thread(struct sta_prefixes *prefixes)
{
    uint64_t self = (uint64_t)(uintptr_t)pthread_self();
    return &prefixes->stripes[self * UINT64_C(0x9e3779b97f4a7c15) >> (64u - STRIPE_BITS)];
}

/* Where the key counts, in a stripe that is locked. */
static struct sta_prefix_numbers *numbers_of(const struct sta_prefixes *prefixes,
                                             struct stripe *stripe, struct strata_bytes key)
{
    size_t configured = configured_of(prefixes, key);
    if (configured < prefixes->configured_count)
        return &stripe->configured[configured];
    struct strata_bytes prefix = prefix_of(key, prefixes->delimiter);
    if (prefix.len == 0)
        return &stripe->summary.other;
    uint64_t hash = sta_key_make(prefix, prefixes->seed).hash;
    return sta_prefix_summary_meet(&stripe->summary, prefix, hash);
}

void sta_prefixes_count_hit(struct sta_prefixes *prefixes, enum sta_timing_tier tier,
                            struct strata_bytes key, uint64_t bytes)
{
    struct stripe *stripe = stripe_of_this_thread(prefixes);
    pthread_mutex_lock(&stripe->lock);
    struct sta_prefix_numbers *numbers = numbers_of(prefixes, stripe, key);
    numbers->hits[tier]++;
    numbers->bytes[tier] += bytes;
    pthread_mutex_unlock(&stripe->lock);
}

void sta_prefixes_count_miss(struct sta_prefixes *prefixes, enum sta_timing_tier tier,
                             struct strata_bytes key)
{
    struct stripe *stripe = stripe_of_this_thread(prefixes);
    pthread_mutex_lock(&stripe->lock);
    numbers_of(prefixes, stripe, key)->misses[tier]++;
    pthread_mutex_unlock(&stripe->lock);
}

/* ---- reading ---- */

/* What the stripes have: prefixes as they are shown, one or more times each. */
struct gathered {
    struct top all[STRIPES * STA_PREFIX_ENTRIES];
    bool has_row[STRIPES * STA_PREFIX_ENTRIES];
    size_t count;
};

static void move(struct sta_prefix_numbers *to, struct sta_prefix_numbers *from)
{
    sta_prefix_numbers_add(to, from);
    *from = (struct sta_prefix_numbers){0};
}

static char shown(uint8_t byte)
{
    bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    bool is_fine = is_letter || (byte >= '0' && byte <= '9') ||
                   (byte != '\0' && strchr("_.:/-", byte) != NULL);
    return is_fine ? (char)byte : '_';
}

static void gather_stripe(struct sta_prefixes *prefixes, struct stripe *stripe,
                          struct gathered *gathered)
{
    struct sta_prefix_summary *summary = &stripe->summary;
    pthread_mutex_lock(&stripe->lock);
    for (size_t i = 0; i < prefixes->configured_count; i++)
        move(&prefixes->rows_configured[i].numbers, &stripe->configured[i]);
    move(&prefixes->other, &summary->other);
    for (uint32_t i = 0; i < summary->count; i++) {
        struct sta_prefix_entry *entry = &summary->entries[i];
        struct top *one = &gathered->all[gathered->count++];
        *one = (struct top){.weight = summary->weights[i]};
        for (uint8_t at = 0; at < entry->len; at++)
            one->row.prefix[at] = shown(entry->bytes[at]);
        move(&one->row.numbers, &entry->numbers);
    }
    pthread_mutex_unlock(&stripe->lock);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct top *)a)->row.prefix, ((const struct top *)b)->row.prefix);
}

/* Each once. */
static void gathered_unite(struct gathered *gathered)
{
    size_t kept = 0;
    qsort(gathered->all, gathered->count, sizeof gathered->all[0], compare_names);
    for (size_t i = 0; i < gathered->count; i++) {
        struct top *one = &gathered->all[i];
        if (kept == 0 || compare_names(&gathered->all[kept - 1], one) != 0) {
            gathered->all[kept++] = *one;
            continue;
        }
        gathered->all[kept - 1].weight += one->weight;
        sta_prefix_numbers_add(&gathered->all[kept - 1].row.numbers, &one->row.numbers);
    }
    gathered->count = kept;
}

static struct sta_prefixes_row *find_configured(struct sta_prefixes *prefixes, const char *name)
{
    for (size_t i = 0; i < prefixes->configured_count; i++) {
        if (strcmp(prefixes->rows_configured[i].prefix, name) == 0)
            return &prefixes->rows_configured[i];
    }
    return NULL;
}

static struct top *find_top(struct sta_prefixes *prefixes, const char *name)
{
    for (size_t i = 0; i < prefixes->top_count; i++) {
        if (strcmp(prefixes->top[i].row.prefix, name) == 0)
            return &prefixes->top[i];
    }
    return NULL;
}

/* A place among the top for who weighs so much, NULL: there is none. Somebody else has to weigh a
 * quarter less, so that two who weigh about the same do not take turns. */
static struct top *make_place(struct sta_prefixes *prefixes, uint64_t weight)
{
    struct top *least = &prefixes->top[0];
    if (prefixes->top_count < STA_PREFIXES_TOP)
        return &prefixes->top[prefixes->top_count++];
    for (size_t i = 1; i < STA_PREFIXES_TOP; i++)
        least = prefixes->top[i].weight < least->weight ? &prefixes->top[i] : least;
    return weight * 4 > least->weight * 5 ? least : NULL;
}

/* The weights of those that have a row already. */
static void weigh_top(struct sta_prefixes *prefixes, struct gathered *gathered)
{
    for (size_t i = 0; i < prefixes->top_count; i++)
        prefixes->top[i].weight = 0;
    for (size_t i = 0; i < gathered->count; i++) {
        const char *name = gathered->all[i].row.prefix;
        struct top *top = find_top(prefixes, name);
        if (top != NULL)
            top->weight = gathered->all[i].weight;
        gathered->has_row[i] = top != NULL || find_configured(prefixes, name) != NULL ||
                               strcmp(name, STA_PREFIXES_OTHER) == 0;
    }
}

/* The index of the heaviest without a row; count: all have one. */
static size_t heaviest_without(const struct gathered *gathered)
{
    size_t heaviest = gathered->count;
    for (size_t i = 0; i < gathered->count; i++) {
        if (!gathered->has_row[i] && (heaviest == gathered->count ||
                                      gathered->all[i].weight > gathered->all[heaviest].weight))
            heaviest = i;
    }
    return heaviest;
}

static void choose_top(struct sta_prefixes *prefixes, struct gathered *gathered)
{
    weigh_top(prefixes, gathered);
    for (;;) {
        size_t heaviest = heaviest_without(gathered);
        if (heaviest == gathered->count)
            return;
        const struct top *chosen = &gathered->all[heaviest];
        struct top *place = make_place(prefixes, chosen->weight);
        if (place == NULL)
            return;
        *place = (struct top){.weight = chosen->weight};
        memcpy(place->row.prefix, chosen->row.prefix, sizeof place->row.prefix);
        gathered->has_row[heaviest] = true;
    }
}

static struct sta_prefix_numbers *row_of(struct sta_prefixes *prefixes, const char *name)
{
    struct sta_prefixes_row *configured = find_configured(prefixes, name);
    struct top *top = find_top(prefixes, name);
    if (configured != NULL)
        return &configured->numbers;
    return top != NULL ? &top->row.numbers : &prefixes->other;
}

static void copy_rows(const struct sta_prefixes *prefixes, struct sta_prefixes_row *rows,
                      size_t *count)
{
    size_t made = 0;
    for (size_t i = 0; i < prefixes->configured_count; i++)
        rows[made++] = prefixes->rows_configured[i];
    for (size_t i = 0; i < prefixes->top_count; i++)
        rows[made++] = prefixes->top[i].row;
    rows[made++] =
        (struct sta_prefixes_row){.prefix = STA_PREFIXES_OTHER, .numbers = prefixes->other};
    *count = made;
}

int sta_prefixes_read(struct sta_prefixes *prefixes, struct sta_prefixes_row *rows, size_t *count)
{
    struct gathered *gathered = malloc(sizeof *gathered);
    if (gathered == NULL)
        return STRATA_ERR_NOMEM;
    gathered->count = 0;
    pthread_mutex_lock(&prefixes->lock);
    for (unsigned i = 0; i < STRIPES; i++)
        gather_stripe(prefixes, &prefixes->stripes[i], gathered);
    gathered_unite(gathered);
    choose_top(prefixes, gathered);
    for (size_t i = 0; i < gathered->count; i++)
        sta_prefix_numbers_add(row_of(prefixes, gathered->all[i].row.prefix),
                               &gathered->all[i].row.numbers);
    copy_rows(prefixes, rows, count);
    pthread_mutex_unlock(&prefixes->lock);
    free(gathered);
    return STRATA_OK;
}
