/* SPDX-License-Identifier: MIT
 *
 * Rows as they come from the cache, where anybody may have written. What decodes is written again
 * and decodes again; the head is ours, so that what is looked at are the rows.
 */
#include "repository/row_bytes.h"

#include <stdlib.h>
#include <string.h>

#include "repository/field.h"

struct thing {
    int64_t id;
    const char *text;
    struct strata_bytes blob;
    double real;
    bool real_is_null;
    bool flag;
    int64_t made;
    bool made_is_null;
};

static const struct strata_column columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct thing, id), 0},
    {"text", STRATA_TYPE_TEXT, STRATA_COLUMN_NULLABLE, offsetof(struct thing, text), 0},
    {"blob", STRATA_TYPE_BLOB, 0, offsetof(struct thing, blob), 0},
    {"real", STRATA_TYPE_REAL, STRATA_COLUMN_NULLABLE, offsetof(struct thing, real),
     offsetof(struct thing, real_is_null)},
    {"flag", STRATA_TYPE_BOOLEAN, 0, offsetof(struct thing, flag), 0},
    {"made", STRATA_TYPE_TIMESTAMP, STRATA_COLUMN_NULLABLE, offsetof(struct thing, made),
     offsetof(struct thing, made_is_null)},
};

/* What the structs hold, written again; a NaN is decoded, and never written. */
static void write_again(const struct sta_schema *schema, const struct thing *things, size_t count)
{
    struct strata_field fields[STRATA_MODEL_COLUMNS];
    struct sta_row_writer writer;
    void *rows = NULL;
    size_t found = 0;
    int status = sta_row_bytes_begin(&writer, schema);
    for (size_t i = 0; i < count && status == STRATA_OK; i++) {
        for (size_t at = 0; at < schema->column_count; at++)
            fields[at] = sta_field_of_row(&schema->columns[at], &things[i]);
        status = sta_row_bytes_add(&writer, fields);
    }
    if (status == STRATA_OK) {
        sta_row_bytes_end(&writer, 1);
        struct strata_bytes bytes = sta_buffer_bytes(&writer.bytes);
        if (sta_row_bytes_decode(schema, bytes, &rows, &found) != STRATA_OK || found != count)
            abort();
        free(rows);
    }
    sta_row_bytes_fini(&writer);
}

/* Everything that the structs point to is read. */
static uint64_t look_at(const struct thing *things, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += things[i].text != NULL ? strlen(things[i].text) : 1;
        for (size_t at = 0; at < things[i].blob.len; at++)
            sum += ((const uint8_t *)things[i].blob.data)[at];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct strata_model model = {
        .table = "t", .columns = columns, .column_count = 6, .size = sizeof(struct thing)};
    struct sta_schema schema;
    struct sta_row_writer writer;
    void *rows = NULL;
    size_t count = 0;
    if (size < 4 || sta_schema_init(&schema, &model, NULL) != STRATA_OK)
        return 0;
    if (sta_row_bytes_begin(&writer, &schema) != STRATA_OK)
        return 0;
    writer.count = (uint32_t)data[0] | (uint32_t)data[1] << 8;
    if (sta_buffer_append(&writer.bytes, strata_bytes(data + 2, size - 2)) != STRATA_OK)
        abort();
    sta_row_bytes_end(&writer, 1);
    struct strata_bytes bytes = sta_buffer_bytes(&writer.bytes);
    int status = sta_row_bytes_decode(&schema, bytes, &rows, &count);
    if (status == STRATA_OK) {
        volatile uint64_t sum = look_at(rows, count);
        (void)sum;
        write_again(&schema, rows, count);
        free(rows);
    }
    sta_row_bytes_fini(&writer);
    return 0;
}
