/* SPDX-License-Identifier: MIT
 *
 * See row_bytes.h. A reader is a slice that gets shorter at its front; every step checks that what
 * it takes is there.
 */
#include "repository/row_bytes.h"

#include <stdlib.h>
#include <string.h>

#include "repository/field.h"

#define VARINT_MAX 10 /* bytes of 64 bits, 7 in each */

/* ---- writing ---- */

static void row_bytes_put_fixed(uint8_t *at, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

static int row_bytes_put_varint(struct sta_buffer *buffer, uint64_t number)
{
    uint8_t bytes[VARINT_MAX];
    size_t len = 0;
    for (; number >= 0x80; number >>= 7)
        bytes[len++] = (uint8_t)(number | 0x80);
    bytes[len++] = (uint8_t)number;
    return sta_buffer_append(buffer, strata_bytes(bytes, len));
}

static int row_bytes_put_field(struct sta_buffer *buffer, const struct strata_field *field)
{
    uint8_t fixed[8];
    uint64_t bits;
    int status;
    switch (field->type) {
    case STRATA_TYPE_INTEGER:
    case STRATA_TYPE_TIMESTAMP:
        bits = (uint64_t)field->of.integer;
        return row_bytes_put_varint(buffer, bits << 1 ^ (bits >> 63 ? UINT64_MAX : 0));
    case STRATA_TYPE_REAL:
        memcpy(&bits, &field->of.real, sizeof bits);
        row_bytes_put_fixed(fixed, bits, sizeof fixed);
        return sta_buffer_append(buffer, strata_bytes(fixed, sizeof fixed));
    case STRATA_TYPE_BOOLEAN:
        return sta_buffer_append(buffer, strata_bytes(field->of.boolean ? "\1" : "\0", 1));
    case STRATA_TYPE_TEXT:
    case STRATA_TYPE_BLOB:
        status = row_bytes_put_varint(buffer, field->of.bytes.len);
        if (status == STRATA_OK && field->of.bytes.len > 0)
            status = sta_buffer_append(buffer, field->of.bytes);
        if (status == STRATA_OK && field->type == STRATA_TYPE_TEXT)
            status = sta_buffer_append(buffer, strata_bytes("", 1));
        return status;
    case STRATA_TYPE_NULL:
        break;
    }
    return STRATA_OK;
}

int sta_row_bytes_begin(struct sta_row_writer *writer, const struct sta_schema *schema)
{
    uint8_t head[STA_ROW_BYTES_HEAD] = {0};
    writer->schema = schema;
    writer->count = 0;
    sta_buffer_init(&writer->bytes, STA_ROW_BYTES_LIMIT);
    row_bytes_put_fixed(head, schema->fingerprint, 8);
    return sta_buffer_append(&writer->bytes, strata_bytes(head, sizeof head));
}

int sta_row_bytes_add(struct sta_row_writer *writer, const struct strata_field *fields)
{
    const struct sta_schema *schema = writer->schema;
    uint8_t nulls[STRATA_MODEL_COLUMNS / 8] = {0};
    for (size_t i = 0; i < schema->column_count; i++) {
        if (!sta_field_fits(&schema->columns[i], &fields[i]))
            return STRATA_ERR_DATABASE;
        if (fields[i].type == STRATA_TYPE_NULL)
            nulls[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    int status =
        sta_buffer_append(&writer->bytes, strata_bytes(nulls, (schema->column_count + 7) / 8));
    for (size_t i = 0; i < schema->column_count && status == STRATA_OK; i++)
        status = row_bytes_put_field(&writer->bytes, &fields[i]);
    writer->count++;
    return status;
}

void sta_row_bytes_end(struct sta_row_writer *writer, uint64_t version)
{
    uint8_t *head = writer->bytes.data + writer->bytes.head;
    row_bytes_put_fixed(head + 8, version, 8);
    row_bytes_put_fixed(head + 16, writer->count, 4);
}

void sta_row_bytes_fini(struct sta_row_writer *writer)
{
    sta_buffer_fini(&writer->bytes);
}

/* ---- reading ---- */

struct row_reader {
    const uint8_t *at;
    const uint8_t *end;
};

static inline uint64_t row_bytes_fixed(const uint8_t *at, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)at[i] << (8 * i);
    return number;
}

static bool row_bytes_varint_slow(struct row_reader *reader, uint64_t *out)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return false;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = number;
            return true;
        }
    }
    return false;
}

/* Most numbers, and most lengths, are a byte. */
static inline bool row_bytes_varint(struct row_reader *reader, uint64_t *out)
{
    if (reader->at == reader->end || *reader->at >= 0x80)
        return row_bytes_varint_slow(reader, out);
    *out = *reader->at++;
    return true;
}

static bool row_bytes_integer(struct row_reader *reader, int64_t *out)
{
    uint64_t zigzag;
    if (!row_bytes_varint(reader, &zigzag))
        return false;
    *out = (int64_t)(zigzag >> 1 ^ (zigzag & 1 ? UINT64_MAX : 0));
    return true;
}

