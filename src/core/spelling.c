/* SPDX-License-Identifier: MIT
 *
 * Edit distance over three rows of the usual table, on the stack.
 */
#include "core/spelling.h"

#include <stddef.h>
#include <string.h>

static unsigned lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned)(c - 'A' + 'a') : (unsigned char)c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Both at most STA_SPELLING_MAX long. rows[i % 3][j] is the distance of the first i characters
 * of `a` from the first j of `b`. */
static unsigned spelling_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][STA_SPELLING_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned changed = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            row[j] = least(above[j - 1] + changed, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = least(row[j], rows[(i + 1) % 3][j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

void sta_spelling_offer(struct sta_spelling *spelling, const char *known)
{
    size_t wanted_len = strlen(spelling->wanted);
    size_t known_len = strlen(known);
    if (wanted_len > STA_SPELLING_MAX || known_len > STA_SPELLING_MAX)
        return;
    unsigned distance = spelling_distance(spelling->wanted, wanted_len, known, known_len);
    if (distance * 3 > (wanted_len > known_len ? wanted_len : known_len))
        return;
    if (spelling->nearest != NULL && spelling->distance <= distance)
        return;
    spelling->nearest = known;
    spelling->distance = distance;
}
