/* SPDX-License-Identifier: MIT
 *
 * Redirects and other errors; see redirect.h.
 */
#include "l2/redirect.h"

#include "core/clock.h"
#include "core/number.h"
#include "core/random.h"
#include "l2/slot.h"
#include "resp/resp.h"
#include "strata/status.h"

/* ---- parsing ---- */

static const struct {
    const char *word;
    enum sta_redirect_kind kind;
} first_words[] = {
    {"MOVED", STA_REDIRECT_MOVED},       {"ASK", STA_REDIRECT_ASKED},
    {"TRYAGAIN", STA_REDIRECT_TRYAGAIN}, {"CLUSTERDOWN", STA_REDIRECT_CLUSTERDOWN},
    {"LOADING", STA_REDIRECT_LOADING},   {"MASTERDOWN", STA_REDIRECT_MASTERDOWN},
    {"READONLY", STA_REDIRECT_READONLY}, {"CROSSSLOT", STA_REDIRECT_CROSSSLOT},
    {"NOAUTH", STA_REDIRECT_DENIED},     {"NOPERM", STA_REDIRECT_DENIED},
    {"WRONGPASS", STA_REDIRECT_DENIED},
};

/* Takes the first word off `text`, with the one space that follows it. */
static struct strata_bytes take_word(struct strata_bytes *text)
{
    const char *bytes = text->data;
    const char *space = text->len == 0 ? NULL : memchr(bytes, ' ', text->len);
    size_t len = space == NULL ? text->len : (size_t)(space - bytes);
    size_t past = len + (space != NULL);
    struct strata_bytes word = strata_bytes(bytes, len);
    if (text->len > 0)
        *text = strata_bytes(bytes + past, text->len - past);
    return word;
}

static enum sta_redirect_kind kind_of(struct strata_bytes word)
{
    for (size_t i = 0; i < sizeof first_words / sizeof first_words[0]; i++) {
        struct strata_bytes known = strata_text(first_words[i].word);
        if (known.len == word.len && memcmp(known.data, word.data, word.len) == 0)
            return first_words[i].kind;
    }
    return STA_REDIRECT_OTHER;
}

/* "host:port", ":port" (the host that answered) or "?:port" (a node without an address). */
static bool parse_target(struct strata_bytes word, const struct sta_endpoint *answered_by,
                         struct sta_endpoint *out)
{
    const char *bytes = word.data;
    const char *colon = word.len == 0 ? NULL : memrchr(bytes, ':', word.len);
    if (colon == NULL)
        return false;
    uint64_t port = 0;
    struct strata_bytes host = strata_bytes(bytes, (size_t)(colon - bytes));
    struct strata_bytes digits = strata_bytes(colon + 1, word.len - host.len - 1);
    if (sta_number_parse(digits, UINT16_MAX, &port) != STRATA_OK || port == 0)
        return false;
    *out = (struct sta_endpoint){.kind = STA_ENDPOINT_TCP, .port = (uint16_t)port};
    if (host.len == 1 && bytes[0] == '?')
        return true;
    if (host.len == 0 && answered_by->kind == STA_ENDPOINT_UNIX)
        return true;
    if (host.len == 0)
        host = strata_text(answered_by->address);
    return sta_endpoint_from_host(host, port, out, NULL) == STRATA_OK;
}

void sta_redirect_parse(struct sta_redirect *out, struct strata_bytes text,
                        const struct sta_endpoint *answered_by)
{
    uint64_t slot = 0;
    *out = (struct sta_redirect){.kind = kind_of(take_word(&text))};
    if (out->kind != STA_REDIRECT_MOVED && out->kind != STA_REDIRECT_ASKED)
        return;
    if (sta_number_parse(take_word(&text), STA_SLOT_COUNT - 1, &slot) != STRATA_OK ||
        !parse_target(take_word(&text), answered_by, &out->endpoint))
        *out = (struct sta_redirect){.kind = STA_REDIRECT_MALFORMED};
    out->slot = (uint16_t)slot;
}

void sta_redirect_read(struct sta_redirect *out, struct strata_bytes replies,
                       const struct sta_endpoint *answered_by)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value value;
    bool understood = sta_resp_next(&walk, &value) == STRATA_OK;
    sta_redirect_parse(out, understood ? value.bytes : strata_bytes(NULL, 0), answered_by);
}

