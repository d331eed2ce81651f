/* SPDX-License-Identifier: MIT
 *
 * A request trace of any bytes: the input is the file.
 *
 * Facts: reading ends; an error names a place within the file; what was answered last is answered
 * again; the progress stays within 0 and 1.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/trace.h"
#include "fuzz/arrival.h"

/* A few bytes of zstd can stand for gigabytes; that many records are enough to look at. */
#define RECORDS_MOST (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct strata_error *error, size_t size)
{
    unsigned long long offset = 0, len = 0;
    const char *place = strstr(error->text, ", at byte ");
    CHECK(place != NULL);
    CHECK(sscanf(place, ", at byte %llu of %llu", &offset, &len) == 2);
    CHECK(len == size && offset <= size);
}

static void read_all(struct cli_trace *trace, size_t size)
{
    struct cli_trace_record record;
    struct strata_error error = {0};
    int status = STRATA_OK;
    for (uint32_t n = 0; n < RECORDS_MOST && status == STRATA_OK; n++)
        status = cli_trace_next(trace, &record, &error);
    CHECK(cli_trace_progress(trace) >= 0.0 && cli_trace_progress(trace) <= 1.0);
    if (status == STRATA_OK)
        return;
    CHECK(status == STRATA_MISS || status == STRATA_ERR_PROTOCOL || status == STRATA_ERR_NOMEM);
    CHECK(cli_trace_next(trace, &record, &error) == status);
    if (status < 0)
        check_error(&error, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct cli_trace *trace = NULL;
    int file = memfd_create("trace", MFD_CLOEXEC);
    CHECK(file >= 0);
    CHECK(write(file, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    CHECK(cli_trace_open(&trace, path, NULL) == STRATA_OK);
    read_all(trace, size);
    cli_trace_close(&trace);
    CHECK(close(file) == 0);
    return 0;
}
