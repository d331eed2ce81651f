/* SPDX-License-Identifier: MIT
 *
 * See subscriptions.h.
 */
#include "daemon/subscriptions.h"

#include "daemon/dispatch.h"
#include "resp/resp.h"
#include "strata/status.h"

static const struct {
    const char *name;
    enum sta_subscriptions_word word;
} words[] = {
    {"message", STA_SUBSCRIPTIONS_MESSAGE},           {"pmessage", STA_SUBSCRIPTIONS_MESSAGE},
    {"smessage", STA_SUBSCRIPTIONS_MESSAGE},          {"subscribe", STA_SUBSCRIPTIONS_SUBSCRIBE},
    {"unsubscribe", STA_SUBSCRIPTIONS_UNSUBSCRIBE},   {"psubscribe", STA_SUBSCRIPTIONS_PSUBSCRIBE},
    {"punsubscribe", STA_SUBSCRIPTIONS_PUNSUBSCRIBE}, {"ssubscribe", STA_SUBSCRIPTIONS_SSUBSCRIBE},
    {"sunsubscribe", STA_SUBSCRIPTIONS_SUNSUBSCRIBE},
};

static enum sta_subscriptions_word word_of(struct strata_bytes name)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (sta_dispatch_word_is(name, words[i].name))
            return words[i].word;
    return STA_SUBSCRIPTIONS_NONE;
}

enum sta_subscriptions_word sta_subscriptions_command(struct strata_bytes name)
{
    enum sta_subscriptions_word word = word_of(name);
    return sta_subscriptions_is_confirmation(word) ? word : STA_SUBSCRIPTIONS_NONE;
}

/* The last of the three that a confirmation has. */
static bool read_count(struct sta_resp_walk *walk, uint64_t *count)
{
    struct sta_resp_value value;
    if (sta_resp_next(walk, &value) != STRATA_OK || sta_resp_next(walk, &value) != STRATA_OK ||
        value.type != STA_RESP_INTEGER || value.integer < 0)
        return false;
    *count = (uint64_t)value.integer;
    return true;
}

enum sta_subscriptions_word sta_subscriptions_read(struct strata_bytes frame, int protocol,
                                                   uint64_t *count)
{
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value head, name;
    enum sta_resp_type type = protocol == 3 ? STA_RESP_PUSH : STA_RESP_ARRAY;
    enum sta_subscriptions_word otherwise =
        protocol == 3 ? STA_SUBSCRIPTIONS_OTHER : STA_SUBSCRIPTIONS_NONE;
    if (sta_resp_next(&walk, &head) != STRATA_OK || head.type != type)
        return STA_SUBSCRIPTIONS_NONE;
    if (head.count < 3 || sta_resp_next(&walk, &name) != STRATA_OK || name.type != STA_RESP_BULK)
        return otherwise;
    enum sta_subscriptions_word word = word_of(name.bytes);
    if (word == STA_SUBSCRIPTIONS_NONE)
        return otherwise;
    return !sta_subscriptions_is_confirmation(word) || read_count(&walk, count) ? word : otherwise;
}

bool sta_subscriptions_channel(struct strata_bytes frame, struct strata_bytes *name)
{
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value value;
    for (int i = 0; i < 3; i++) /* the head, the word, the channel */
        if (sta_resp_next(&walk, &value) != STRATA_OK)
            return false;
    *name = value.bytes;
    return value.type == STA_RESP_BULK;
}

void sta_subscriptions_note(struct sta_subscriptions *subscriptions,
                            enum sta_subscriptions_word word, uint64_t count)
{
    uint64_t *const channels = &subscriptions->channels, *const patterns = &subscriptions->patterns;
    switch (word) {
    case STA_SUBSCRIPTIONS_SUBSCRIBE:
    case STA_SUBSCRIPTIONS_UNSUBSCRIBE:
        *channels = count > *patterns ? count - *patterns : 0;
        return;
    case STA_SUBSCRIPTIONS_PSUBSCRIBE:
    case STA_SUBSCRIPTIONS_PUNSUBSCRIBE:
        *patterns = count > *channels ? count - *channels : 0;
        return;
    case STA_SUBSCRIPTIONS_SSUBSCRIBE:
    case STA_SUBSCRIPTIONS_SUNSUBSCRIBE:
        subscriptions->shards = count;
        return;
    default:
        return;
    }
}

bool sta_subscriptions_is_over(const struct sta_subscriptions *subscriptions,
                               enum sta_subscriptions_word word)
{
    if (word == STA_SUBSCRIPTIONS_UNSUBSCRIBE)
        return subscriptions->channels == 0;
    if (word == STA_SUBSCRIPTIONS_PUNSUBSCRIBE)
        return subscriptions->patterns == 0;
    return word == STA_SUBSCRIPTIONS_SUNSUBSCRIBE && subscriptions->shards == 0;
}
