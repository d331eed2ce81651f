/* SPDX-License-Identifier: MIT
 *
 * What strata doctor makes of what it was told: findings, each with what to do. Pure: texts and
 * documents come in, nothing is asked here (command_doctor.c asks).
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/status.h"

enum cli_doctor_state { CLI_DOCTOR_OK, CLI_DOCTOR_WARN, CLI_DOCTOR_FAIL };

#define CLI_DOCTOR_MOST 32u

struct cli_doctor_finding {
    const char *check; /* in one word or two; a constant */
    enum cli_doctor_state state;
    const char *advice; /* what to do; NULL: nothing; a constant */
    char text[320];
};

struct cli_doctor_report {
    struct cli_doctor_finding findings[CLI_DOCTOR_MOST];
    size_t count;
};

/* One more; those beyond the most are dropped. */
void cli_doctor_add(struct cli_doctor_report *report, const char *check,
                    enum cli_doctor_state state, const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

enum cli_doctor_state cli_doctor_worst(const struct cli_doctor_report *report);

/* Redis could not be reached, for this reason. */
void cli_doctor_unreachable(struct cli_doctor_report *report, const struct strata_error *error);

/* What INFO says: version, role, loading, memory, eviction, clients. `wants_cluster`: the
 * configuration says that it is a cluster. */
void cli_doctor_info(struct cli_doctor_report *report, const char *info, int wants_cluster);

/* What CLUSTER INFO says. */
void cli_doctor_cluster(struct cli_doctor_report *report, const char *info);

/* How CLIENT TRACKING was answered: `error` NULL where it was allowed. */
void cli_doctor_tracking(struct cli_doctor_report *report, const char *error);

/* How full the table of tracked keys is; `most` 0: without a bound. */
void cli_doctor_table(struct cli_doctor_report *report, const char *info, uint64_t most);

/* Times of PINGs, sorted. */
void cli_doctor_latency(struct cli_doctor_report *report, const uint64_t *times_ns, size_t count,
                        uint64_t budget_ms);

/* What stratad answers to STRATA STATS. */
void cli_doctor_stats(struct cli_doctor_report *report, const json_t *stats);

#endif
