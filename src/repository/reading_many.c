/* SPDX-License-Identifier: MIT
 *
 * Rows by many keys (reading.h). Groups of STA_READING_MANY go the way of a single read together:
 * one look into the cache, one call that makes the versions which are missing, one statement, one
 * call that keeps what it has answered. Each key has a flight of its own:
 *
 *     it is under way already? ---> it is read after ours have landed, by itself
 *
 * Who leads flights never waits for another's before all of his have landed: so two calls that want
 * the same keys in another order do not wait for each other.
 */
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "repository/reading.h"

#define MANY STA_READING_MANY

/* ---- one statement ---- */

/* A row that is asked for. */
struct wish {
    struct strata_field key;
    uint64_t version;          /* its answer's */
    struct sta_answer *answer; /* one reference; NULL: none yet */
};

struct wishes {
    const struct sta_schema *schema;
    struct wish *wishes;
    size_t count;
};

/* `fields` NULL: there is no such row. */
static int wish_answer(struct wish *wish, const struct sta_schema *schema,
                       const struct strata_field *fields)
{
    struct sta_row_writer writer;
    int status = sta_row_bytes_begin(&writer, schema);
    if (status != STRATA_OK)
        return status;
    if (fields != NULL)
        status = sta_row_bytes_add(&writer, fields);
    if (status == STRATA_OK) {
        sta_row_bytes_end(&writer, wish->version);
        wish->answer = sta_single_flight_answer(&writer.bytes);
        status = wish->answer != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
    }
    sta_row_bytes_fini(&writer);
    return status;
}

/* Keys are integers or texts (schema.c). */
static bool is_key(const struct strata_field *one, const struct strata_field *other)
{
    if (one->type != other->type)
        return false;
    if (one->type == STRATA_TYPE_INTEGER)
        return one->of.integer == other->of.integer;
    return one->of.bytes.len == other->of.bytes.len &&
           (one->of.bytes.len == 0 ||
            memcmp(one->of.bytes.data, other->of.bytes.data, one->of.bytes.len) == 0);
}

/* For all that asked for it: a key may be wanted twice. */
static int wishes_row(void *arg, const struct strata_field *fields)
{
    struct wishes *wishes = arg;
    int status = STRATA_OK;
    for (size_t i = 0; i < wishes->count && status == STRATA_OK; i++) {
        struct wish *wish = &wishes->wishes[i];
        if (wish->answer == NULL && is_key(&wish->key, &fields[wishes->schema->key]))
            status = wish_answer(wish, wishes->schema, fields);
    }
    return status;
}

/* The number of keys in a statement is a power of two, so that there are few statements: the last
 * key stands there as often as it takes. */
static void wishes_text(const struct wishes *wishes, struct sta_sql_text *text)
{
    struct strata_field keys[MANY];
    size_t count = 1;
    while (count < wishes->count)
        count *= 2;
    for (size_t i = 0; i < count; i++)
        keys[i] = wishes->wishes[i < wishes->count ? i : wishes->count - 1].key;
    sta_sql_text_select_keys(text, wishes->schema, keys, count);
}

static int wishes_run(struct strata_repository *repository, struct sta_connection *connection,
                      struct wishes *wishes, struct strata_error *error)
{
    const struct sta_schema *schema = wishes->schema;
    struct sta_sql_text text;
    sta_sql_text_init(&text, &repository->database->driver->dialect);
    wishes_text(wishes, &text);
    struct sta_sql sql = sta_sql_text_end(&text);
    sql.types = schema->types;
    sql.column_count = schema->column_count;
    sql.row = wishes_row;
    sql.arg = wishes;
    sta_inside_count(&repository->statements);
    int status = text.status == STRATA_OK
                     ? repository->database->driver->run(connection, &sql, error)
                     : sta_inside_fail(error, text.status);
    sta_sql_text_fini(&text);
    for (size_t i = 0; i < wishes->count && status == STRATA_OK; i++) {
        if (wishes->wishes[i].answer == NULL)
            status = wish_answer(&wishes->wishes[i], schema, NULL);
        if (status != STRATA_OK)
            (void)sta_inside_fail(error, status);
    }
    return status;
}

