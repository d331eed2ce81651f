/* SPDX-License-Identifier: MIT
 *
 * Reads a request trace: zstd frames, one after another, that hold packed little-endian records
 * of 12 bytes, in the order of the requests (bench/traces/README.md).
 *
 *     0          8       12
 *     | key id   | size  |      u64, and u32 bytes; size 1: the source gives none
 *
 * Memory: one fixed block, plus what zstd needs for the window the file was packed with
 * (128 MiB at most, and only as much as the trace is long is ever touched).
 * Threads: one owner.
 */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <stdint.h>

#include "strata/status.h"

struct cli_trace;

struct cli_trace_record {
    uint64_t key;
    uint32_t size; /* bytes */
};

/* STRATA_ERR_SYSTEM, STRATA_ERR_NOMEM; `error` (may be NULL) names the file. */
int cli_trace_open(struct cli_trace **out, const char *path, struct strata_error *error);

/* Closes the file and sets the pointer to NULL. NULL is fine. */
void cli_trace_close(struct cli_trace **trace);

/* The next record. STRATA_OK; STRATA_MISS after the last one; STRATA_ERR_PROTOCOL where the file
 * is damaged, cut short or no trace at all, STRATA_ERR_SYSTEM where it cannot be read,
 * STRATA_ERR_NOMEM: `error` (may be NULL) then names the file and the offset in it, for damage
 * to within 4 KiB. After an error the answer stays. */
int cli_trace_next(struct cli_trace *trace, struct cli_trace_record *record,
                   struct strata_error *error);

/* How much of the file has been read, 0.0 to 1.0. For a progress bar: packed bytes, read ahead. */
double cli_trace_progress(const struct cli_trace *trace);

#endif
