/* SPDX-License-Identifier: MIT
 *
 * Numbers of the protocol as text. Integers are what Redis itself accepts: an optional '-', no
 * leading zero, no '+', nothing beyond 64 bits. Doubles do not depend on the process' locale.
 */
#ifndef STA_RESP_NUMBER_H
#define STA_RESP_NUMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "strata/bytes.h"
#include "strata/status.h"

/* Bytes that any int64 needs at most, and that a double's text may have at most. */
#define STA_RESP_NUMBER_MAX 20u
#define STA_RESP_REAL_MAX   512u

/* The general case of sta_resp_number_line(). */
int sta_resp_number_line_slow(const uint8_t **cursor, const uint8_t *end, int64_t *value,
                              const char **reason);

/* Reads an integer and its CR LF at *cursor and moves *cursor behind them. STRATA_OK; STRATA_MORE
 * where the line is cut short (nothing moved: it is read again, 22 bytes at most);
 * STRATA_ERR_PROTOCOL at the first byte that cannot be right, with `*reason`.
 * Lines of one digit, which most lengths and counts are, and of up to nine with bytes behind
 * them, cost no call. */
static inline int sta_resp_number_line(const uint8_t **cursor, const uint8_t *end, int64_t *value,
                                       const char **reason)
{
    const uint8_t *at = *cursor;
    if (end - at >= 3 && (uint8_t)(at[0] - '0') < 10 && memcmp(at + 1, "\r\n", 2) == 0) {
        *value = at[0] - '0';
        *cursor = at + 3;
        return STRATA_OK;
    }
    if (end - at >= 11 && (uint8_t)(at[0] - '1') < 9) {
        uint32_t sum = 0, digit;
        for (const uint8_t *stop = at + 9; at < stop && (digit = *at - (uint32_t)'0') < 10; at++)
            sum = sum * 10 + digit;
        if (memcmp(at, "\r\n", 2) == 0) {
            *value = sum;
            *cursor = at + 2;
            return STRATA_OK;
        }
    }
    return sta_resp_number_line_slow(cursor, end, value, reason);
}

/* The whole of `text` as an integer; false where it is none. */
bool sta_resp_number_parse(struct strata_bytes text, int64_t *value);

/* Writes the digits to `out`, which has room for STA_RESP_NUMBER_MAX, and returns how many. */
size_t sta_resp_number_format(uint8_t *out, int64_t value);
size_t sta_resp_number_format_unsigned(uint8_t *out, uint64_t value);

/* Whether `text` is a double: digits with an optional fraction and exponent, or inf, -inf, nan,
 * -nan. */
bool sta_resp_number_is_real(struct strata_bytes text);

/* Its value, correctly rounded; `text` must be one (see above). */
double sta_resp_number_real(struct strata_bytes text);

/* The shortest of 15, 16 or 17 digits that reads back as the same double. Returns the length. */
size_t sta_resp_number_format_real(char out[32], double value);

#endif