/* All of them have answers, or none. `connection` NULL: one of the pool's. */
static int ask(struct strata_repository *repository, struct sta_connection *connection,
               struct wish *list, size_t count, struct strata_error *error)
{
    struct sta_pool *pool = &repository->database->pool;
    struct wishes wishes = {&repository->schema, list, count};
    struct sta_connection *lent = connection;
    int status = STRATA_OK;
    if (count == 0)
        return STRATA_OK;
    if (lent == NULL)
        status = sta_pool_acquire(pool, &lent, error);
    if (status != STRATA_OK)
        return status;
    status = wishes_run(repository, lent, &wishes, error);
    if (connection == NULL)
        sta_pool_release(pool, lent);
    for (size_t i = 0; i < count && status != STRATA_OK; i++) {
        sta_single_flight_unref(list[i].answer);
        list[i].answer = NULL;
    }
    return status;
}

/* ---- a group of keys ---- */

struct group {
    struct strata_repository *repository;
    size_t count;
    const struct strata_field *keys; /* the caller's, as these two */
    struct strata_rows *found;
    int *statuses; /* STRATA_MORE: not answered yet */
    struct strata_error *error;

    struct sta_question questions[MANY];
    uint64_t versions[MANY];
    bool known[MANY]; /* the cache has this version: what is read may be kept */

    /* what the database is asked */
    size_t wish_count;
    struct wish wishes[MANY];
    size_t places[MANY]; /* of which of the keys */
    bool leads[MANY];    /* its flight is ours */
    struct sta_flight flights[MANY];

    /* what goes through the cache at a time */
    struct strata_bytes names[2 * MANY];
    struct strata_value values[2 * MANY];
    int got[2 * MANY];
    struct strata_item items[MANY];
    size_t item_places[MANY];
};

static void group_begin(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        group->statuses[i] = sta_question_by_key(&group->questions[i], &group->repository->schema,
                                                 group->keys[i], group->error);
        if (group->statuses[i] == STRATA_OK)
            group->statuses[i] = STRATA_MORE;
    }
    group->wish_count = 0;
}

static void group_wish(struct group *group, size_t i, uint64_t version, bool leads)
{
    size_t at = group->wish_count++;
    group->wishes[at] = (struct wish){.key = group->keys[i], .version = version};
    group->places[at] = i;
    group->leads[at] = leads;
}

/* What the database has answered goes to the caller, and to who follows our flights. */
static void group_land(struct group *group, int status)
{
    for (size_t at = 0; at < group->wish_count; at++) {
        struct sta_answer *answer = group->wishes[at].answer;
        size_t i = group->places[at];
        if (group->leads[at])
            sta_single_flight_land(&group->repository->flights, &group->flights[at], status, answer,
                                   group->error);
        group->statuses[i] = status == STRATA_OK ? sta_reading_rows(&group->questions[i], answer,
                                                                    &group->found[i], group->error)
                                                 : status;
    }
}

static void group_uncached(struct group *group, struct sta_connection *connection)
{
    for (size_t i = 0; i < group->count; i++) {
        if (group->statuses[i] == STRATA_MORE)
            group_wish(group, i, 0, false);
    }
    group_land(group,
               ask(group->repository, connection, group->wishes, group->wish_count, group->error));
}

/* ---- through the cache ---- */

static void group_look(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct sta_question *question = &group->questions[i];
        sta_question_name(question);
        group->names[2 * i] = strata_bytes(question->tag.name, question->tag.len);
        group->names[2 * i + 1] = strata_bytes(question->key, question->key_len);
    }
    memset(group->values, 0, sizeof group->values);
    (void)strata_get_many(group->repository->database->cache, group->names, 2 * group->count,
                          group->values, group->got);
}

/* Which versions the cache has; those that it lacks are stored, and known once it has acknowledged
 * them. */
static void group_versions(struct group *group)
{
    struct strata_database *database = group->repository->database;
    int stored[MANY];
    size_t count = 0;
    for (size_t i = 0; i < group->count; i++) {
        int status =
            sta_reading_version(&group->values[2 * i], group->got[2 * i], &group->versions[i]);
        group->known[i] = status == STRATA_OK;
        if (status != STRATA_MISS)
            continue;
        group->versions[i] = sta_tag_new_version(&database->versions);
        group->items[count] = (struct strata_item){
            group->names[2 * i], strata_bytes(&group->versions[i], sizeof group->versions[i]),
            STA_TAG_TTL_MS};
        group->item_places[count++] = i;
    }
    if (count > 0)
        (void)strata_set_many(database->cache, group->items, count, stored);
    for (size_t at = 0; at < count; at++)
        group->known[group->item_places[at]] = stored[at] == STRATA_OK;
}

