/* SPDX-License-Identifier: MIT
 *
 * The trace reader: a file descriptor, a block of packed bytes, zstd, a block of records.
 *
 *     file --read--> packed[] --ZSTD_decompressStream--> plain[] --12 bytes--> record
 *
 * Invariants: taken <= filled; packed_taken <= packed_filled; `file_offset` is where packed[]
 * ends in the file. A frame is open from its first byte to the call in which zstd returns 0; the
 * file may end only where no frame is open and no part of a record is left over.
 */
#include "cli/trace.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "core/error.h"

#define TRACE_RECORD_LEN 12u
#define TRACE_PLAIN_LEN  (TRACE_RECORD_LEN * 8192u)
#define TRACE_PACKED_LEN 4096u /* small, so that a damaged place is named closely */
#define TRACE_WINDOW_LOG 27

struct cli_trace {
    char *path;
    int fd;
    ZSTD_DStream *zstd;
    uint64_t file_len;    /* bytes, when it was opened */
    uint64_t file_offset; /* bytes read from the file */
    bool frame_open;
    struct strata_error failed; /* status 0: it has not */

    size_t packed_taken;
    size_t packed_filled;
    size_t plain_taken;
    size_t plain_filled;
    uint8_t packed[TRACE_PACKED_LEN];
    uint8_t plain[TRACE_PLAIN_LEN];
};

static int trace_open_file(struct cli_trace *trace, struct strata_error *error)
{
    trace->fd = open(trace->path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (trace->fd < 0 || fstat(trace->fd, &status) < 0)
        return sta_error_set(error, STRATA_ERR_SYSTEM, "%s: %s", trace->path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return sta_error_set(error, STRATA_ERR_SYSTEM, "%s: not a regular file", trace->path);
    trace->file_len = (uint64_t)status.st_size;
    return STRATA_OK;
}

int cli_trace_open(struct cli_trace **out, const char *path, struct strata_error *error)
{
    struct cli_trace *trace = calloc(1, sizeof *trace);
    int status = STRATA_ERR_NOMEM;
    if (trace == NULL)
        goto fail;
    trace->fd = -1;
    trace->path = strdup(path);
    trace->zstd = ZSTD_createDStream();
    if (trace->path == NULL || trace->zstd == NULL)
        goto fail;
    (void)ZSTD_DCtx_setParameter(trace->zstd, ZSTD_d_windowLogMax, TRACE_WINDOW_LOG);
    status = trace_open_file(trace, error);
    if (status < 0)
        goto close;
    *out = trace;
    return STRATA_OK;
fail:
    (void)sta_error_set(error, status, "%s: out of memory", path);
close:
    cli_trace_close(&trace);
    return status;
}

void cli_trace_close(struct cli_trace **trace)
{
    if (*trace == NULL)
        return;
    if ((*trace)->fd >= 0)
        (void)close((*trace)->fd);
    (void)ZSTD_freeDStream((*trace)->zstd);
    free((*trace)->path);
    free(*trace);
    *trace = NULL;
}

/* Remembers the failure, at the first packed byte that zstd has not taken. */
static int trace_fail(struct cli_trace *trace, int status, const char *what)
{
    uint64_t offset = trace->file_offset - (trace->packed_filled - trace->packed_taken);
    return sta_error_set(&trace->failed, status, "%s: %s, at byte %llu of %llu", trace->path, what,
                         (unsigned long long)offset, (unsigned long long)trace->file_len);
}

static int trace_fail_zstd(struct cli_trace *trace, size_t result)
{
    bool memory = ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation;
    return trace_fail(trace, memory ? STRATA_ERR_NOMEM : STRATA_ERR_PROTOCOL,
                      ZSTD_getErrorName(result));
}

/* At the end of the file: whether it is one of the trace too. */
static int trace_end(struct cli_trace *trace)
{
    if (trace->file_offset == 0)
        return trace_fail(trace, STRATA_ERR_PROTOCOL, "empty, not a trace");
    if (trace->frame_open)
        return trace_fail(trace, STRATA_ERR_PROTOCOL, "ends in the middle of the zstd stream");
    if (trace->plain_filled > 0)
        return trace_fail(trace, STRATA_ERR_PROTOCOL, "ends in the middle of a record");
    return STRATA_MISS;
}

/* Reads more packed bytes once all are taken. STRATA_MISS at a proper end. */
static int trace_read(struct cli_trace *trace)
{
    ssize_t count;
    do
        count = read(trace->fd, trace->packed, sizeof trace->packed);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return trace_fail(trace, STRATA_ERR_SYSTEM, strerror(errno));
    if (count == 0)
        return trace_end(trace);
    trace->file_offset += (uint64_t)count;
    trace->packed_taken = 0;
    trace->packed_filled = (size_t)count;
    return STRATA_OK;
}

/* Unpacks until at least one whole record is there, keeping the part of one that is left. */
static int trace_fill(struct cli_trace *trace)
{
    size_t left = trace->plain_filled - trace->plain_taken;
    memmove(trace->plain, trace->plain + trace->plain_taken, left);
    trace->plain_taken = 0;
    trace->plain_filled = left;
    while (trace->plain_filled < TRACE_RECORD_LEN) {
        ZSTD_inBuffer in = {trace->packed, trace->packed_filled, trace->packed_taken};
        ZSTD_outBuffer out = {trace->plain, sizeof trace->plain, trace->plain_filled};
        size_t before = out.pos;
        size_t result = ZSTD_decompressStream(trace->zstd, &out, &in);
        if (ZSTD_isError(result))
            return trace_fail_zstd(trace, result);
        /* A call that neither took nor gave anything says nothing about frames. */
        if (in.pos > trace->packed_taken || out.pos > before)
            trace->frame_open = result != 0;
        trace->packed_taken = in.pos;
        trace->plain_filled = out.pos;
        if (out.pos > before || in.pos < in.size)
            continue;
        int status = trace_read(trace);
        if (status != STRATA_OK)
            return status;
    }
    return STRATA_OK;
}

int cli_trace_next(struct cli_trace *trace, struct cli_trace_record *record,
                   struct strata_error *error)
{
    if (trace->plain_filled - trace->plain_taken < TRACE_RECORD_LEN) {
        int status = trace->failed.status < 0 ? trace->failed.status : trace_fill(trace);
        if (status < 0 && error != NULL)
            *error = trace->failed;
        if (status != STRATA_OK)
            return status;
    }
    const uint8_t *bytes = trace->plain + trace->plain_taken;
    uint64_t key;
    uint32_t size;
    memcpy(&key, bytes, sizeof key);
    memcpy(&size, bytes + sizeof key, sizeof size);
    record->key = le64toh(key);
    record->size = le32toh(size);
    trace->plain_taken += TRACE_RECORD_LEN;
    return STRATA_OK;
}

double cli_trace_progress(const struct cli_trace *trace)
{
    if (trace->file_len == 0)
        return 1.0;
    double part = (double)trace->file_offset / (double)trace->file_len;
    return part < 1.0 ? part : 1.0;
}
