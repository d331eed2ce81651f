/* SPDX-License-Identifier: MIT
 *
 * Transactions: one connection, and the tags of what was changed on it.
 */
#include <stdlib.h>

#include "core/error.h"
#include "repository/inside.h"
#include "repository/intent.h"

int sta_inside_fail(struct strata_error *error, int status)
{
    return sta_error_set(error, status, "%s", strata_status_text(status));
}

int strata_transaction_begin(struct strata_transaction **out, struct strata_database *database,
                             struct strata_error *error)
{
    struct strata_transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL)
        return sta_inside_fail(error, STRATA_ERR_NOMEM);
    transaction->database = database;
    sta_buffer_init(&transaction->tags.bytes, STA_TAG_SET_LIMIT);
    int status = sta_pool_acquire(&database->pool, &transaction->connection, error);
    if (status != STRATA_OK) {
        free(transaction);
        return status;
    }
    status = database->driver->begin(transaction->connection, error);
    if (status != STRATA_OK) {
        strata_transaction_rollback(&transaction);
        return status;
    }
    *out = transaction;
    return STRATA_OK;
}

/* The intent goes with the change, or neither does. */
static int transaction_commit(struct strata_transaction *transaction, int64_t intent,
                              struct strata_bytes tags, struct strata_error *error)
{
    const struct strata_driver *driver = transaction->database->driver;
    struct sta_connection *connection = transaction->connection;
    int status;
    if (transaction->failed)
        status = sta_error_set(error, STRATA_ERR_INVALID,
                               "a change of this transaction failed; it was rolled back");
    else if (tags.len > 0)
        status = sta_intent_commit(driver, connection, intent, tags, error);
    else
        status = driver->commit(connection, NULL, error);
    if (status != STRATA_OK)
        driver->rollback(connection);
    return status;
}

static void transaction_end(struct strata_transaction *transaction)
{
    sta_buffer_fini(&transaction->tags.bytes);
    free(transaction);
}

int strata_transaction_commit(struct strata_transaction **transaction, struct strata_error *error)
{
    struct strata_transaction *ending = *transaction;
    struct strata_database *database = ending->database;
    struct strata_bytes tags = sta_buffer_bytes(&ending->tags.bytes);
    int64_t intent = (int64_t)(sta_tag_new_version(&database->versions) >> 1);
    *transaction = NULL;
    int status = transaction_commit(ending, intent, tags, error);
    sta_pool_release(&database->pool, ending->connection);
    if (status == STRATA_OK && tags.len > 0)
        (void)sta_database_tell(database, intent, tags);
    else if (status == STRATA_ERR_LOST && tags.len > 0)
        sta_database_doubt(database, tags, false);
    transaction_end(ending);
    return status;
}

void strata_transaction_rollback(struct strata_transaction **transaction)
{
    struct strata_transaction *ending = *transaction;
    *transaction = NULL;
    if (ending == NULL)
        return;
    ending->database->driver->rollback(ending->connection);
    sta_pool_release(&ending->database->pool, ending->connection);
    transaction_end(ending);
}
