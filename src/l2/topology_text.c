/* SPDX-License-Identifier: MIT
 *
 * CLUSTER NODES and CLUSTER INFO, which are text in one string; see topology.h. A line of NODES:
 *
 *     id ip:port@cport[,host name] flags primary ping pong epoch link [slots...]
 *
 * where slots are "5", "0-5460", "[77->-id]" (on its way to id) or "[5-<-id]" (coming from id).
 */
#include "core/number.h"
#include "l2/topology.h"
#include "l2/topology_build.h"
#include "strata/status.h"

/* Takes what stands before the next `separator` off `text`, and it. */
static struct strata_bytes take_until(struct strata_bytes *text, char separator)
{
    const char *bytes = text->data;
    const char *end = text->len == 0 ? NULL : memchr(bytes, separator, text->len);
    struct strata_bytes taken = end == NULL ? *text : strata_bytes(bytes, (size_t)(end - bytes));
    *text = end == NULL ? strata_bytes(NULL, 0) : strata_bytes(end + 1, text->len - taken.len - 1);
    return taken;
}

/* A line, without its end. */
static struct strata_bytes take_line(struct strata_bytes *text)
{
    struct strata_bytes line = take_until(text, '\n');
    if (line.len > 0 && ((const char *)line.data)[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* The text of a reply that is one string. */
static int open_text(struct strata_bytes reply, struct strata_bytes *text, const char **reason)
{
    struct sta_resp_walk walk = sta_resp_walk(reply);
    struct sta_resp_value value;
    int status = sta_topology_build_open(&walk, &value, reason);
    if (status < 0)
        return status;
    if (value.type != STA_RESP_BULK && value.type != STA_RESP_VERBATIM) {
        *reason = "the reply is no text";
        return STRATA_ERR_PROTOCOL;
    }
    *text = value.bytes;
    return STRATA_OK;
}

/* ---- NODES ---- */

struct nodes_line {
    struct sta_topology_told told;
    struct strata_bytes primary; /* an id, or "-" */
    struct strata_bytes slots;
};

/* "ip:port@cport,host name": the IP before the name, for only one of them can be taken, and this
 * is for looking at. */
static bool nodes_address(struct sta_topology_told *told, struct strata_bytes word)
{
    struct strata_bytes address = take_until(&word, ',');
    struct strata_bytes name = take_until(&word, ',');
    address = take_until(&address, '@');
    const char *colon = address.len == 0 ? NULL : memrchr(address.data, ':', address.len);
    if (colon == NULL)
        return false;
    told->host = strata_bytes(address.data, (size_t)(colon - (const char *)address.data));
    struct strata_bytes port = strata_bytes(colon + 1, address.len - told->host.len - 1);
    if (told->host.len == 0 && name.len > 0 && memchr(name.data, '=', name.len) == NULL)
        told->host = name;
    return sta_number_parse(port, UINT16_MAX, &told->port) == STRATA_OK;
}

static uint32_t nodes_flags(struct strata_bytes word)
{
    static const struct {
        const char *name;
        uint32_t flag;
    } known[] = {
        {"myself", STA_SLOT_MAP_MYSELF},   {"slave", STA_SLOT_MAP_REPLICA},
        {"replica", STA_SLOT_MAP_REPLICA}, {"fail?", STA_SLOT_MAP_PFAIL},
        {"fail", STA_SLOT_MAP_FAIL},       {"handshake", STA_SLOT_MAP_HANDSHAKE},
        {"noaddr", STA_SLOT_MAP_NOADDR},
    };
    uint32_t flags = 0;
    while (word.len > 0) {
        struct strata_bytes flag = take_until(&word, ',');
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            flags |= sta_topology_build_is(flag, known[i].name) ? known[i].flag : 0;
    }
    return flags;
}

static int nodes_line(struct sta_topology_build *build, struct strata_bytes line,
                      struct nodes_line *out)
{
    *out = (struct nodes_line){.told.id = take_until(&line, ' ')};
    if (out->told.id.len == 0 || !nodes_address(&out->told, take_until(&line, ' ')))
        return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a node has no address");
    out->told.flags = nodes_flags(take_until(&line, ' '));
    out->primary = take_until(&line, ' ');
    (void)take_until(&line, ' '); /* ping sent */
    (void)take_until(&line, ' '); /* pong received */
    if (sta_number_parse(take_until(&line, ' '), UINT64_MAX, &out->told.config_epoch) != STRATA_OK)
        return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a node has no epoch");
    (void)take_until(&line, ' '); /* link state */
    out->slots = line;
    return STRATA_OK;
}

/* "[77->-id]" and "[5-<-id]". */
static void nodes_way(struct sta_slot_node *node, struct strata_bytes word)
{
    const char *dash = memchr(word.data, '-', word.len);
    size_t left = dash == NULL ? 0 : word.len - (size_t)(dash - (const char *)word.data);
    if (left < 3 || dash[2] != '-')
        return;
    if (dash[1] == '>' && node->migrating < STA_SLOT_COUNT)
        node->migrating++;
    if (dash[1] == '<' && node->importing < STA_SLOT_COUNT)
        node->importing++;
}

static int nodes_slots(struct sta_topology_build *build, struct strata_bytes slots, uint16_t index)
{
    int status = STRATA_OK;
    while (status == STRATA_OK && slots.len > 0) {
        uint64_t first = 0, last = 0;
        struct strata_bytes word = take_until(&slots, ' ');
        if (word.len == 0)
            continue;
        if (*(const char *)word.data == '[') {
            nodes_way(&build->map->nodes[index], word);
            continue;
        }
        struct strata_bytes begin = take_until(&word, '-');
        struct strata_bytes end = word.len > 0 ? word : begin;
        if (sta_number_parse(begin, UINT16_MAX, &first) != STRATA_OK ||
            sta_number_parse(end, UINT16_MAX, &last) != STRATA_OK)
            return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a range is none");
        status = sta_topology_build_range(build, (int64_t)first, (int64_t)last, index);
    }
    return status;
}

static int nodes_add(struct sta_topology_build *build, struct strata_bytes text)
{
    int status = STRATA_OK;
    while (status == STRATA_OK && text.len > 0) {
        struct nodes_line line;
        uint16_t index = 0;
        struct strata_bytes bytes = take_line(&text);
        if (bytes.len == 0)
            continue;
        status = nodes_line(build, bytes, &line);
        if (status == STRATA_OK)
            status = sta_topology_build_node(build, &line.told, &index);
        if (status == STRATA_OK)
            status = nodes_slots(build, line.slots, index);
    }
    return status;
}

/* Again over the lines: a primary may stand behind its replicas. */
static void nodes_follow(struct sta_topology_build *build, struct strata_bytes text)
{
    while (text.len > 0) {
        struct nodes_line line;
        struct strata_bytes bytes = take_line(&text);
        if (bytes.len == 0 || nodes_line(build, bytes, &line) < 0)
            continue;
        sta_topology_build_follow(build, sta_topology_build_find(build, line.told.id),
                                  sta_topology_build_find(build, line.primary));
    }
}

int sta_topology_parse_nodes(struct sta_slot_map **out, struct strata_bytes reply,
                             const struct sta_topology_query *query, const char **reason)
{
    struct sta_topology_build build;
    struct strata_bytes text = {NULL, 0};
    int status = sta_topology_build_begin(&build, query);
    if (status == STRATA_OK)
        status = open_text(reply, &text, &build.reason);
    if (status == STRATA_OK)
        status = nodes_add(&build, text);
    if (status == STRATA_OK)
        nodes_follow(&build, text);
    return sta_topology_build_end(&build, status, out, reason);
}

/* ---- INFO ---- */

static const struct {
    const char *name;
    size_t offset;
    uint64_t most;
} info_numbers[] = {
    {"cluster_slots_assigned", offsetof(struct sta_topology_info, slots_assigned), STA_SLOT_COUNT},
    {"cluster_slots_ok", offsetof(struct sta_topology_info, slots_ok), STA_SLOT_COUNT},
    {"cluster_slots_pfail", offsetof(struct sta_topology_info, slots_pfail), STA_SLOT_COUNT},
    {"cluster_slots_fail", offsetof(struct sta_topology_info, slots_fail), STA_SLOT_COUNT},
    {"cluster_known_nodes", offsetof(struct sta_topology_info, known_nodes), UINT32_MAX},
    {"cluster_size", offsetof(struct sta_topology_info, size), UINT32_MAX},
    {"cluster_current_epoch", offsetof(struct sta_topology_info, current_epoch), UINT64_MAX},
    {"cluster_my_epoch", offsetof(struct sta_topology_info, my_epoch), UINT64_MAX},
};

static bool info_number(struct sta_topology_info *info, struct strata_bytes name,
                        struct strata_bytes value)
{
    for (size_t i = 0; i < sizeof info_numbers / sizeof info_numbers[0]; i++) {
        uint64_t number = 0;
        if (!sta_topology_build_is(name, info_numbers[i].name))
            continue;
        if (sta_number_parse(value, info_numbers[i].most, &number) != STRATA_OK)
            return false;
        char *field = (char *)info + info_numbers[i].offset;
        if (info_numbers[i].most == UINT64_MAX)
            memcpy(field, &number, sizeof number);
        else
            memcpy(field, &(unsigned){(unsigned)number}, sizeof(unsigned));
    }
    return true;
}

static int info_line(struct sta_topology_info *info, struct strata_bytes line, const char **reason)
{
    struct strata_bytes name = take_until(&line, ':');
    if (sta_topology_build_is(name, "cluster_state")) {
        info->state = sta_topology_build_is(line, "ok")     ? STA_TOPOLOGY_OK
                      : sta_topology_build_is(line, "fail") ? STA_TOPOLOGY_FAIL
                                                            : STA_TOPOLOGY_UNKNOWN;
        return STRATA_OK;
    }
    if (info_number(info, name, line))
        return STRATA_OK;
    *reason = "a number is none";
    return STRATA_ERR_PROTOCOL;
}

int sta_topology_parse_info(struct sta_topology_info *out, struct strata_bytes reply,
                            const char **reason)
{
    struct sta_topology_info info = {.state = STA_TOPOLOGY_UNKNOWN};
    struct strata_bytes text = {NULL, 0};
    const char *why = NULL;
    int status = open_text(reply, &text, &why);
    while (status == STRATA_OK && text.len > 0)
        status = info_line(&info, take_line(&text), &why);
    if (status == STRATA_OK)
        *out = info;
    else if (reason != NULL)
        *reason = why;
    return status;
}
