/* SPDX-License-Identifier: MIT
 *
 * Saved hot sets: the input is a whole file. The first byte says whether its checksums are put
 * right first, or hardly anything would be read.
 *
 * Facts: no more records are read than the head announces, and one only where the bytes are those
 * that writing it anew gives; the end is an end only after all of them, with nothing behind.
 */
#include <stdio.h>
#include <string.h>

#include "cache/hot_file.h"
#include "core/crc32c.h"
#include "fuzz/arrival.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_crc(uint8_t *at, struct strata_bytes bytes)
{
    uint32_t crc = sta_crc32c(0, bytes);
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(crc >> (8 * i));
}

static void mend(uint8_t *bytes, size_t len)
{
    if (len < STA_HOT_HEAD_LEN)
        return;
    memcpy(bytes, "STRATAHS\1\0\0\0", 12);
    put_crc(bytes + STA_HOT_HEAD_LEN - 4, strata_bytes(bytes, STA_HOT_HEAD_LEN - 4));
    bytes += STA_HOT_HEAD_LEN;
    len -= STA_HOT_HEAD_LEN;
    while (len >= STA_HOT_FRAME_LEN) {
        size_t body = bytes[4] | (size_t)bytes[5] << 8 | (size_t)bytes[6] << 16;
        if (body > len - STA_HOT_FRAME_LEN)
            return;
        put_crc(bytes, strata_bytes(bytes + 4, body + 4));
        bytes += body + STA_HOT_FRAME_LEN;
        len -= body + STA_HOT_FRAME_LEN;
    }
}

/* The record stands at `at`; returns where it ends. */
static size_t check_record(const struct sta_hot_record *record, struct strata_bytes file, size_t at)
{
    struct sta_buffer again;
    sta_buffer_init(&again, SIZE_MAX);
    CHECK(sta_hot_record_append(&again, record) == STRATA_OK);
    struct strata_bytes bytes = sta_buffer_bytes(&again);
    CHECK(bytes.len <= file.len - at);
    CHECK(memcmp(bytes.data, (const uint8_t *)file.data + at, bytes.len) == 0);
    sta_buffer_fini(&again);
    return at + bytes.len;
}

static void check(struct strata_bytes bytes)
{
    struct sta_hot_reader reader;
    struct sta_hot_record record;
    FILE *file = fmemopen((void *)bytes.data, bytes.len, "rb");
    size_t at = STA_HOT_HEAD_LEN;
    int status;
    CHECK(file != NULL);
    if (sta_hot_reader_init(&reader, file, "input", NULL) < 0)
        return;
    while ((status = sta_hot_reader_next(&reader, &record)) == STRATA_OK)
        at = check_record(&record, bytes, at);
    CHECK(reader.read <= reader.head.count);
    CHECK(status == STRATA_MISS || status == STRATA_ERR_PROTOCOL);
    CHECK((status == STRATA_MISS) == (reader.read == reader.head.count && at == bytes.len));
    sta_hot_reader_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arrival arrival;
    if (size < 2)
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