static void group_hits(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct strata_value *values = &group->values[2 * i];
        const int *got = &group->got[2 * i];
        if (group->known[i] && got[0] == STRATA_OK && got[1] == STRATA_OK)
            group->statuses[i] =
                sta_reading_entry(group->repository, &group->questions[i], group->versions[i],
                                  &values[1], &group->found[i], group->error);
        strata_release(&values[0]);
        strata_release(&values[1]);
    }
}

/* What is left; but what somebody asks already. */
static void group_misses(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct sta_flight *flight = &group->flights[group->wish_count];
        if (group->statuses[i] != STRATA_MORE)
            continue;
        *flight =
            (struct sta_flight){.key = group->names[2 * i + 1], .version = group->versions[i]};
        if (!group->known[i] || sta_single_flight_try(&group->repository->flights, flight))
            group_wish(group, i, group->known[i] ? group->versions[i] : 0, group->known[i]);
    }
}

static void group_keep(struct group *group)
{
    size_t count = 0;
    for (size_t at = 0; at < group->wish_count; at++) {
        if (group->leads[at])
            group->items[count++] =
                sta_reading_item(&group->questions[group->places[at]], group->wishes[at].answer);
    }
    if (count > 0)
        (void)strata_set_many(group->repository->database->cache, group->items, count, NULL);
}

static void group_cached(struct group *group)
{
    group_look(group);
    group_versions(group);
    group_hits(group);
    group_misses(group);
    int status = ask(group->repository, NULL, group->wishes, group->wish_count, group->error);
    if (status == STRATA_OK)
        group_keep(group);
    group_land(group, status);
    for (size_t i = 0; i < group->count; i++) {
        if (group->statuses[i] == STRATA_MORE)
            group->statuses[i] = sta_reading_cached(group->repository, &group->questions[i],
                                                    &group->found[i], group->error);
    }
}

/* Whether all of them are keys whose names in the cache fit. */
static bool group_is_plain(const struct group *group)
{
    bool plain = true;
    for (size_t i = 0; i < group->count && plain; i++)
        plain = group->statuses[i] == STRATA_MORE &&
                (group->keys[i].type != STRATA_TYPE_TEXT ||
                 group->keys[i].of.bytes.len < STA_QUESTION_KEY_MAX / 2);
    return plain;
}

/* Some that are not plain are read one by one. */
static void group_through_cache(struct group *group)
{
    if (sta_inside_in_doubt(group->repository)) {
        for (size_t i = 0; i < group->count; i++)
            sta_inside_count(&group->repository->bypassed);
        group_uncached(group, NULL);
    } else if (group_is_plain(group)) {
        group_cached(group);
    }
    for (size_t i = 0; i < group->count; i++) {
        if (group->statuses[i] == STRATA_MORE)
            group->statuses[i] = sta_reading_cached(group->repository, &group->questions[i],
                                                    &group->found[i], group->error);
    }
}

/* ---- all keys ---- */

int sta_reading_many(struct strata_repository *repository, const struct sta_reading_many *many,
                     struct strata_error *error)
{
    struct strata_error why = {0};
    int first = STRATA_OK;
    memset(many->found, 0, many->count * sizeof *many->found);
    struct group *group = malloc(sizeof *group);
    for (size_t i = 0; i < many->count && group == NULL; i++)
        many->statuses[i] = STRATA_ERR_NOMEM;
    for (size_t from = 0; from < many->count && group != NULL; from += MANY) {
        group->repository = repository;
        group->count = many->count - from < MANY ? many->count - from : MANY;
        group->keys = many->keys + from;
        group->found = many->found + from;
        group->statuses = many->statuses + from;
        group->error = &why;
        group_begin(group);
        if (many->cached)
            group_through_cache(group);
        else
            group_uncached(group, many->connection);
    }
    free(group);
    for (size_t i = 0; i < many->count && first == STRATA_OK; i++)
        first = many->statuses[i] < 0 ? many->statuses[i] : STRATA_OK;
    if (first != STRATA_OK && first == why.status && error != NULL)
        *error = why;
    else if (first != STRATA_OK)
        (void)sta_inside_fail(error, first);
    return first;
}
