/* SPDX-License-Identifier: MIT
 *
 * What a connection is subscribed to, as Redis counts it, and which of the frames that come on it
 * nobody has asked for. Pure: no I/O.
 *
 * A subscription is confirmed by a frame for each channel, with the number that is left:
 *     RESP2  *3 subscribe CHANNEL COUNT        RESP3  >3 subscribe CHANNEL COUNT
 * COUNT is that of channels and patterns together, and that of shard channels by itself. A message
 * is *3 message ..., *4 pmessage ... or *3 smessage ..., and a push in RESP3.
 */
#ifndef STA_SUBSCRIPTIONS_H
#define STA_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "strata/bytes.h"

enum sta_subscriptions_word {
    STA_SUBSCRIPTIONS_NONE, /* no such frame */
    STA_SUBSCRIPTIONS_MESSAGE,
    STA_SUBSCRIPTIONS_OTHER, /* a push of another kind */
    STA_SUBSCRIPTIONS_SUBSCRIBE,
    STA_SUBSCRIPTIONS_UNSUBSCRIBE,
    STA_SUBSCRIPTIONS_PSUBSCRIBE,
    STA_SUBSCRIPTIONS_PUNSUBSCRIBE,
    STA_SUBSCRIPTIONS_SSUBSCRIBE,
    STA_SUBSCRIPTIONS_SUNSUBSCRIBE
};

struct sta_subscriptions {
    uint64_t channels, patterns, shards;
};

static inline uint64_t sta_subscriptions_count(const struct sta_subscriptions *subscriptions)
{
    return subscriptions->channels + subscriptions->patterns + subscriptions->shards;
}

/* The command of this name; NONE: it is another. */
enum sta_subscriptions_word sta_subscriptions_command(struct strata_bytes name);

/* What the frame is; *count of a confirmation. */
enum sta_subscriptions_word sta_subscriptions_read(struct strata_bytes frame, int protocol,
                                                   uint64_t *count);

/* The channel that a confirmation is about. False: none, for there was nothing to end. */
bool sta_subscriptions_channel(struct strata_bytes frame, struct strata_bytes *name);

/* A confirmation has come. */
void sta_subscriptions_note(struct sta_subscriptions *subscriptions,
                            enum sta_subscriptions_word word, uint64_t count);

/* Whether nothing of the kind that an UNSUBSCRIBE of all ends is left. */
bool sta_subscriptions_is_over(const struct sta_subscriptions *subscriptions,
                               enum sta_subscriptions_word word);

static inline bool sta_subscriptions_is_confirmation(enum sta_subscriptions_word word)
{
    return word >= STA_SUBSCRIPTIONS_SUBSCRIBE;
}

static inline bool sta_subscriptions_ends(enum sta_subscriptions_word word)
{
    return word == STA_SUBSCRIPTIONS_UNSUBSCRIBE || word == STA_SUBSCRIPTIONS_PUNSUBSCRIBE ||
           word == STA_SUBSCRIPTIONS_SUNSUBSCRIBE;
}

#endif