/* ---- deciding ---- */

#define WAIT_MIN_NS (10 * STA_NS_MS)
#define WAIT_MAX_NS (500 * STA_NS_MS)
/* Answers of TRYAGAIN that a call with several keys waits out. */
#define TRYAGAIN_BEFORE_SPLIT 2u

static struct sta_redirect_decision give_up(int status)
{
    return (struct sta_redirect_decision){.action = STA_REDIRECT_GIVE_UP, .status = status};
}

/* The upper half, not all of it: a retry at once would find the same. */
static uint64_t wait_ns(unsigned attempts, uint64_t *random)
{
    unsigned doublings = attempts - 1 < 6 ? attempts - 1 : 6;
    uint64_t ceiling_ns = WAIT_MIN_NS << doublings;
    if (ceiling_ns > WAIT_MAX_NS)
        ceiling_ns = WAIT_MAX_NS;
    return ceiling_ns / 2 + sta_random_below(random, ceiling_ns / 2 + 1);
}

/* Gives `decision` its time, or gives up where that is too late. */
static struct sta_redirect_decision schedule(struct sta_redirect_decision decision, bool wait,
                                             const struct sta_redirect_call *call, uint64_t now_ns,
                                             uint64_t *random)
{
    decision.at_ns = wait ? sta_clock_after(now_ns, wait_ns(call->attempts, random)) : now_ns;
    if (decision.at_ns < call->deadline_ns && call->attempts < STA_REDIRECT_ATTEMPTS_MAX)
        return decision;
    decision.action = STA_REDIRECT_GIVE_UP;
    decision.status = STRATA_ERR_UNAVAILABLE;
    decision.at_ns = 0;
    return decision;
}

static struct sta_redirect_decision follow(const struct sta_redirect *redirect, bool *wait,
                                           const struct sta_redirect_call *call)
{
    bool moved = redirect->kind == STA_REDIRECT_MOVED;
    struct sta_redirect_decision decision = {
        .action = moved ? STA_REDIRECT_GO : STA_REDIRECT_ASK, .refresh = moved, .patch = moved};
    *wait = call->attempts > STA_REDIRECT_AT_ONCE_MAX;
    if (redirect->endpoint.address[0] == '\0') {
        *wait = true;
        decision = (struct sta_redirect_decision){.action = STA_REDIRECT_RETRY, .refresh = true};
    }
    return decision;
}

struct sta_redirect_decision sta_redirect_decide(const struct sta_redirect *redirect,
                                                 const struct sta_redirect_call *call,
                                                 uint64_t now_ns, uint64_t *random)
{
    bool wait = true;
    struct sta_redirect_decision decision = {.action = STA_REDIRECT_RETRY, .refresh = true};
    switch (redirect->kind) {
    case STA_REDIRECT_MOVED:
    case STA_REDIRECT_ASKED:
        decision = follow(redirect, &wait, call);
        break;
    case STA_REDIRECT_TRYAGAIN:
        decision.refresh = false;
        if (call->splittable && call->attempts > TRYAGAIN_BEFORE_SPLIT) {
            decision.action = STA_REDIRECT_SPLIT;
            wait = false;
        }
        break;
    case STA_REDIRECT_CROSSSLOT:
        if (!call->splittable)
            return give_up(STRATA_ERR_SERVER);
        decision = (struct sta_redirect_decision){.action = STA_REDIRECT_SPLIT};
        wait = false;
        break;
    case STA_REDIRECT_READONLY:
        decision.reconnect = true;
        break;
    case STA_REDIRECT_CLUSTERDOWN:
    case STA_REDIRECT_LOADING:
    case STA_REDIRECT_MASTERDOWN:
        break;
    case STA_REDIRECT_DENIED:
        return give_up(STRATA_ERR_DENIED);
    case STA_REDIRECT_MALFORMED:
        return give_up(STRATA_ERR_PROTOCOL);
    case STA_REDIRECT_OTHER:
        return give_up(STRATA_ERR_SERVER);
    }
    return schedule(decision, wait, call, now_ns, random);
}
