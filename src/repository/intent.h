/* SPDX-License-Identifier: MIT
 *
 * The table of intents (database.h).
 */
#ifndef STA_INTENT_H
#define STA_INTENT_H

#include "repository/driver.h"

int sta_intent_create_table(const struct strata_driver *driver, struct sta_connection *connection,
                            struct strata_error *error);

/* Commits the transaction of the change, with an intent: both, or neither. */
int sta_intent_commit(const struct strata_driver *driver, struct sta_connection *connection,
                      int64_t id, struct strata_bytes tags, struct strata_error *error);

/* In a transaction of its own. */
int sta_intent_remove(const struct strata_driver *driver, struct sta_connection *connection,
                      const int64_t *ids, size_t count);

/* Calls found(arg, id, tags) for up to `most` of those that are older than `age_ms`, the oldest
 * first; 0: of all, whatever the database's clock said when they were written. */
struct sta_intent_sink {
    int (*found)(void *arg, int64_t id, struct strata_bytes tags);
    void *arg;
};
int sta_intent_list(const struct strata_driver *driver, struct sta_connection *connection,
                    uint64_t age_ms, size_t most, const struct sta_intent_sink *sink);

#endif
