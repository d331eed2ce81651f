/* SPDX-License-Identifier: MIT
 *
 * Replaying against one server; see replay_side.h.
 *
 * Invariants: lane->sent - lane->answered commands are under way in a lane, at most
 * config.pipeline, because the SET after a nil takes the place of its GET. The ring has room for
 * that many; the value of a command is at index (number % pipeline).
 */
#include "cli/replay_side.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/resp_client.h"
#include "core/clock.h"
#include "core/error.h"

struct side_command {
    struct cli_trace_record record;
    bool is_set;
    uint64_t sent_ns;
};

struct side_lane {
    struct cli_resp_client *client;
    uint64_t sent;
    uint64_t answered;
    struct side_command *ring; /* config.pipeline of them */
};

struct cli_replay_side {
    struct cli_replay_side_config config;
    struct side_lane *lanes;
    struct pollfd *polls; /* one for each lane */
    uint8_t *value;       /* config.value_bytes: to make and to compare */
    char ttl[24];
    struct cli_replay_counts counts;
};

static int side_open_lanes(struct cli_replay_side *side, struct strata_error *error)
{
    for (size_t i = 0; i < side->config.lanes; i++) {
        struct side_lane *lane = &side->lanes[i];
        lane->ring = calloc(side->config.pipeline, sizeof *lane->ring);
        if (lane->ring == NULL)
            return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
        int status = cli_resp_client_open(&lane->client, side->config.target,
                                          side->config.timeout_ms, error);
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}

int cli_replay_side_open(struct cli_replay_side **out, const struct cli_replay_side_config *config,
                         struct strata_error *error)
{
    int status = sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    struct cli_replay_side *side = calloc(1, sizeof *side);
    if (side == NULL)
        return status;
    side->config = *config;
    (void)snprintf(side->ttl, sizeof side->ttl, "%llu", (unsigned long long)config->ttl_ms);
    side->lanes = calloc(config->lanes, sizeof *side->lanes);
    side->polls = calloc(config->lanes, sizeof *side->polls);
    side->value = malloc(config->value_bytes);
    if (side->lanes != NULL && side->polls != NULL && side->value != NULL)
        status = side_open_lanes(side, error);
    if (status < 0) {
        cli_replay_side_close(&side);
        return status;
    }
    *out = side;
    return STRATA_OK;
}

void cli_replay_side_close(struct cli_replay_side **side)
{
    if (*side == NULL)
        return;
    for (size_t i = 0; (*side)->lanes != NULL && i < (*side)->config.lanes; i++) {
        cli_resp_client_close(&(*side)->lanes[i].client);
        free((*side)->lanes[i].ring);
    }
    free((*side)->lanes);
    free((*side)->polls);
    free((*side)->value);
    free(*side);
    *side = NULL;
}

const struct cli_replay_counts *cli_replay_side_counts(const struct cli_replay_side *side)
{
    return &side->counts;
}

/* Sends one command in a lane and remembers it. */
static int lane_send(struct cli_replay_side *side, struct side_lane *lane,
                     const struct cli_trace_record *record, bool is_set, struct strata_error *error)
{
    char name[CLI_REPLAY_KEY_MOST + 1];
    struct strata_bytes key = cli_replay_value_key(side->config.prefix, record->key, name);
    size_t len = cli_replay_value_len(record, side->config.value_bytes);
    const struct strata_bytes get[] = {strata_bytes("GET", 3), key};
    const struct strata_bytes set[] = {strata_bytes("SET", 3), key, strata_bytes(side->value, len),
                                       strata_bytes("PX", 2), strata_text(side->ttl)};
    if (is_set)
        cli_replay_value_write(record->key, side->value, len);
    lane->ring[lane->sent % side->config.pipeline] =
        (struct side_command){.record = *record, .is_set = is_set, .sent_ns = sta_clock_now_ns()};
    int status = cli_resp_client_send(lane->client, is_set ? set : get, is_set ? 5 : 2, error);
    if (status == STRATA_OK)
        lane->sent++;
    return status;
}

static void count_error(struct cli_replay_counts *counts, const struct strata_error *refusal)
{
    if (counts->errors++ == 0)
        (void)snprintf(counts->first_error, sizeof counts->first_error, "%.150s", refusal->text);
}

static void count_value(struct cli_replay_side *side, const struct cli_trace_record *record,
                        struct strata_bytes value)
{
    struct cli_replay_counts *counts = &side->counts;
    size_t len = cli_replay_value_len(record, side->config.value_bytes);
    if (cli_replay_value_check(record->key, len, value, side->value)) {
        counts->hits++;
        return;
    }
    int shown = value.len < 48 ? (int)value.len : 48;
    if (counts->wrong++ == 0)
        (void)snprintf(counts->first_wrong, sizeof counts->first_wrong,
                       "key %016llx was answered with %zu bytes: \"%.*s\"",
                       (unsigned long long)record->key, value.len, shown, (const char *)value.data);
}

/* One reply of a lane, to the oldest command under way there. */
static int lane_take(struct cli_replay_side *side, struct side_lane *lane,
                     const struct sta_resp_value *reply, uint64_t now_ns,
                     struct strata_error *error)
{
    if (lane->answered == lane->sent)
        return sta_error_set(error, STRATA_ERR_PROTOCOL, "a reply came that nobody asked for");
    struct cli_replay_counts *counts = &side->counts;
    struct side_command command = lane->ring[lane->answered++ % side->config.pipeline];
    struct strata_error refusal;
    int status = cli_resp_client_check(reply, &refusal);
    sta_histogram_record(command.is_set ? &counts->set_ns : &counts->get_ns,
                         now_ns - command.sent_ns);
    counts->requests += !command.is_set;
    if (status == STRATA_ERR_DENIED) {
        *error = refusal;
        return status;
    }
    if (status < 0) {
        count_error(counts, &refusal);
    } else if (!command.is_set && reply->type == STA_RESP_NULL) {
        counts->loads++;
        return lane_send(side, lane, &command.record, true, error);
    } else if (!command.is_set) {
        count_value(side, &command.record, reply->bytes);
    }
    return STRATA_OK;
}

/* All replies of a lane that have come. */
static int lane_take_all(struct cli_replay_side *side, struct side_lane *lane,
                         struct strata_error *error)
{
    struct sta_resp_value reply;
    uint64_t now_ns = sta_clock_now_ns();
    int status;
    while ((status = cli_resp_client_next(lane->client, &reply, error)) == STRATA_OK) {
        status = lane_take(side, lane, &reply, now_ns, error);
        if (status < 0)
            return status;
    }
    return status == STRATA_MORE ? STRATA_OK : status;
}

/* Fills every lane from the records at *next on, a lane at a time: neighbours in the trace share
 * a pipeline, as the requests of one client do. */
static int side_fill(struct cli_replay_side *side, const struct cli_trace_record *records,
                     size_t count, size_t *next, struct strata_error *error)
{
    for (size_t i = 0; i < side->config.lanes; i++) {
        struct side_lane *lane = &side->lanes[i];
        while (*next < count && lane->sent - lane->answered < side->config.pipeline) {
            int status = lane_send(side, lane, &records[*next], false, error);
            if (status < 0)
                return status;
            ++*next;
        }
        if (cli_resp_client_wants_write(lane->client)) {
            int status = cli_resp_client_flush(lane->client, error);
            if (status < 0)
                return status;
        }
    }
    return STRATA_OK;
}

/* Waits for something to come and takes it. */
static int side_wait(struct cli_replay_side *side, struct strata_error *error)
{
    int timeout = side->config.timeout_ms < INT_MAX ? (int)side->config.timeout_ms : INT_MAX;
    for (size_t i = 0; i < side->config.lanes; i++) {
        short events = POLLIN;
        if (cli_resp_client_wants_write(side->lanes[i].client))
            events |= POLLOUT;
        side->polls[i] =
            (struct pollfd){.fd = cli_resp_client_fd(side->lanes[i].client), .events = events};
    }
    int ready = poll(side->polls, side->config.lanes, timeout);
    if (ready == 0) {
        char name[300];
        sta_redis_url_format(&side->config.target->url, name, sizeof name);
        return sta_error_set(error, STRATA_ERR_TIMEOUT, "%s: no answer within %.3g s", name,
                             (double)side->config.timeout_ms / 1000.0);
    }
    for (size_t i = 0; ready > 0 && i < side->config.lanes; i++) {
        if (side->polls[i].revents == 0)
            continue;
        int status = cli_resp_client_pump(side->lanes[i].client, error);
        if (status == STRATA_OK)
            status = lane_take_all(side, &side->lanes[i], error);
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}

static bool side_is_idle(const struct cli_replay_side *side)
{
    for (size_t i = 0; i < side->config.lanes; i++) {
        if (side->lanes[i].answered < side->lanes[i].sent)
            return false;
    }
    return true;
}

int cli_replay_side_run(struct cli_replay_side *side, const struct cli_trace_record *records,
                        size_t count, struct strata_error *error)
{
    size_t next = 0;
    while (next < count || !side_is_idle(side)) {
        int status = side_fill(side, records, count, &next, error);
        if (status == STRATA_OK)
            status = side_wait(side, error);
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}
