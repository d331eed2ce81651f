/* SPDX-License-Identifier: MIT
 *
 * SCAN, and its answer; see scan_page.h.
 */
#include "l2/scan_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "strata/status.h"

#define NUMBER_CAP 24

static size_t escape(uint8_t *to, struct strata_bytes text)
{
    const uint8_t *bytes = text.data;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (bytes[i] == '*' || bytes[i] == '?' || bytes[i] == '[' || bytes[i] == '\\')
            to[len++] = '\\';
        to[len++] = bytes[i];
    }
    return len;
}

int sta_scan_page_write(struct sta_buffer *out, uint64_t cursor, struct strata_bytes prefix,
                        struct strata_bytes pattern, unsigned count)
{
    char from[NUMBER_CAP], most[NUMBER_CAP];
    if (pattern.len == 0)
        pattern = strata_text("*");
    uint8_t *match = malloc(2 * prefix.len + pattern.len);
    if (match == NULL)
        return STRATA_ERR_NOMEM;
    size_t len = escape(match, prefix);
    memcpy(match + len, pattern.data, pattern.len);
    (void)snprintf(from, sizeof from, "%" PRIu64, cursor);
    (void)snprintf(most, sizeof most, "%u", count);
    const struct strata_bytes argv[] = {
        strata_text("SCAN"),  strata_text(from),
        strata_text("MATCH"), strata_bytes(match, len + pattern.len),
        strata_text("COUNT"), strata_text(most),
    };
    int status = sta_resp_write_command(out, argv, sizeof argv / sizeof argv[0]);
    free(match);
    return status;
}

static bool is_key(const struct sta_resp_value *value, struct strata_bytes prefix)
{
    return value->type == STA_RESP_BULK && value->bytes.len >= prefix.len &&
           (prefix.len == 0 || memcmp(value->bytes.data, prefix.data, prefix.len) == 0);
}

/* Walks over the keys, and finds nothing behind them. */
static int check_keys(struct sta_resp_walk walk, uint64_t count, struct strata_bytes prefix)
{
    struct sta_resp_value value;
    for (uint64_t i = 0; i < count; i++)
        if (sta_resp_next(&walk, &value) != STRATA_OK || !is_key(&value, prefix))
            return STRATA_ERR_PROTOCOL;
    return walk.rest.len == 0 ? STRATA_OK : STRATA_ERR_PROTOCOL;
}

int sta_scan_page_read(struct sta_scan_page *page, struct strata_bytes reply,
                       struct strata_bytes prefix)
{
    struct sta_resp_walk walk = sta_resp_walk(reply);
    struct sta_resp_value value;
    uint64_t cursor;
    if (sta_resp_next(&walk, &value) != STRATA_OK || value.type != STA_RESP_ARRAY ||
        value.count != 2)
        return STRATA_ERR_PROTOCOL;
    if (sta_resp_next(&walk, &value) != STRATA_OK || value.type != STA_RESP_BULK ||
        sta_number_parse(value.bytes, UINT64_MAX, &cursor) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (sta_resp_next(&walk, &value) != STRATA_OK || value.type != STA_RESP_ARRAY)
        return STRATA_ERR_PROTOCOL;
    int status = check_keys(walk, value.count, prefix);
    if (status == STRATA_OK)
        *page = (struct sta_scan_page){.cursor = cursor, .left = value.count, .walk = walk};
    return status;
}

bool sta_scan_page_next(struct sta_scan_page *page, struct strata_bytes *key)
{
    struct sta_resp_value value;
    if (page->left == 0 || sta_resp_next(&page->walk, &value) != STRATA_OK)
        return false;
    page->left--;
    *key = value.bytes;
    return true;
}
