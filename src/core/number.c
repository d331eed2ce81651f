/* SPDX-License-Identifier: MIT
 *
 * Strict decimal parsing; see number.h.
 */
#include "core/number.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "strata/status.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int sta_number_parse(struct strata_bytes text, uint64_t most, uint64_t *out)
{
    const char *digits = text.data;
    uint64_t value = 0;
    bool fits = true;
    if (text.len == 0)
        return STRATA_ERR_INVALID;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(digits[i]))
            return STRATA_ERR_INVALID;
        uint64_t digit = (uint64_t)(digits[i] - '0');
        fits = fits && digit <= most && value <= (most - digit) / 10;
        if (fits)
            value = value * 10 + digit;
    }
    if (!fits)
        return STRATA_ERR_TOO_BIG;
    *out = value;
    return STRATA_OK;
}

static const struct {
    const char *suffix;
    unsigned shift;
} byte_units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};

int sta_number_parse_bytes(struct strata_bytes text, uint64_t *out)
{
    const char *begin = text.data;
    size_t digits = 0;
    while (digits < text.len && is_digit(begin[digits]))
        digits++;
    for (size_t i = 0; i < sizeof byte_units / sizeof byte_units[0]; i++) {
        size_t len = strlen(byte_units[i].suffix);
        uint64_t number;
        if (text.len - digits != len || strncasecmp(begin + digits, byte_units[i].suffix, len) != 0)
            continue;
        int status = sta_number_parse(strata_bytes(begin, digits),
                                      UINT64_MAX >> byte_units[i].shift, &number);
        if (status == STRATA_OK)
            *out = number << byte_units[i].shift;
        return status;
    }
    return STRATA_ERR_INVALID;
}

/* The digits after the point, as thousandths. */
static int parse_fraction(struct strata_bytes text, uint64_t *out_ms)
{
    const char *digits = text.data;
    uint64_t unit = 100;
    uint64_t value = 0;
    if (text.len == 0)
        return STRATA_ERR_INVALID;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(digits[i]))
            return STRATA_ERR_INVALID;
        value += (uint64_t)(digits[i] - '0') * unit;
        unit /= 10;
    }
    *out_ms = value;
    return STRATA_OK;
}

int sta_number_parse_seconds(struct strata_bytes text, uint64_t *out_ms)
{
    const char *begin = text.data;
    const char *point = text.len > 0 ? memchr(begin, '.', text.len) : NULL;
    size_t whole_len = point != NULL ? (size_t)(point - begin) : text.len;
    uint64_t seconds = 0;
    uint64_t fraction_ms = 0;

    int whole = sta_number_parse(strata_bytes(begin, whole_len), UINT64_MAX / 1000 - 1, &seconds);
    if (whole == STRATA_ERR_INVALID)
        return whole;
    if (point != NULL) {
        int rest = parse_fraction(strata_bytes(point + 1, text.len - whole_len - 1), &fraction_ms);
        if (rest < 0)
            return rest;
    }
    if (whole < 0)
        return whole;
    *out_ms = seconds * 1000 + fraction_ms;
    return STRATA_OK;
}
