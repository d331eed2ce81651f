/* SPDX-License-Identifier: MIT
 *
 * Segments of write-behind's journal: the input is what stands behind the head, whole or torn. The
 * first byte says whether its checksums are put right first, or hardly anything would be read.
 *
 * Facts: records lie within the input, one behind another; written anew they are the same bytes;
 * what is no record leaves the rest as it was.
 */
#include <string.h>

#include "cache/journal_record.h"
#include "core/crc32c.h"
#include "fuzz/arrival.h"
#include "strata/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(uint8_t *bytes, size_t len)
{
    while (len >= 8) {
        size_t body = bytes[4] | (size_t)bytes[5] << 8 | (size_t)bytes[6] << 16;
        if (body > len - 8)
            return;
        uint32_t crc = sta_crc32c(0, strata_bytes(bytes + 4, body + 4));
        for (unsigned i = 0; i < 4; i++)
            bytes[i] = (uint8_t)(crc >> (8 * i));
        bytes += body + 8;
        len -= body + 8;
    }
}

static void check(struct strata_bytes rest)
{
    struct sta_journal_record record;
    struct sta_buffer again;
    const uint8_t *at = rest.data;
    int status;
    while ((status = sta_journal_record_next(&rest, &record)) == STRATA_OK) {
        size_t len = (size_t)((const uint8_t *)rest.data - at);
        CHECK(len == sta_journal_record_len(&record));
        sta_buffer_init(&again, SIZE_MAX);
        CHECK(sta_journal_record_append(&again, &record) == STRATA_OK);
        CHECK(sta_buffer_len(&again) == len);
        CHECK(memcmp(sta_buffer_bytes(&again).data, at, len) == 0);
        sta_buffer_fini(&again);
        at = rest.data;
    }
    CHECK((status == STRATA_MISS) == (rest.len == 0));
    CHECK(rest.data == at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arrival arrival;
    if (size == 0)
        return 0;
    arrival_init(&arrival, data + 1, size - 1, 0);
    arrival_all(&arrival);
    struct strata_bytes bytes = arrival_bytes(&arrival);
    if ((data[0] & 1) != 0)
        mend(arrival.bytes, bytes.len);
    check(bytes);
    arrival_fini(&arrival);
    return 0;
}
