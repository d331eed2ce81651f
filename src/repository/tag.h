/* SPDX-License-Identifier: MIT
 *
 * Tags: names in the cache whose value, a version, says whether what was read under it still holds.
 *
 *     models@v                 every row of the model
 *     models@v:provider:3fa2   rows with a provider of this stripe; values are hashed to 65536
 *
 * What a query answers depends on one tag: that of a value that all its rows have in an indexed
 * column, or that of all rows. A change gives new versions to the tags of the row as it was and as
 * it is, in every indexed column, and to that of all rows. So it reaches whatever named the row
 * before or names it after, without knowing which queries there were.
 *
 * A version is a random number; none is given twice. Why a read that overlaps with a change cannot
 * leave the old row behind: it learns the version before it asks the database, and keeps its
 * answer under it. If the database answered with the old row, the change had not been committed
 * then, and gives its new version later: the answer is under a version that no longer holds.
 */
#ifndef STA_TAG_H
#define STA_TAG_H

#include "core/buffer.h"
#include "repository/schema.h"
#include "strata/cache.h"

#define STA_TAG_MAX 144 /* bytes: prefix, "@v:", column, ":", stripe */

struct sta_tag {
    size_t len;
    char name[STA_TAG_MAX];
};

void sta_tag_all(struct sta_tag *tag, const struct sta_schema *schema);
void sta_tag_value(struct sta_tag *tag, const struct sta_column *column,
                   const struct strata_field *field);

/* ---- sets: what a transaction has changed; what stands in an intent ---- */

/* Tags one after the other, each behind a byte with its length; the limit is the buffer's. */
struct sta_tag_set {
    struct sta_buffer bytes;
};

#define STA_TAG_SET_LIMIT (16u * 1024u * 1024u)

/* All tags of a row. STRATA_ERR_NOMEM; STRATA_ERR_TOO_BIG: one transaction has changed too much. */
int sta_tag_set_add_row(struct sta_tag_set *set, const struct sta_schema *schema,
                        const struct strata_field *fields);

/* Whether one of the tags in `bytes` is of this schema. */
bool sta_tag_set_concerns(struct strata_bytes bytes, const struct sta_schema *schema);

/* Gives each tag in `bytes` a version that was never given: STRATA_OK where the cache has all of
 * them, STRATA_ERR_PROTOCOL where `bytes` is no set. After a failure it goes on with the others,
 * and answers the first: what can be told is told. */
int sta_tag_set_renew(struct strata_bytes bytes, struct strata *cache, _Atomic uint64_t *versions);

/* ---- versions ---- */

#define STA_TAG_TTL_MS UINT64_C(86400000) /* that one is forgotten costs misses, nothing else */

/* A version that was never given; `versions` is a seeded state. Any thread. */
uint64_t sta_tag_new_version(_Atomic uint64_t *versions);

#endif
