/* SPDX-License-Identifier: MIT
 *
 * One page of a scan: the SCAN that asks a node for it, and what it answers. Pure.
 *
 * Keys are named as Redis knows them, with the prefix of all our keys: that is what slots go by
 * and what UNLINK takes. The prefix is text and no pattern, so what a glob takes for a sign is
 * escaped in it.
 */
#ifndef STA_SCAN_PAGE_H
#define STA_SCAN_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "resp/resp.h"
#include "strata/bytes.h"

/* Appends "SCAN cursor MATCH prefix+pattern COUNT count". A pattern of no bytes is all keys.
 * STRATA_OK; STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG: the buffer is as it was. */
int sta_scan_page_write(struct sta_buffer *out, uint64_t cursor, struct strata_bytes prefix,
                        struct strata_bytes pattern, unsigned count);

struct sta_scan_page {
    uint64_t cursor; /* the next; 0: that was the last page */
    uint64_t left;   /* keys that next() has not named yet */
    struct sta_resp_walk walk;
};

/* Looks at all of a complete reply: STRATA_OK; STRATA_ERR_PROTOCOL: it is no page, or has a key
 * without the prefix (error replies are for l2/redirect.h). The page borrows the reply's bytes. */
int sta_scan_page_read(struct sta_scan_page *page, struct strata_bytes reply,
                       struct strata_bytes prefix);

/* The next key, readable as long as the reply; false at the end. */
bool sta_scan_page_next(struct sta_scan_page *page, struct strata_bytes *key);

#endif