static bool row_bytes_run(struct row_reader *reader, size_t trailing, struct strata_bytes *out)
{
    uint64_t len;
    if (!row_bytes_varint(reader, &len))
        return false;
    size_t left = (size_t)(reader->end - reader->at);
    if (left < trailing || len > left - trailing)
        return false;
    *out = strata_bytes(reader->at, (size_t)len);
    reader->at += len + trailing;
    return true;
}

/* A text ends at its zero byte, and only there. */
static bool row_bytes_text(struct row_reader *reader, struct strata_bytes *out)
{
    return row_bytes_run(reader, 1, out) &&
           memchr(out->data, '\0', out->len + 1) == (const char *)out->data + out->len;
}

/* Into the struct's member, which has the column's type. */
static bool row_bytes_member(struct row_reader *reader, enum strata_type type, char *member)
{
    struct strata_bytes run;
    int64_t integer;
    switch (type) {
    case STRATA_TYPE_INTEGER:
    case STRATA_TYPE_TIMESTAMP:
        if (!row_bytes_integer(reader, &integer))
            return false;
        memcpy(member, &integer, sizeof integer);
        return true;
    case STRATA_TYPE_REAL:
        if (reader->end - reader->at < 8)
            return false;
        integer = (int64_t)row_bytes_fixed(reader->at, 8);
        memcpy(member, &integer, sizeof integer);
        reader->at += 8;
        return true;
    case STRATA_TYPE_BOOLEAN:
        if (reader->at == reader->end || *reader->at > 1)
            return false;
        *member = (char)*reader->at++;
        return true;
    case STRATA_TYPE_TEXT:
        if (!row_bytes_text(reader, &run))
            return false;
        memcpy(member, &run.data, sizeof run.data);
        return true;
    case STRATA_TYPE_BLOB:
        if (!row_bytes_run(reader, 0, &run))
            return false;
        memcpy(member, &run, sizeof run);
        return true;
    case STRATA_TYPE_NULL:
        break;
    }
    return false;
}

/* Where the nulls of the next row are, or NULL. */
static const uint8_t *row_bytes_nulls(const struct sta_schema *schema, struct row_reader *reader)
{
    size_t len = (schema->column_count + 7) / 8;
    const uint8_t *nulls = reader->at;
    if ((size_t)(reader->end - reader->at) < len)
        return NULL;
    reader->at += len;
    return nulls;
}

/* The reader behind the head, and how many rows shall follow: each takes a byte at least. */
static bool row_bytes_open(const struct sta_schema *schema, struct strata_bytes bytes,
                           struct row_reader *reader, size_t *count)
{
    const uint8_t *head = bytes.data;
    if (bytes.len < STA_ROW_BYTES_HEAD || row_bytes_fixed(head, 8) != schema->fingerprint)
        return false;
    *reader = (struct row_reader){head + STA_ROW_BYTES_HEAD, head + bytes.len};
    *count = (size_t)row_bytes_fixed(head + 16, 4);
    return *count <= (size_t)(reader->end - reader->at);
}

bool sta_row_bytes_version(const struct sta_schema *schema, struct strata_bytes bytes,
                           uint64_t *version)
{
    if (bytes.len < STA_ROW_BYTES_HEAD || row_bytes_fixed(bytes.data, 8) != schema->fingerprint)
        return false;
    *version = row_bytes_fixed((const uint8_t *)bytes.data + 8, 8);
    return true;
}

/* Into a struct that is all zeros. */
static bool row_bytes_decode_row(const struct sta_schema *schema, struct row_reader *reader,
                                 char *row)
{
    const uint8_t *nulls = row_bytes_nulls(schema, reader);
    if (nulls == NULL)
        return false;
    for (size_t i = 0; i < schema->column_count; i++) {
        const struct sta_column *column = &schema->columns[i];
        if ((nulls[i / 8] >> (i % 8) & 1) == 0) {
            if (!row_bytes_member(reader, column->type, row + column->offset))
                return false;
        } else if (column->nullable) {
            sta_field_set_null(column, row);
        } else {
            return false;
        }
    }
    return true;
}

int sta_row_bytes_decode(const struct sta_schema *schema, struct strata_bytes bytes, void **rows,
                         size_t *count)
{
    struct row_reader reader;
    size_t wanted;
    char *out = NULL;
    if (!row_bytes_open(schema, bytes, &reader, &wanted))
        return STRATA_MISS;
    if (wanted > 0) {
        /* Not calloc(): glibc's takes no block from the thread's own. */
        if (wanted > SIZE_MAX / schema->size || (out = malloc(wanted * schema->size)) == NULL)
            return STRATA_ERR_NOMEM;
        memset(out, 0, wanted * schema->size);
    }
    bool good = true;
    for (size_t i = 0; i < wanted && good; i++)
        good = row_bytes_decode_row(schema, &reader, out + i * schema->size);
    if (!good || reader.at != reader.end) {
        free(out);
        return STRATA_MISS;
    }
    *rows = out;
    *count = wanted;
    return STRATA_OK;
}
