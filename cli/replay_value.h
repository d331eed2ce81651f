/* SPDX-License-Identifier: MIT
 *
 * Keys and values of a replay. A value follows from its key alone and says whose it is, so that a
 * reply meant for another request cannot pass for the right one:
 *
 *     000000000010000f0:00000064:kV3x...
 *     key id, 16 digits  length   filler that follows from both
 */
#ifndef CLI_REPLAY_VALUE_H
#define CLI_REPLAY_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/trace.h"
#include "strata/bytes.h"

/* Shorter values could not say whose they are. */
#define CLI_REPLAY_VALUE_LEAST 32u
#define CLI_REPLAY_VALUE_MOST  (1u << 20)

/* The longest prefix and the longest key, bytes. */
#define CLI_REPLAY_PREFIX_MOST 64u
#define CLI_REPLAY_KEY_MOST    (CLI_REPLAY_PREFIX_MOST + 16u)

/* The length that the record's value has: its size where the source gives one, within LEAST and
 * `most`; else `most`. */
size_t cli_replay_value_len(const struct cli_trace_record *record, size_t most);

/* Writes the value, `len` bytes (>= LEAST) at `out`. */
void cli_replay_value_write(uint64_t key, uint8_t *out, size_t len);

/* Whether `value` is that of `key`, `len` bytes long; `scratch` holds `len` bytes. */
bool cli_replay_value_check(uint64_t key, size_t len, struct strata_bytes value, uint8_t *scratch);

/* Writes `prefix` (at most PREFIX_MOST) and the key's 16 digits to `out`. */
struct strata_bytes cli_replay_value_key(const char *prefix, uint64_t key,
                                         char out[CLI_REPLAY_KEY_MOST + 1]);

#endif
