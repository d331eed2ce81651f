/* SPDX-License-Identifier: MIT
 *
 * See look_ahead.h.
 */
#include "daemon/look_ahead.h"

#include <string.h>

#define GET_HEAD       "*2\r\n$3\r\nGET\r\n$"
#define GET_HEAD_LEN   (sizeof GET_HEAD - 1)
#define GET_LEAST      (GET_HEAD_LEN + 6) /* with a key of one byte */
#define KEY_DIGITS     3u                 /* longer keys are not waited for */
#define WORTH_THE_LOOK 2u                 /* commands */

/* The key of a GET that begins at `at`, and where the next command begins. False: something else,
 * or not all of it. */
static bool next_get(const uint8_t **at, const uint8_t *end, struct strata_bytes *key)
{
    const uint8_t *p = *at;
    size_t len = 0;
    if ((size_t)(end - p) < GET_LEAST || memcmp(p, GET_HEAD, GET_HEAD_LEN) != 0)
        return false;
    p += GET_HEAD_LEN;
    for (unsigned i = 0; i < KEY_DIGITS && *p >= '0' && *p <= '9'; i++)
        len = len * 10 + (size_t)(*p++ - '0');
    if (*p != '\r' || len == 0 || (size_t)(end - p) < len + 4)
        return false;
    *key = strata_bytes(p + 2, len);
    *at = p + 4 + len;
    return true;
}

void sta_look_ahead_run(struct sta_look_ahead *ahead, const struct sta_l1 *l1,
                        struct strata_bytes input)
{
    const uint8_t *at = input.data;
    const uint8_t *end = at + input.len;
    if ((const uint8_t *)ahead->end > at)
        return;
    sta_look_ahead_reset(ahead);
    struct strata_bytes key;
    while (ahead->count < STA_LOOK_AHEAD_MOST && next_get(&at, end, &key))
        ahead->keys[ahead->count++].bytes = key;
    ahead->end = at;
    if (ahead->count < WORTH_THE_LOOK) {
        ahead->count = 0;
        return;
    }
    for (unsigned i = 0; i < ahead->count; i++)
        ahead->keys[i] = sta_l1_key(l1, ahead->keys[i].bytes);
    sta_l1_prefetch(l1, ahead->keys, ahead->count);
}
