/* SPDX-License-Identifier: MIT
 *
 * See own_time.h.
 */
#include "daemon/own_time.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "daemon/dispatch.h"
#include "strata/status.h"

/* Which word it is; 0: none. */
static size_t find_word(const struct strata_bytes *argv, size_t argc, uint64_t *unit_ns)
{
    static const struct {
        const char *name;
        int at; /* negative: from the end */
        uint64_t unit_ns;
    } words[] = {
        {"blpop", -1, STA_NS_SEC},    {"brpop", -1, STA_NS_SEC},  {"bzpopmin", -1, STA_NS_SEC},
        {"bzpopmax", -1, STA_NS_SEC}, {"blmove", -1, STA_NS_SEC}, {"brpoplpush", -1, STA_NS_SEC},
        {"blmpop", 1, STA_NS_SEC},    {"bzmpop", 1, STA_NS_SEC},  {"wait", 2, STA_NS_MS},
        {"waitaof", 3, STA_NS_MS},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t at = words[i].at < 0 ? argc - 1 : (size_t)words[i].at;
        if (!sta_dispatch_word_is(argv[0], words[i].name) || at >= argc)
            continue;
        *unit_ns = words[i].unit_ns;
        return at;
    }
    if (!sta_dispatch_word_is(argv[0], "xread") && !sta_dispatch_word_is(argv[0], "xreadgroup"))
        return 0;
    *unit_ns = STA_NS_MS;
    size_t block = sta_dispatch_block_at(argv, argc);
    return block > 0 && block + 1 < argc ? block + 1 : 0;
}

int sta_own_time_read(struct sta_own_time *time, const struct strata_bytes *argv, size_t argc)
{
    char text[32], *end;
    if (argc == 1)
        return STRATA_ERR_INVALID;
    time->at = find_word(argv, argc, &time->unit_ns);
    if (time->at == 0)
        return STRATA_MISS;
    const struct strata_bytes word = argv[time->at];
    if (word.len == 0 || word.len >= sizeof text)
        return STRATA_ERR_INVALID;
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    double value = strtod(text, &end) * (double)time->unit_ns;
    if (*end != '\0' || !isfinite(value) || value < 0)
        return STRATA_ERR_INVALID;
    bool endless = value == 0 || value > (double)(UINT64_MAX / 4);
    time->ns = endless ? STA_NEVER : (uint64_t)value;
    return STRATA_OK;
}

size_t sta_own_time_word(const struct sta_own_time *time, uint64_t ns, char text[STA_OWN_TIME_TEXT])
{
    uint64_t ms = ns / STA_NS_MS;
    int len;
    ms = ms > 0 ? ms : 1;
    if (time->unit_ns == STA_NS_MS)
        len = snprintf(text, STA_OWN_TIME_TEXT, "%" PRIu64, ms);
    else
        len =
            snprintf(text, STA_OWN_TIME_TEXT, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
    return (size_t)len;
}
