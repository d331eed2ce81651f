/* SPDX-License-Identifier: MIT
 *
 * See own_shards.h.
 */
#include "daemon/own_shards.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resp/resp.h"
#include "strata/status.h"

struct name {
    size_t at; /* of its length, */
    struct strata_bytes bytes;
};

/* The one at `at`. */
static struct name name_at(struct strata_bytes names, size_t at)
{
    uint32_t len;
    memcpy(&len, (const uint8_t *)names.data + at, sizeof len);
    return (struct name){at, strata_bytes((const uint8_t *)names.data + at + sizeof len, len)};
}

static size_t name_end(const struct name *name)
{
    return name->at + sizeof(uint32_t) + name->bytes.len;
}

static bool find(const struct sta_own_shards *shards, struct strata_bytes wanted, struct name *name)
{
    struct strata_bytes names = sta_buffer_bytes(&shards->names);
    for (size_t at = 0; at < names.len; at = name_end(name)) {
        *name = name_at(names, at);
        if (name->bytes.len == wanted.len &&
            (wanted.len == 0 || memcmp(name->bytes.data, wanted.data, wanted.len) == 0))
            return true;
    }
    return false;
}

void sta_own_shards_init(struct sta_own_shards *shards)
{
    sta_buffer_init(&shards->names, UINT32_MAX);
    shards->count = 0;
}

void sta_own_shards_fini(struct sta_own_shards *shards)
{
    sta_buffer_fini(&shards->names);
}

bool sta_own_shards_has(const struct sta_own_shards *shards, struct strata_bytes name)
{
    struct name found;
    return find(shards, name, &found);
}

int sta_own_shards_add(struct sta_own_shards *shards, struct strata_bytes name)
{
    const uint32_t len = (uint32_t)name.len;
    if (sta_own_shards_has(shards, name))
        return STRATA_OK;
    int status = sta_buffer_reserve(&shards->names, sizeof len + name.len);
    if (status < 0)
        return STRATA_ERR_NOMEM;
    (void)sta_buffer_append(&shards->names, strata_bytes(&len, sizeof len));
    (void)sta_buffer_append(&shards->names, name);
    shards->count++;
    return STRATA_OK;
}

/* The bytes behind it move up; those that are left over at the end go. */
void sta_own_shards_remove(struct sta_own_shards *shards, struct strata_bytes name)
{
    struct name found;
    if (!find(shards, name, &found))
        return;
    struct strata_bytes names = sta_buffer_bytes(&shards->names);
    size_t end = name_end(&found);
    uint8_t *bytes = shards->names.data + shards->names.head;
    memmove(bytes + found.at, bytes + end, names.len - end);
    sta_buffer_truncate(&shards->names, names.len - (end - found.at));
    shards->count--;
}

int sta_own_shards_write(const struct sta_own_shards *shards, struct sta_buffer *wire)
{
    struct strata_bytes names = sta_buffer_bytes(&shards->names);
    struct strata_bytes *argv = calloc(shards->count + 1, sizeof *argv);
    size_t argc = 1;
    if (argv == NULL)
        return STRATA_ERR_NOMEM;
    argv[0] = strata_bytes("SSUBSCRIBE", 10);
    for (size_t at = 0; at < names.len;) {
        struct name name = name_at(names, at);
        argv[argc++] = name.bytes;
        at = name_end(&name);
    }
    int status = sta_resp_write_command(wire, argv, argc);
    free(argv);
    return status;
}
