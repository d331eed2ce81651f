/* SPDX-License-Identifier: MIT
 *
 * Tags: values that fall together. A tag has a version, which is a key of its own in Redis and is
 * read, kept in L1 and heard of as any other key; a value that has tags names their versions
 * (cache/envelope.h), and counts for nothing where one of them is not the current one any more.
 *
 *     strata:tag:NAME = "89abcdef01234567"        key = envelope{(NAME, 89abcdef01234567)} value
 *
 *     set_tagged    read the versions (L1, then Redis), make what is not there: SET NX random
 *                   SET key envelope
 *     invalidate    UNLINK strata:tag:NAME         a version that is gone is nobody's, for ever
 *     a hit         the entry's flag says that it has tags: L1 has their versions, or it is a miss
 *     a miss        GET key; then GET the versions that L1 has not; it is there if all are current
 *
 * Versions are random words of 64 bits, so that one that has gone does not come back, whatever
 * became of its key: deleted, expired, evicted or flushed. That needs no clock and no list of what
 * has a tag. A tag's key lives at least STA_TAGS_TTL_MS and twice as long as the value that made
 * it; a value that lives longer than that gives it a longer life (tags_lengthen.c).
 * Where nobody tells of what others write (no tracking), L1 is neither asked for versions nor given
 * any: values with tags are read from Redis, each time.
 *
 * Threads: any.
 */
#ifndef STA_TAGS_H
#define STA_TAGS_H

#include <stdint.h>
#include <string.h>

#include "cache/cache.h"
#include "cache/envelope.h"
#include "l2/command.h"

#define STA_TAGS_PREFIX      "strata:tag:"
#define STA_TAGS_NAME_MAX    (sizeof STA_TAGS_PREFIX - 1 + STA_ENVELOPE_TAG_MAX)
#define STA_TAGS_VERSION_LEN 16u
#define STA_TAGS_TTL_MS      ((uint64_t)24 * 3600 * 1000)

/* A tag's key, without the cache's prefix. */
struct sta_tags_name {
    uint8_t bytes[STA_TAGS_NAME_MAX];
    size_t len;
};

/* STRATA_OK, STRATA_ERR_INVALID (no bytes), STRATA_ERR_TOO_BIG. */
int sta_tags_name(struct sta_tags_name *name, struct strata_bytes tag);

static inline struct strata_bytes sta_tags_key(const struct sta_tags_name *name)
{
    return strata_bytes(name->bytes, name->len);
}

/* Whether it is the key of a tag. */
static inline bool sta_tags_is_key(struct strata_bytes key)
{
    size_t len = sizeof STA_TAGS_PREFIX - 1;
    return key.len >= len && memcmp(key.data, STA_TAGS_PREFIX, len) == 0;
}

/* What the key holds; false: that is no version. */
bool sta_tags_read(struct strata_bytes text, uint64_t *version);

/* STRATA_OK: L1 has this version; STRATA_MISS: it has another, or that there is none; STRATA_MORE:
 * it does not know. */
int sta_tags_ask_l1(struct sta_cache *cache, const struct sta_envelope_tag *tag, uint64_t now_ms);

/* The same of all tags of what L1 has kept as it is stored; with STRATA_OK `kept` becomes the
 * value. */
int sta_tags_open(struct sta_cache *cache, struct strata_bytes *kept, uint64_t now_ms);

/* As what a get of such a value counts where sta_tags_open() did not answer STRATA_OK. */
static inline enum sta_l1_counter sta_tags_miss_reason(int status)
{
    return status == STRATA_MISS ? STA_L1_misses_invalidated : STA_L1_misses_suspect;
}

/* How long a tag's key lives that was made for a value with this TTL. */
uint64_t sta_tags_ttl_ms(uint64_t ttl_ms);

/* STRATA_OK, or STRATA_ERR_DISABLED: this cache has no use of tags. */
int sta_tags_may(const struct sta_cache *cache);

/* A set of one value with its tags (tags_set.c), step by step:
 *
 *     begin --STRATA_MORE--> send --> stepped(), once, on the loop (perhaps before send() returns)
 *       ^                                '--> step, by whom you like, answers as begin() --.
 *       '----------------------------------------------------------------------------------'
 *
 * Anything else is what strata_set_tagged() says, and it is over. */
struct sta_tags_set {
    struct sta_cache *cache;
    struct strata_item item;         /* readable until the end, as are the tags */
    const struct strata_bytes *tags; /* count of them */
    size_t count;
    void (*stepped)(struct sta_tags_set *set);

    /* the room's own */
    void (*send)(struct sta_tags_set *set); /* of what is under way */
    int (*next)(struct sta_tags_set *set);  /* when that has ended */
    uint64_t begun_ns;
    uint64_t ttl_ms; /* of the value */
    unsigned rounds;
    size_t longer;                  /* the first tag whose TTL has not been looked at */
    bool hears;                     /* L1 may keep versions */
    struct sta_envelope envelope;   /* with the versions that have been found */
    struct sta_buffer stored, name; /* the value with its head; a tag's key as Redis has it */
    struct strata_item whole;
    struct sta_tags_name names[STA_ENVELOPE_TAGS_MOST];
    struct strata_bytes keys[STA_ENVELOPE_TAGS_MOST];
    struct strata_value values[STA_ENVELOPE_TAGS_MOST];
    int statuses[STA_ENVELOPE_TAGS_MOST];
    uint64_t left_ms[STA_ENVELOPE_TAGS_MOST]; /* UINT64_MAX: no end, or not known */
    union {                                   /* one after the other */
        struct sta_read read;
        struct sta_batch batch;
        struct sta_command command;
        struct sta_write write;
    };
};

int sta_tags_set_begin(struct sta_tags_set *set, uint64_t now_ns);
void sta_tags_set_send(struct sta_tags_set *set);
int sta_tags_set_step(struct sta_tags_set *set);

/* The same, and waits. Not on the loop's thread. */
int sta_tags_set(struct sta_cache *cache, const struct strata_item *item,
                 const struct strata_bytes *tags, size_t count, uint64_t now_ns);

/* ---- between the files of a set; both answer as begin() ---- */

/* The keys of its tags shall not end before its value (tags_lengthen.c). Where their TTLs cannot be
 * told or changed, they stay: the value is read from its source once more then. Costs nothing for a
 * TTL of which a new tag's is longer in any case: STRATA_OK; else a round trip, behind which the
 * value is written. */
int sta_tags_lengthen(struct sta_tags_set *set);

/* Writes the value. */
int sta_tags_set_write(struct sta_tags_set *set);

/* Of each of its round trips. */
uint64_t sta_tags_set_deadline_ns(const struct sta_tags_set *set);

#endif
