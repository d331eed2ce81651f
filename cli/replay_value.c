/* SPDX-License-Identifier: MIT
 *
 * Making and checking the values of a replay. On the path of every request: no printf for what
 * is written a million times.
 */
#include "cli/replay_value.h"

#include <string.h>

#include "core/random.h"

/* `count` hexadecimal digits of `value`. */
static void write_hex(uint8_t *out, uint64_t value, unsigned count)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < count; i++)
        out[i] = (uint8_t)digits[value >> (4 * (count - 1 - i)) & 15];
}

size_t cli_replay_value_len(const struct cli_trace_record *record, size_t most)
{
    if (record->size == 1 || record->size > most)
        return most;
    return record->size < CLI_REPLAY_VALUE_LEAST ? CLI_REPLAY_VALUE_LEAST : record->size;
}

void cli_replay_value_write(uint64_t key, uint8_t *out, size_t len)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    write_hex(out, key, 16);
    out[16] = ':';
    write_hex(out + 17, len, 8);
    out[25] = ':';
    uint64_t state = key ^ (uint64_t)len << 40;
    for (size_t at = 26; at < len;) {
        uint64_t random = sta_random_next(&state);
        for (unsigned i = 0; i < 10 && at < len; i++, random >>= 6)
            out[at++] = (uint8_t)letters[random & 63];
    }
}

bool cli_replay_value_check(uint64_t key, size_t len, struct strata_bytes value, uint8_t *scratch)
{
    if (value.len != len)
        return false;
    cli_replay_value_write(key, scratch, len);
    return memcmp(value.data, scratch, len) == 0;
}

struct strata_bytes cli_replay_value_key(const char *prefix, uint64_t key,
                                         char out[CLI_REPLAY_KEY_MOST + 1])
{
    size_t len = strlen(prefix);
    memcpy(out, prefix, len);
    write_hex((uint8_t *)out + len, key, 16);
    out[len + 16] = '\0';
    return strata_bytes(out, len + 16);
}
