/* SPDX-License-Identifier: MIT
 *
 * When to ask for the topology, whom, and what to believe; see refresh.h.
 */
#include "l2/refresh.h"

#include <assert.h>

#include "core/clock.h"
#include "core/random.h"

#define OR_DEFAULT(field, value) ((field) != 0 ? (field) : (value))
/* Answers that look wrong, in a row, after which they are taken for right. */
#define DOUBTS_MAX 3u

void sta_refresh_init(struct sta_refresh *refresh, const struct sta_refresh_config *config,
                      uint64_t random, uint64_t now_ns)
{
    assert(config->seed_count > 0);
    *refresh = (struct sta_refresh){
        .config = {.floor_ns = OR_DEFAULT(config->floor_ns, 100 * STA_NS_MS),
                   .period_ns = OR_DEFAULT(config->period_ns, 10 * STA_NS_SEC),
                   .backoff_ns = OR_DEFAULT(config->backoff_ns, STA_NS_SEC),
                   .timeout_ns = OR_DEFAULT(config->timeout_ns, STA_NS_SEC),
                   .seed_count = config->seed_count},
        .state = STA_REFRESH_WANTED,
        .turn = STA_REFRESH_SENDER,
        .random = random,
        .at_ns = now_ns,
    };
    refresh->seed = (unsigned)sta_random_below(&refresh->random, config->seed_count);
}

/* ---- when ---- */

/* Wants a question as soon as the floor allows. Its jitter is drawn once per question. */
static void want_at_floor(struct sta_refresh *refresh, uint64_t now_ns)
{
    uint64_t floor_ns = refresh->config.floor_ns;
    uint64_t at_ns = 0;
    if (refresh->questions > 0)
        at_ns = refresh->asked_ns + floor_ns + sta_random_below(&refresh->random, floor_ns);
    refresh->state = STA_REFRESH_WANTED;
    refresh->at_ns = at_ns > now_ns ? at_ns : now_ns;
}

/* After a failure: drawn from the upper half of a ceiling that doubles from twice the floor. */
static void want_after_backoff(struct sta_refresh *refresh, uint64_t now_ns)
{
    unsigned doublings = refresh->tries < 16 ? refresh->tries : 16;
    uint64_t ceiling_ns = refresh->config.floor_ns << doublings;
    if (ceiling_ns > refresh->config.backoff_ns)
        ceiling_ns = refresh->config.backoff_ns;
    uint64_t wait_ns = ceiling_ns / 2 + sta_random_below(&refresh->random, ceiling_ns / 2 + 1);
    uint64_t least_ns = refresh->asked_ns + refresh->config.floor_ns;
    refresh->state = STA_REFRESH_WANTED;
    refresh->at_ns = now_ns + wait_ns;
    if (refresh->at_ns < least_ns)
        refresh->at_ns = least_ns;
}

static void rest(struct sta_refresh *refresh, uint64_t now_ns)
{
    uint64_t period_ns = refresh->config.period_ns;
    refresh->state = STA_REFRESH_IDLE;
    refresh->at_ns = now_ns + period_ns - sta_random_below(&refresh->random, period_ns / 4 + 1);
}

void sta_refresh_demand(struct sta_refresh *refresh, const struct sta_endpoint *sender,
                        uint64_t now_ns)
{
    if (sender != NULL && !refresh->has_sender) {
        refresh->has_sender = true;
        refresh->sender = *sender;
    }
    if (refresh->state == STA_REFRESH_ASKING)
        refresh->demanded = true;
    else if (refresh->state == STA_REFRESH_IDLE)
        want_at_floor(refresh, now_ns);
}

/* ---- whom ---- */

static enum sta_refresh_whom choose(struct sta_refresh *refresh, unsigned alive)
{
    unsigned turn = refresh->turn;
    if (turn == STA_REFRESH_SENDER && !refresh->has_sender)
        turn = STA_REFRESH_NODE;
    if (turn == STA_REFRESH_NODE && alive == 0)
        turn = STA_REFRESH_SEED;
    refresh->turn = turn == STA_REFRESH_NODE ? STA_REFRESH_SEED : STA_REFRESH_NODE;
    return (enum sta_refresh_whom)turn;
}

