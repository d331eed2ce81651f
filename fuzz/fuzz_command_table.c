/* SPDX-License-Identifier: MIT
 *
 * What a server may say of its commands, and what clients may then call: the input is one reply
 * to COMMAND, and requests behind it.
 *
 * Facts: a table's memory is within ten times its reply; a command that was found has the name
 * that was asked for; keys are indexes of arguments, ascending, and none is told where they
 * cannot be located.
 */
#include <string.h>
#include <strings.h>

#include "fuzz/arrival.h"
#include "resp/command_table.h"
#include "resp/resp.h"
#include "strata/status.h"

struct keys {
    size_t last;
    size_t argc;
    size_t count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(void *arg, size_t index)
{
    struct keys *keys = arg;
    CHECK(index > keys->last && index < keys->argc);
    keys->last = index;
    keys->count++;
}

static void check_call(const struct sta_command_table *table, const struct strata_bytes *argv,
                       size_t argc)
{
    const struct sta_known_command *command = sta_command_find(table, argv, argc);
    if (command == NULL)
        return;
    CHECK(strncasecmp(command->name, argv[0].data, argv[0].len) == 0);
    struct keys keys = {.argc = argc};
    int status = sta_command_keys(command, argv, argc, visit, &keys);
    CHECK(status == STRATA_OK || (status == STRATA_SKIPPED && keys.count == 0));
}

/* All requests, and each of them again with fewer arguments. */
static void check_calls(const struct sta_command_table *table, struct strata_bytes rest)
{
    struct strata_bytes argv[32];
    struct sta_resp_request_framer framer = {0};
    const char *reason = NULL;
    size_t len = 0, argc = 0;
    uint8_t *scratch = malloc(rest.len + 1);
    while (sta_resp_frame_request(&framer, &sta_resp_request_limits, true, rest, &len, &reason) ==
           STRATA_OK) {
        struct strata_bytes frame = strata_bytes(rest.data, len);
        rest = strata_bytes((const uint8_t *)rest.data + len, rest.len - len);
        if (sta_resp_request_count(frame, &argc) != STRATA_OK || argc > 32)
            continue;
        CHECK(sta_resp_request_args(frame, argv, argc, scratch) == STRATA_OK);
        for (size_t fewer = 0; fewer <= argc; fewer++)
            check_call(table, argv, fewer);
    }
    free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arrival arrival;
    struct sta_resp_framer framer = {0};
    struct sta_command_table *table = NULL;
    const char *reason = NULL;
    size_t len = 0;
    arrival_init(&arrival, data, size, 0);
    arrival_all(&arrival);
    struct strata_bytes all = arrival_bytes(&arrival);
    if (sta_resp_frame(&framer, &sta_resp_reply_limits, all, &len, &reason) != STRATA_OK)
        len = size;
    heap_meter_start();
    int status = sta_command_table_create(&table, strata_bytes(all.data, len));
    size_t held = heap_meter_stop();
    CHECK((status == STRATA_OK) == (table != NULL));
    CHECK(held <= 256 + 10 * len);
    if (table != NULL)
        check_calls(table, strata_bytes((const uint8_t *)all.data + len, size - len));
    sta_command_table_destroy(&table);
    arrival_fini(&arrival);
    return 0;
}
