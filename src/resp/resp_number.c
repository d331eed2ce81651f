/* SPDX-License-Identifier: MIT
 *
 * Integers and doubles from and to text.
 *
 * strtod() and printf() follow the locale that the embedding program has set ("1,5"), so a
 * double is read as digits with an exponent and no point, which every locale reads alike, and
 * whatever printf() put for the point is replaced when one is written.
 */
#include "resp/resp_number.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const number_empty = "a number has no digits";
static const char *const number_junk = "a number has other bytes than digits";
static const char *const number_zero = "a number begins with zero";
static const char *const number_range = "a number does not fit in 64 bits";
static const char *const number_end = "a number's line does not end with CR LF";

static bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

static int number_bad(const char **reason, const char *why)
{
    *reason = why;
    return STRATA_ERR_PROTOCOL;
}

/* So many digits fit in 63 bits, whatever they are. */
#define NUMBER_DIGITS_SAFE 18

/* Digits from *cursor on; stops at the first byte that is none, or at `end`. */
static int number_digits(const uint8_t **cursor, const uint8_t *end, bool negative, int64_t *value,
                         const char **reason)
{
    const uint8_t *begin = *cursor;
    const uint8_t *safe = end - begin > NUMBER_DIGITS_SAFE ? begin + NUMBER_DIGITS_SAFE : end;
    const uint8_t *at = begin;
    uint64_t sum = 0;
    for (; at < safe && is_digit(*at); at++)
        sum = sum * 10 + (uint64_t)(*at - '0');
    /* A zero may only be the whole number, and has no sign. */
    if (at > begin && *begin == '0' && (negative || at > begin + 1))
        return number_bad(reason, number_zero);
    const uint64_t most = (uint64_t)INT64_MAX + negative;
    for (; at < end && is_digit(*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (sum > most / 10 || sum * 10 > most - digit)
            return number_bad(reason, number_range);
        sum = sum * 10 + digit;
    }
    *cursor = at;
    *value = (int64_t)(negative ? 0 - sum : sum);
    return STRATA_OK;
}

int sta_resp_number_line_slow(const uint8_t **cursor, const uint8_t *end, int64_t *value,
                              const char **reason)
{
    const uint8_t *at = *cursor;
    bool negative = at < end && *at == '-';
    at += negative;
    const uint8_t *digits = at;
    int64_t number = 0;
    int status = number_digits(&at, end, negative, &number, reason);
    if (status < 0)
        return status;
    if (end - at >= 2 && at > digits && memcmp(at, "\r\n", 2) == 0) {
        *value = number;
        *cursor = at + 2;
        return STRATA_OK;
    }
    if (at == end)
        return STRATA_MORE;
    if (*at != '\r')
        return number_bad(reason, number_junk);
    if (at == digits)
        return number_bad(reason, number_empty);
    return at + 1 == end ? STRATA_MORE : number_bad(reason, number_end);
}

bool sta_resp_number_parse(struct strata_bytes text, int64_t *value)
{
    if (text.len == 0)
        return false;
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.len;
    bool negative = *at == '-';
    at += negative;
    const uint8_t *digits = at;
    int64_t number = 0;
    const char *reason = NULL;
    if (number_digits(&at, end, negative, &number, &reason) < 0 || at != end || at == digits)
        return false;
    *value = number;
    return true;
}

size_t sta_resp_number_format_unsigned(uint8_t *out, uint64_t value)
{
    uint8_t reversed[STA_RESP_NUMBER_MAX];
    size_t len = 0;
    do {
        reversed[len++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < len; i++)
        out[i] = reversed[len - 1 - i];
    return len;
}

size_t sta_resp_number_format(uint8_t *out, int64_t value)
{
    if (value >= 0)
        return sta_resp_number_format_unsigned(out, (uint64_t)value);
    out[0] = '-';
    return 1 + sta_resp_number_format_unsigned(out + 1, 0 - (uint64_t)value);
}

/* ---- doubles ---- */

/* Where the run of digits that begins at `at` ends. */
static const uint8_t *real_digits(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

static bool text_is(const uint8_t *at, const uint8_t *end, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(end - at) == len && memcmp(at, word, len) == 0;
}

/* The parts of a finite double; `begin` is its first digit. */
struct real_parts {
    const uint8_t *whole_end; /* and, where there is a fraction, the point */
    const uint8_t *fraction_end;
    const uint8_t *exponent; /* its sign or first digit; `end` where there is none */
};

static bool real_split(const uint8_t *begin, const uint8_t *end, struct real_parts *parts)
{
    const uint8_t *at = real_digits(begin, end);
    if (at == begin)
        return false;
    *parts = (struct real_parts){.whole_end = at, .fraction_end = at, .exponent = end};
    if (at < end && *at == '.') {
        parts->fraction_end = real_digits(at + 1, end);
        if (parts->fraction_end == at + 1)
            return false;
        at = parts->fraction_end;
    }
    if (at == end)
        return true;
    if (*at != 'e' && *at != 'E')
        return false;
    parts->exponent = ++at;
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    return at < end && real_digits(at, end) == end;
}

bool sta_resp_number_is_real(struct strata_bytes text)
{
    if (text.len == 0 || text.len > STA_RESP_REAL_MAX)
        return false;
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.len;
    at += *at == '-';
    struct real_parts parts;
    return text_is(at, end, "inf") || text_is(at, end, "nan") || real_split(at, end, &parts);
}

/* The exponent as written, held to what any double can tell apart from more. */
static int real_exponent(const uint8_t *at, const uint8_t *end)
{
    bool negative = at < end && *at == '-';
    at += at < end && !is_digit(*at);
    int value = 0;
    for (; at < end && value < 10000; at++)
        value = value * 10 + (*at - '0');
    return negative ? -value : value;
}

/* Few digits and a small exponent, which nearly all doubles on the wire are: both factors are
 * exact, so that one rounding gives the nearest double (Clinger 1990, "How to read floating
 * point numbers accurately"). */
static bool real_exact(const char *digits, size_t count, int exponent, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (count > 15 || exponent < -22 || exponent > 22)
        return false;
    uint64_t whole = 0;
    for (size_t i = 0; i < count; i++)
        whole = whole * 10 + (uint64_t)(digits[i] - '0');
    *value = exponent < 0 ? (double)whole / powers[-exponent] : (double)whole * powers[exponent];
    return true;
}

static double real_finite(const uint8_t *begin, const uint8_t *end)
{
    struct real_parts parts;
    if (!real_split(begin, end, &parts))
        return (double)NAN;
    char text[STA_RESP_REAL_MAX + 16];
    size_t count = (size_t)(parts.whole_end - begin);
    memcpy(text, begin, count);
    size_t fraction = (size_t)(parts.fraction_end - parts.whole_end);
    if (fraction > 0)
        memcpy(text + count, parts.whole_end + 1, --fraction);
    count += fraction;
    int exponent = real_exponent(parts.exponent, end) - (int)fraction;
    double value;
    if (real_exact(text, count, exponent, &value))
        return value;
    snprintf(text + count, 16, "e%d", exponent);
    return strtod(text, NULL);
}

double sta_resp_number_real(struct strata_bytes text)
{
    assert(text.len > 0 && text.len <= STA_RESP_REAL_MAX);
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.len;
    bool negative = *at == '-';
    at += negative;
    double value;
    if (text_is(at, end, "inf"))
        value = (double)INFINITY;
    else if (text_is(at, end, "nan"))
        value = (double)NAN;
    else
        value = real_finite(at, end);
    return negative ? -value : value;
}

/* Puts '.' for whatever the locale has as its decimal point, one byte or more. */
static size_t real_unlocalize(char *text)
{
    size_t len = 0;
    bool point = false;
    for (const char *from = text; *from != '\0'; from++) {
        bool plain = is_digit((uint8_t)*from) || *from == '-' || *from == '+' || *from == 'e';
        if (plain || !point)
            text[len++] = plain ? *from : '.';
        point = !plain;
    }
    return len;
}

size_t sta_resp_number_format_real(char out[32], double value)
{
    if (isnan(value) || isinf(value)) {
        const char *word = isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
        size_t len = strlen(word);
        memcpy(out, word, len);
        return len;
    }
    for (int digits = 15;; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        size_t len = real_unlocalize(out);
        double back = sta_resp_number_real(strata_bytes(out, len));
        /* Compared as bits: equal within warnings' sight, and -0 is not 0. */
        if (digits == 17 || memcmp(&back, &value, sizeof(value)) == 0)
            return len;
    }
}
