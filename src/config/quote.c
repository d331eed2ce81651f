/* SPDX-License-Identifier: MIT
 *
 * Quoting; see quote.h.
 */
#include "config/quote.h"

#include <string.h>

#include "l2/redis_url.h"

/* Longer texts are no URLs that we could use; they are cut before they are looked at. */
#define QUOTE_LOOK 2048u

/* So many bytes of UTF-8 that no character is cut, or all of `len` where it is none. */
static size_t whole_characters(const char *text, size_t len)
{
    size_t whole = len;
    while (whole > 0 && len - whole < 3 && ((unsigned char)text[whole] & 0xc0) == 0x80)
        whole--;
    return ((unsigned char)text[whole] & 0xc0) == 0x80 ? len : whole;
}

void sta_quote_text(const char *text, size_t len, char *out, size_t cap)
{
    char copy[QUOTE_LOOK];
    char masked[QUOTE_LOOK];
    size_t take = len < sizeof copy - 1 ? len : sizeof copy - 1;
    memcpy(copy, text, take);
    copy[take] = '\0';
    if (strchr(copy, '@') != NULL || strstr(copy, "://") != NULL)
        sta_redis_url_mask(copy, masked, sizeof masked);
    else
        memcpy(masked, copy, take + 1);

    size_t n = strlen(masked);
    size_t shown = n < cap ? n : cap - 1;
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)masked[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out[shown] = '\0';
    if (n >= cap || take < len)
        memcpy(out + whole_characters(out, shown < cap - 4 ? shown : cap - 4), "...", 4);
}

void sta_quote_value(const struct sta_option *option, const char *text, char *out, size_t cap)
{
    const char *shown = option->secret && *text != '\0' ? "***" : text;
    sta_quote_text(shown, strlen(shown), out, cap);
}
