/* SPDX-License-Identifier: MIT */
#include "fuzz/arrival.h"

#include <sanitizer/allocator_interface.h>
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <string.h>

#include "core/random.h"

static bool metering;
static size_t metered;

static void heap_grew(const volatile void *block, size_t size)
{
    (void)block;
    if (metering)
        metered += size;
}

static void heap_shrank(const volatile void *block)
{
    (void)block;
}

void heap_meter_start(void)
{
    static bool installed;
    if (!installed)
        CHECK(__sanitizer_install_malloc_and_free_hooks(heap_grew, heap_shrank) > 0);
    installed = true;
    metered = 0;
    metering = true;
}

size_t heap_meter_stop(void)
{
    metering = false;
    return metered;
}

void arrival_init(struct arrival *arrival, const uint8_t *data, size_t size, uint64_t seed)
{
    *arrival = (struct arrival){.bytes = malloc(size + 1), .size = size, .seed = seed};
    CHECK(arrival->bytes != NULL);
    if (size > 0)
        memcpy(arrival->bytes, data, size);
    ASAN_POISON_MEMORY_REGION(arrival->bytes, size + 1);
}

void arrival_fini(struct arrival *arrival)
{
    ASAN_UNPOISON_MEMORY_REGION(arrival->bytes, arrival->size + 1);
    free(arrival->bytes);
}

static void arrival_upto(struct arrival *arrival, size_t arrived)
{
    arrival->arrived = arrived;
    ASAN_UNPOISON_MEMORY_REGION(arrival->bytes, arrived);
}

size_t arrival_more(struct arrival *arrival)
{
    uint64_t dice = sta_random_next(&arrival->seed);
    size_t left = arrival->size - arrival->arrived;
    size_t piece = dice % 16 == 0 ? 512 : 1 + (size_t)(dice >> 32) % 16;
    if (piece > left)
        piece = left;
    arrival_upto(arrival, arrival->arrived + piece);
    return piece;
}

void arrival_all(struct arrival *arrival)
{
    arrival_upto(arrival, arrival->size);
}

struct strata_bytes arrival_bytes(const struct arrival *arrival)
{
    return strata_bytes(arrival->bytes + arrival->begin, arrival->arrived - arrival->begin);
}
