/* SPDX-License-Identifier: MIT
 *
 * Rows as bytes: what lies in the cache, and what every read is answered from.
 *
 *     | fingerprint 8 | version 8 | rows 4 | row | row | ...
 *     row:   a bit for each column that is null, 8 columns to a byte, then those that are not:
 *            integer, timestamp   zigzag varint          real      8 bytes
 *            text                 varint, bytes, a zero  blob      varint, bytes
 *            boolean              1 byte, 0 or 1
 *
 * Numbers of a fixed size are little-endian. The fingerprint is the schema's: bytes that another
 * schema has written are not read. The version is the one under which the rows were read (tag.h).
 * Decoding takes nothing on faith: what does not decode to its last byte is no row of ours.
 * A count of rows is kept as a row of one integer, under a fingerprint of its own.
 */
#ifndef STA_ROW_BYTES_H
#define STA_ROW_BYTES_H

#include "core/buffer.h"
#include "repository/schema.h"

#define STA_ROW_BYTES_HEAD 20

/* What does not fit into a value of the cache is not built. */
#define STA_ROW_BYTES_LIMIT (64u * 1024u * 1024u)

struct sta_row_writer {
    const struct sta_schema *schema;
    struct sta_buffer bytes;
    uint32_t count;
};

/* begin, add for each row, end; fini whatever happened. STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG;
 * add: STRATA_ERR_DATABASE where a field does not fit its column. */
int sta_row_bytes_begin(struct sta_row_writer *writer, const struct sta_schema *schema);
int sta_row_bytes_add(struct sta_row_writer *writer, const struct strata_field *fields);
void sta_row_bytes_end(struct sta_row_writer *writer, uint64_t version);
void sta_row_bytes_fini(struct sta_row_writer *writer);

/* Whether bytes of this schema begin so, and under which version they were read. */
bool sta_row_bytes_version(const struct sta_schema *schema, struct strata_bytes bytes,
                           uint64_t *version);

/* Structs for all rows, from malloc (NULL where there are none); they borrow from `bytes`.
 * STRATA_MISS: not ours, or damaged. STRATA_ERR_NOMEM. */
int sta_row_bytes_decode(const struct sta_schema *schema, struct strata_bytes bytes, void **rows,
                         size_t *count);

#endif