static struct sta_refresh_ask put_question(struct sta_refresh *refresh, unsigned alive,
                                           uint64_t now_ns)
{
    struct sta_refresh_ask ask = {.whom = choose(refresh, alive),
                                  .sender = refresh->sender,
                                  .at_ns = now_ns + refresh->config.timeout_ns};
    if (ask.whom == STA_REFRESH_NODE)
        ask.pick = (unsigned)sta_random_below(&refresh->random, alive);
    if (ask.whom == STA_REFRESH_SEED) {
        ask.pick = refresh->seed;
        refresh->seed = (refresh->seed + 1) % refresh->config.seed_count;
    }
    refresh->state = STA_REFRESH_ASKING;
    refresh->at_ns = ask.at_ns;
    refresh->asked_ns = now_ns;
    refresh->has_sender = false;
    refresh->demanded = false;
    refresh->tries++;
    refresh->questions++;
    return ask;
}

struct sta_refresh_ask sta_refresh_step(struct sta_refresh *refresh, unsigned alive,
                                        uint64_t now_ns)
{
    if (refresh->state != STA_REFRESH_ASKING && now_ns >= refresh->at_ns)
        return put_question(refresh, alive, now_ns);
    bool asking = refresh->state == STA_REFRESH_ASKING;
    return (struct sta_refresh_ask){.whom = STA_REFRESH_NOBODY,
                                    .at_ns = asking ? STA_NEVER : refresh->at_ns};
}

/* ---- what is believed ---- */

static enum sta_refresh_verdict judge(const struct sta_refresh *refresh,
                                      const struct sta_slot_map *now_map,
                                      const struct sta_slot_map *answer,
                                      const struct sta_topology_info *info)
{
    uint64_t epoch = info != NULL ? info->current_epoch : 0;
    bool failed = info != NULL && info->state == STA_TOPOLOGY_FAIL;
    bool smaller = now_map != NULL && answer->covered < now_map->covered;
    if (answer->covered == 0)
        return STA_REFRESH_EMPTY;
    if (epoch != 0 && epoch < refresh->epoch)
        return STA_REFRESH_OLDER;
    if (failed && smaller && (epoch == 0 || epoch == refresh->epoch))
        return STA_REFRESH_SMALLER;
    return STA_REFRESH_ADOPT;
}

enum sta_refresh_verdict sta_refresh_answered(struct sta_refresh *refresh,
                                              const struct sta_slot_map *now_map,
                                              const struct sta_slot_map *answer,
                                              const struct sta_topology_info *info, uint64_t now_ns)
{
    assert(refresh->state == STA_REFRESH_ASKING);
    enum sta_refresh_verdict verdict = judge(refresh, now_map, answer, info);
    if (verdict == STA_REFRESH_OLDER || verdict == STA_REFRESH_SMALLER) {
        if (++refresh->doubts >= DOUBTS_MAX)
            verdict = STA_REFRESH_ADOPT;
    }
    if (verdict != STA_REFRESH_ADOPT) {
        refresh->refusals++;
        want_after_backoff(refresh, now_ns);
        return verdict;
    }
    refresh->doubts = 0;
    refresh->tries = 0;
    refresh->turn = STA_REFRESH_SENDER;
    if (info != NULL && info->current_epoch != 0)
        refresh->epoch = info->current_epoch;
    if (refresh->demanded)
        want_at_floor(refresh, now_ns);
    else
        rest(refresh, now_ns);
    return verdict;
}

void sta_refresh_failed(struct sta_refresh *refresh, uint64_t now_ns)
{
    assert(refresh->state == STA_REFRESH_ASKING);
    refresh->failures++;
    want_after_backoff(refresh, now_ns);
}
