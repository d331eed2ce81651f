/* SPDX-License-Identifier: MIT
 *
 * Keys, values, streams (stream.h).
 */
#include "bench/l1/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"

uint32_t stream_key(uint64_t id, uint8_t key[PEER_KEY_MOST])
{
    uint64_t state = id * 2 + 1;
    uint64_t bits = sta_random_next(&state);
    uint64_t more = sta_random_next(&state);
    memcpy(key, &id, 8);
    memcpy(key + 8, &bits, 8);
    memcpy(key + 16, &more, 8);
    return 16 + (uint32_t)(more >> 32) % 9;
}

void stream_value(uint64_t id, uint8_t value[PEER_VALUE_MOST])
{
    memset(value, (int)(id & 0xff), PEER_VALUE_MOST);
    memcpy(value, &id, sizeof id);
}

bool stream_is_value(uint64_t id, const uint8_t *value, int len)
{
    uint8_t wanted[PEER_VALUE_MOST];
    stream_value(id, wanted);
    return len == (int)PEER_VALUE_MOST && memcmp(value, wanted, PEER_VALUE_MOST) == 0;
}

/* Zipf by the method of Gray et al. (SIGMOD 1994). */
struct zipf {
    uint64_t n;
    double theta, alpha, zetan, eta;
};

static void zipf_init(struct zipf *zipf, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 1; i <= n; i++)
        sum += 1 / pow((double)i, 0.99);
    double two = 1 + 1 / pow(2, 0.99);
    *zipf = (struct zipf){.n = n, .theta = 0.99, .alpha = 1 / (1 - 0.99), .zetan = sum};
    zipf->eta = (1 - pow(2.0 / (double)n, 1 - zipf->theta)) / (1 - two / sum);
}

static uint64_t zipf_next(const struct zipf *zipf, uint64_t *random)
{
    double u = (double)(sta_random_next(random) >> 11) / 9007199254740992.0;
    double uz = u * zipf->zetan;
    if (uz < 1)
        return 0;
    if (uz < 1 + pow(0.5, zipf->theta))
        return 1;
    uint64_t at = (uint64_t)((double)zipf->n * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
    return at < zipf->n ? at : zipf->n - 1;
}

struct request *stream_create(uint32_t keys, bool zipf, uint64_t seed)
{
    struct zipf ranks = {0};
    struct request *stream = malloc(STREAM_COUNT * sizeof *stream);
    if (stream == NULL)
        return NULL;
    if (zipf)
        zipf_init(&ranks, keys);
    for (uint32_t i = 0; i < STREAM_COUNT; i++) {
        /* Ranks are scattered over the ids, or what was stored first would be what is hot. */
        uint64_t id = zipf ? zipf_next(&ranks, &seed) * 7919 % keys : sta_random_below(&seed, keys);
        stream[i].id = (uint32_t)id;
        stream[i].len = stream_key(id, stream[i].key);
    }
    return stream;
}

void stream_destroy(struct request **stream)
{
    free(*stream);
    *stream = NULL;
}
