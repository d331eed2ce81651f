/* SPDX-License-Identifier: MIT
 *
 * See field.h. Members are copied bytewise: nothing here depends on how a struct is declared.
 */
#include "repository/field.h"

#include <string.h>

static bool field_is_null(const struct sta_column *column, const char *row)
{
    bool is_null = false;
    if (column->nullable)
        memcpy(&is_null, row + column->null_offset, sizeof is_null);
    return is_null;
}

static struct strata_field field_of_pointer(const struct sta_column *column, const char *member)
{
    struct strata_bytes bytes = {0};
    if (column->type == STRATA_TYPE_TEXT) {
        const char *text;
        memcpy(&text, member, sizeof text);
        if (text != NULL)
            bytes = strata_text(text);
    } else {
        memcpy(&bytes, member, sizeof bytes);
    }
    if (bytes.data == NULL)
        return strata_field_null();
    return (struct strata_field){.type = column->type, .of.bytes = bytes};
}

struct strata_field sta_field_of_row(const struct sta_column *column, const void *row)
{
    const char *member = (const char *)row + column->offset;
    struct strata_field field = {.type = column->type};
    if (column->type == STRATA_TYPE_TEXT || column->type == STRATA_TYPE_BLOB)
        return field_of_pointer(column, member);
    if (field_is_null(column, row))
        return strata_field_null();
    if (column->type == STRATA_TYPE_REAL)
        memcpy(&field.of.real, member, sizeof field.of.real);
    else if (column->type == STRATA_TYPE_BOOLEAN)
        memcpy(&field.of.boolean, member, sizeof field.of.boolean);
    else
        memcpy(&field.of.integer, member, sizeof field.of.integer);
    return field;
}

void sta_field_set_null(const struct sta_column *column, void *row)
{
    const bool is_null = true;
    if (column->type != STRATA_TYPE_TEXT && column->type != STRATA_TYPE_BLOB)
        memcpy((char *)row + column->null_offset, &is_null, sizeof is_null);
}

bool sta_field_fits(const struct sta_column *column, const struct strata_field *field)
{
    if (field->type == STRATA_TYPE_NULL)
        return column->nullable;
    if (field->type != column->type)
        return false;
    switch (field->type) {
    case STRATA_TYPE_REAL:
        return field->of.real == field->of.real;
    case STRATA_TYPE_TEXT:
        return field->of.bytes.len == 0 ||
               memchr(field->of.bytes.data, '\0', field->of.bytes.len) == NULL;
    case STRATA_TYPE_BLOB:
        return field->of.bytes.data != NULL;
    default:
        return true;
    }
}
