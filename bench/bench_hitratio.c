/* SPDX-License-Identifier: MIT
 *
 * bench_hitratio FILE.rks.zst --entries N [--bytes B] [--json]
 *
 * The hit ratio of the real first tier on a trace: every request is a get that fills on a miss,
 * cold start, every request counts. With --entries alone the bytes are no bound and values are
 * small; with --bytes values have the trace's sizes and all that the tier uses counts.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace.h"
#include "core/clock.h"
#include "l1/l1.h"
#include "strata/status.h"

#define ENTRY_ROOM 256u /* bytes per entry, more than one takes */
#define SMALL      8u

struct job {
    const char *path;
    uint64_t entries;
    uint64_t bytes;
    bool json;
};

struct result {
    uint64_t requests;
    uint64_t hits;
    uint64_t bytes;
    uint64_t bytes_hit;
};

static int usage(void)
{
    fprintf(stderr, "usage: bench_hitratio FILE.rks.zst --entries N [--bytes B] [--json]\n"
                    "N or B 0: no such bound\n");
    return 2;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    if (text == NULL || *text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == 0;
}

static bool parse(int argc, char **argv, struct job *job)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            job->json = true;
        else if (strcmp(argv[i], "--entries") == 0 && parse_number(argv[i + 1], &job->entries))
            i++;
        else if (strcmp(argv[i], "--bytes") == 0 && parse_number(argv[i + 1], &job->bytes))
            i++;
        else if (argv[i][0] != '-' && job->path == NULL)
            job->path = argv[i];
        else
            return false;
    }
    return job->path != NULL && (job->entries > 0 || job->bytes > 0);
}

static void request(struct sta_l1 *l1, const struct cli_trace_record *record, bool sizes,
                    const uint8_t *bytes, struct result *result)
{
    struct sta_key key = sta_l1_key(l1, strata_bytes(&record->key, sizeof record->key));
    struct sta_l1_lease lease = {0};
    result->requests++;
    result->bytes += record->size;
    if (sta_l1_get(l1, &key, 1, &lease) == STRATA_OK) {
        sta_l1_release(l1, &lease);
        result->hits++;
        result->bytes_hit += record->size;
        return;
    }
    struct sta_l1_entry entry = {.value = strata_bytes(bytes, sizes ? record->size : SMALL),
                                 .deadline_ms = STA_NEVER};
    sta_l1_fill(l1, &key, &entry, sta_l1_token(l1, &key), 1);
}

static int run(const struct job *job, struct cli_trace *trace, struct result *result)
{
    struct sta_l1 *l1 = NULL;
    struct sta_l1_config config = {
        .max_bytes = job->bytes != 0 ? job->bytes : job->entries * ENTRY_ROOM + (64u << 20),
        .max_entries = job->entries,
        .hash_seed = 42,
    };
    uint8_t *bytes = calloc(1, UINT32_MAX); /* never touched, so never more than one page */
    int status = bytes == NULL ? STRATA_ERR_NOMEM : sta_l1_create(&l1, &config);
    struct cli_trace_record record;
    struct strata_error error = {0};
    while (status == STRATA_OK && (status = cli_trace_next(trace, &record, &error)) == STRATA_OK)
        request(l1, &record, job->bytes != 0, bytes, result);
    if (status != STRATA_MISS)
        fprintf(stderr, "bench_hitratio: %s\n", error.text);
    sta_l1_destroy(&l1);
    free(bytes);
    return status == STRATA_MISS ? 0 : 1;
}

static void print(const struct job *job, const struct result *result)
{
    double ratio = result->requests == 0 ? 0 : (double)result->hits / (double)result->requests;
    double by_bytes = result->bytes == 0 ? 0 : (double)result->bytes_hit / (double)result->bytes;
    if (job->json)
        printf("{\"requests\": %" PRIu64 ", \"hits\": %" PRIu64 ", \"hit_ratio\": %.6f, "
               "\"byte_hit_ratio\": %.6f}\n",
               result->requests, result->hits, ratio, by_bytes);
    else
        printf("%s: %" PRIu64 " requests, %" PRIu64 " hits, ratio %.4f, by bytes %.4f\n", job->path,
               result->requests, result->hits, ratio, by_bytes);
}

int main(int argc, char **argv)
{
    struct job job = {0};
    struct result result = {0};
    struct cli_trace *trace = NULL;
    struct strata_error error = {0};
    if (!parse(argc, argv, &job))
        return usage();
    if (cli_trace_open(&trace, job.path, &error) != STRATA_OK) {
        fprintf(stderr, "bench_hitratio: %s\n", error.text);
        return 1;
    }
    int status = run(&job, trace, &result);
    cli_trace_close(&trace);
    if (status == 0)
        print(&job, &result);
    return status;
}
