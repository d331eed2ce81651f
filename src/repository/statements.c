/* SPDX-License-Identifier: MIT
 *
 * See statements.h. 64 hashes are looked through one by one: a statement costs far more.
 */
#include "repository/statements.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "strata/status.h"

void *sta_statements_find(struct sta_statements *statements, struct strata_bytes text)
{
    uint64_t hash = XXH3_64bits(text.data, text.len);
    for (size_t i = 0; i < STA_STATEMENTS_MAX; i++) {
        struct sta_statement *kept = &statements->kept[i];
        if (kept->hash == hash && kept->text != NULL && kept->len == text.len &&
            memcmp(kept->text, text.data, text.len) == 0) {
            kept->used = ++statements->clock;
            return kept->prepared;
        }
    }
    return NULL;
}

int sta_statements_add(struct sta_statements *statements, struct strata_bytes text, void *prepared,
                       void **gone)
{
    struct sta_statement *oldest = &statements->kept[0];
    char *copy = malloc(text.len + 1);
    if (copy == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    for (size_t i = 1; i < STA_STATEMENTS_MAX; i++) {
        if (statements->kept[i].used < oldest->used)
            oldest = &statements->kept[i];
    }
    *gone = oldest->text != NULL ? oldest->prepared : NULL;
    free(oldest->text);
    *oldest = (struct sta_statement){
        .hash = XXH3_64bits(text.data, text.len),
        .used = ++statements->clock,
        .text = copy,
        .len = text.len,
        .prepared = prepared,
    };
    return STRATA_OK;
}

void sta_statements_clear(struct sta_statements *statements, void (*end)(void *prepared))
{
    for (size_t i = 0; i < STA_STATEMENTS_MAX; i++) {
        struct sta_statement *kept = &statements->kept[i];
        if (kept->text != NULL)
            end(kept->prepared);
        free(kept->text);
        *kept = (struct sta_statement){0};
    }
}
