/* SPDX-License-Identifier: MIT
 *
 * SET's options, one after another. A combination that Redis refuses may be called known here:
 * without +OK nothing is concluded from it.
 */
#include "daemon/set_options.h"

#include "core/clock.h"
#include "core/number.h"
#include "daemon/dispatch.h"
#include "strata/status.h"

/* Redis refuses more than what its 64-bit signed milliseconds can hold. */
#define TTL_MOST_S (INT64_MAX / 1000)

static bool read_ttl(struct strata_bytes text, bool seconds, uint64_t *ttl_ms)
{
    uint64_t value = 0;
    if (sta_number_parse(text, seconds ? TTL_MOST_S : INT64_MAX, &value) < 0 || value == 0)
        return false;
    *ttl_ms = seconds ? value * 1000 : value;
    return true;
}

struct sta_set_options sta_set_options_read(const struct strata_bytes *argv, size_t argc)
{
    const struct sta_set_options unknown = {0};
    struct sta_set_options options = {.known = true, .ttl_ms = STA_NEVER};
    for (size_t i = 3; i < argc; i++) {
        bool seconds = sta_dispatch_word_is(argv[i], "ex");
        if (seconds || sta_dispatch_word_is(argv[i], "px")) {
            if (options.ttl_ms != STA_NEVER || i + 1 == argc ||
                !read_ttl(argv[i + 1], seconds, &options.ttl_ms))
                return unknown;
            i++;
        } else if (!sta_dispatch_word_is(argv[i], "nx") && !sta_dispatch_word_is(argv[i], "xx")) {
            return unknown;
        }
    }
    return options;
}

bool sta_set_options_replaces(struct strata_bytes name)
{
    static const char *const names[] = {"set", "setex", "psetex", "setnx", "mset", "msetnx"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (sta_dispatch_word_is(name, names[i]))
            return true;
    return false;
}
