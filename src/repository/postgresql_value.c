/* SPDX-License-Identifier: MIT
 *
 * See postgresql_value.h.
 */
#include "repository/postgresql_value.h"

#include <string.h>

/* PostgreSQL counts microseconds from 2000-01-01. */
#define VALUE_EPOCH INT64_C(946684800000000)

static void value_put64(char *at, uint64_t bits)
{
    for (int i = 0; i < 8; i++)
        at[i] = (char)(bits >> (56 - 8 * i));
}

static uint64_t value_get64(const char *at)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | (uint8_t)at[i];
    return bits;
}

/* The ends of int64_t are PostgreSQL's infinities, both ways. False: it cannot be said there. */
static bool value_put_timestamp(char *at, int64_t integer)
{
    bool finite = integer != INT64_MAX && integer != INT64_MIN;
    if (finite && __builtin_sub_overflow(integer, VALUE_EPOCH, &integer))
        return false;
    value_put64(at, (uint64_t)integer);
    return true;
}

/* The last thirty years of PostgreSQL's calendar (294247 to 294276) are past int64_t's last
 * microsecond but one, which stands for them. */
static int64_t value_get_timestamp(int64_t integer)
{
    bool finite = integer != INT64_MAX && integer != INT64_MIN;
    if (finite && __builtin_add_overflow(integer, VALUE_EPOCH, &integer))
        return INT64_MAX - 1;
    return integer;
}

static bool value_param(struct sta_postgresql_params *params, size_t i,
                        const struct strata_field *field)
{
    char *fixed = params->fixed[i];
    int64_t integer = field->of.integer;
    uint64_t bits;
    params->values[i] = fixed;
    params->lengths[i] = 8;
    params->formats[i] = 1;
    switch (field->type) {
    case STRATA_TYPE_TIMESTAMP:
        return value_put_timestamp(fixed, integer);
    case STRATA_TYPE_INTEGER:
        value_put64(fixed, (uint64_t)integer);
        return true;
    case STRATA_TYPE_REAL:
        memcpy(&bits, &field->of.real, sizeof bits);
        value_put64(fixed, bits);
        return true;
    case STRATA_TYPE_BOOLEAN:
        fixed[0] = field->of.boolean ? 1 : 0;
        params->lengths[i] = 1;
        return true;
    case STRATA_TYPE_TEXT:
    case STRATA_TYPE_BLOB:
        if (field->of.bytes.len > 0)
            params->values[i] = field->of.bytes.data;
        params->lengths[i] = (int)field->of.bytes.len;
        return field->of.bytes.len <= INT32_MAX / 2;
    case STRATA_TYPE_NULL:
        break;
    }
    params->values[i] = NULL;
    return true;
}

bool sta_postgresql_value_params(struct sta_postgresql_params *params, const struct sta_sql *sql)
{
    for (size_t i = 0; i < sql->param_count; i++) {
        if (i == STA_POSTGRESQL_PARAMS_MAX || !value_param(params, i, &sql->params[i]))
            return false;
    }
    return true;
}

struct strata_field sta_postgresql_value_column(const PGresult *result, int row, int at,
                                                enum strata_type type)
{
    const char *value = PQgetvalue(result, row, at);
    int len = PQgetlength(result, row, at);
    struct strata_field field = {.type = type};
    uint64_t bits;
    if (PQgetisnull(result, row, at) != 0)
        return strata_field_null();
    if (type == STRATA_TYPE_TEXT || type == STRATA_TYPE_BLOB) {
        field.of.bytes = strata_bytes(value, (size_t)len);
        return field;
    }
    if (len != (type == STRATA_TYPE_BOOLEAN ? 1 : 8))
        return strata_field_null();
    if (type == STRATA_TYPE_BOOLEAN) {
        field.of.boolean = value[0] != 0;
        return field;
    }
    bits = value_get64(value);
    if (type == STRATA_TYPE_REAL)
        memcpy(&field.of.real, &bits, sizeof bits);
    else if (type == STRATA_TYPE_INTEGER)
        field.of.integer = (int64_t)bits;
    else
        field.of.integer = value_get_timestamp((int64_t)bits);
    return field;
}
