/* SPDX-License-Identifier: MIT
 *
 * Looking ahead in a pipeline: the GETs that stand next in the input are recognised by their
 * plainest form, their keys hashed, and what L1 will look at for them is fetched all at once, so
 * that a batch of hits does not wait for memory one by one.
 *
 *     *2\r\n$3\r\nGET\r\n$7\r\nuser:17\r\n*2\r\n ...
 *
 * It is a hint: nothing is answered here, and what looks different ends the look. The hashes are
 * kept until their commands come by.
 * Threads: the worker's loop. Memory: fixed, the worker's.
 */
#ifndef STA_LOOK_AHEAD_H
#define STA_LOOK_AHEAD_H

#include <stddef.h>

#include "l1/l1.h"

#define STA_LOOK_AHEAD_MOST 32u

struct sta_look_ahead {
    struct sta_key keys[STA_LOOK_AHEAD_MOST]; /* their bytes are in the input */
    unsigned count;
    unsigned next;
    const void *end; /* behind what was looked at */
};

/* Forgets: the input is another. */
static inline void sta_look_ahead_reset(struct sta_look_ahead *ahead)
{
    ahead->count = 0;
    ahead->next = 0;
    ahead->end = NULL;
}

/* Looks at the commands at the front of `input`, if it has not done so. */
void sta_look_ahead_run(struct sta_look_ahead *ahead, const struct sta_l1 *l1,
                        struct strata_bytes input);

/* The key with its hash: the one that was kept, or a new one. */
static inline struct sta_key sta_look_ahead_key(struct sta_look_ahead *ahead,
                                                const struct sta_l1 *l1, struct strata_bytes bytes)
{
    while (ahead->next < ahead->count && ahead->keys[ahead->next].bytes.data < bytes.data)
        ahead->next++;
    if (ahead->next < ahead->count && ahead->keys[ahead->next].bytes.data == bytes.data &&
        ahead->keys[ahead->next].bytes.len == bytes.len)
        return ahead->keys[ahead->next++];
    return sta_l1_key(l1, bytes);
}

#endif
