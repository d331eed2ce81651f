/* SPDX-License-Identifier: MIT
 *
 * Replies to SCAN: the input is one, complete or not.
 *
 * Facts: a page that was read names as many keys as it says, each with the prefix and within the
 * reply.
 */
#include <string.h>

#include "fuzz/arrival.h"
#include "l2/scan_page.h"
#include "strata/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_page(struct strata_bytes reply, struct strata_bytes prefix)
{
    struct sta_scan_page page;
    struct strata_bytes key;
    if (sta_scan_page_read(&page, reply, prefix) != STRATA_OK)
        return;
    uint64_t named = 0, count = page.left;
    const uint8_t *begin = reply.data;
    while (sta_scan_page_next(&page, &key)) {
        const uint8_t *at = key.data;
        CHECK(at >= begin && at + key.len <= begin + reply.len);
        CHECK(key.len >= prefix.len);
        CHECK(prefix.len == 0 || memcmp(key.data, prefix.data, prefix.len) == 0);
        named++;
    }
    CHECK(named == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arrival arrival;
    arrival_init(&arrival, data, size, 0);
    arrival_all(&arrival);
    check_page(arrival_bytes(&arrival), strata_text(""));
    check_page(arrival_bytes(&arrival), strata_text("p:"));
    arrival_fini(&arrival);
    return 0;
}
