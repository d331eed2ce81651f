/* SPDX-License-Identifier: MIT
 *
 * Decoding UTF-8, one character at a time.
 */
#include "core/utf8.h"

size_t sta_utf8_next(struct strata_bytes text, uint32_t *character)
{
    /* By length: the least character that needs it, so that overlong forms are refused. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *bytes = text.data;
    if (text.len == 0)
        return 0;
    uint32_t value = bytes[0];
    if (value < 0x80) {
        *character = value;
        return 1;
    }
    size_t len = value >= 0xf0 ? 4 : value >= 0xe0 ? 3 : 2;
    if (value < 0xc0 || value >= 0xf8 || len > text.len)
        return 0;
    value &= 0x7fu >> len;
    for (size_t i = 1; i < len; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    if (value < least[len] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *character = value;
    return len;
}

bool sta_utf8_valid(struct strata_bytes text)
{
    uint32_t character;
    while (text.len > 0) {
        size_t len = sta_utf8_next(text, &character);
        if (len == 0)
            return false;
        text = strata_bytes((const uint8_t *)text.data + len, text.len - len);
    }
    return true;
}

void sta_utf8_mend(char *text)
{
    if (sta_utf8_valid(strata_text(text)))
        return;
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    }
}
