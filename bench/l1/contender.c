/* SPDX-License-Identifier: MIT
 *
 * Loading, filling and checking contenders (contender.h).
 */
#include "bench/l1/contender.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/l1/own.h"
#include "bench/l1/stream.h"

#define PATH_MOST    4096
#define NEVER_STORED (UINT64_C(1) << 50) /* ids from here on */
#define NEVER_COUNT  1000u

/* What bench/peers/ builds, and the Debian package that it needs. */
static const struct {
    const char *file;
    const char *package;
} built[] = {
    {"absl", "libabsl-dev"},     {"glib", "libglib2.0-dev"}, {"tbb_lru", "libtbb-dev"},
    {"cuckoo", "libcuckoo-dev"}, {"urcu", "liburcu-dev"},    {"tbb_map", "libtbb-dev"},
};

/* The folder of this program, with a slash. */
static bool program_folder(char *path, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", path, size - 1);
    if (len <= 0)
        return false;
    path[len] = 0;
    *(strrchr(path, '/') + 1) = 0;
    return true;
}

void contenders_init(struct contenders *contenders, bool peers, FILE *notes)
{
    char folder[PATH_MOST / 2];
    char path[PATH_MOST];
    *contenders = (struct contenders){.count = 2};
    contenders->list[CONTENDER_FLOOR].peer = own_floor;
    contenders->list[CONTENDER_STRATA].peer = own_strata;
    if (!peers || !program_folder(folder, sizeof folder))
        return;
    for (size_t i = 0; i < sizeof built / sizeof built[0]; i++) {
        snprintf(path, sizeof path, "%speers/%s.so", folder, built[i].file);
        if (access(path, R_OK) != 0)
            fprintf(notes, "left out: %s, which was not built (Debian package %s, target peers)\n",
                    built[i].file, built[i].package);
        else
            contenders_load(contenders, path);
    }
}

void contenders_fini(struct contenders *contenders)
{
    for (uint32_t i = 0; i < contenders->count; i++) {
        if (contenders->list[i].object != NULL)
            dlclose(contenders->list[i].object);
    }
    contenders->count = 0;
}

/* dlsym() gives functions as data. */
static bool find_function(void *object, const char *name, void *out)
{
    void *symbol = dlsym(object, name);
    memcpy(out, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool find_peer(void *object, struct peer *peer)
{
    const char *(*name)(void);
    uint32_t (*flags)(void);
    if (!find_function(object, "peer_name", &name) ||
        !find_function(object, "peer_flags", &flags) ||
        !find_function(object, "peer_create", &peer->create) ||
        !find_function(object, "peer_get", &peer->get) ||
        !find_function(object, "peer_set", &peer->set) ||
        !find_function(object, "peer_destroy", &peer->destroy))
        return false;
    peer->name = name();
    peer->flags = flags();
    return true;
}

bool contenders_load(struct contenders *contenders, const char *path)
{
    if (contenders->count == CONTENDERS_MOST) {
        fprintf(stderr, "bench_l1: %s: too many peers\n", path);
        return false;
    }
    struct contender *who = &contenders->list[contenders->count];
    char whole[PATH_MOST]; /* or dlopen() looks elsewhere for a name without a slash */
    who->object = dlopen(realpath(path, whole) != NULL ? whole : path, RTLD_NOW | RTLD_LOCAL);
    if (who->object == NULL) {
        fprintf(stderr, "bench_l1: %s\n", dlerror());
        return false;
    }
    if (!find_peer(who->object, &who->peer)) {
        fprintf(stderr, "bench_l1: %s: %s (bench/peer.h)\n", path, dlerror());
        dlclose(who->object);
        return false;
    }
    contenders->count++;
    return true;
}

void contender_set(const struct contender *who, void *cache, uint64_t id)
{
    uint8_t key[PEER_KEY_MOST];
    uint8_t value[PEER_VALUE_MOST];
    uint32_t len = stream_key(id, key);
    stream_value(id, value);
    who->peer.set(cache, key, len, value, sizeof value);
}

void contender_fill(const struct contender *who, void *cache, uint64_t count)
{
    for (uint64_t id = 0; id < count; id++)
        contender_set(who, cache, id);
}

static int get(const struct contender *who, void *cache, uint64_t id, uint8_t *value)
{
    uint8_t key[PEER_KEY_MOST];
    uint32_t len = stream_key(id, key);
    return who->peer.get(cache, key, len, value);
}

bool contender_check(const struct contender *who, void *cache, uint64_t count, uint64_t step,
                     uint64_t *found)
{
    uint8_t value[PEER_VALUE_MOST] = {0};
    uint64_t there = 0;
    for (uint64_t id = 0; id < count; id += step) {
        int len = get(who, cache, id, value);
        if (len >= 0 && !stream_is_value(id, value, len)) {
            fprintf(stderr, "bench_l1: %s: the value of key %lu is not its own\n", who->peer.name,
                    (unsigned long)id);
            return false;
        }
        there += len >= 0;
    }
    for (uint64_t id = NEVER_STORED; id < NEVER_STORED + NEVER_COUNT; id++) {
        if (get(who, cache, id, value) >= 0) {
            fprintf(stderr, "bench_l1: %s: has a value for a key without one\n", who->peer.name);
            return false;
        }
    }
    if (found != NULL)
        *found = there;
    return true;
}
