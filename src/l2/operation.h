/* SPDX-License-Identifier: MIT
 *
 * An operation: what is asked of Redis, whichever node that turns out to be. It is a request
 * (l2/request.h) with what the router needs to find the node, and to know what may be sent again.
 * The caller owns the struct and keeps it in place until done() is called, which happens exactly
 * once; nothing is allocated for it on the way.
 *
 *     submit --> routed --> sent to a node --> done(STRATA_OK, replies)
 *                  ^             |      '----> done(an error)
 *                  '-- again <---'
 *
 * It is sent again, within its deadline:
 *   - where Redis said that it did not carry it out, and that another node or another time would
 *     do (MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, READONLY);
 *   - where nothing of it was sent (UNAVAILABLE) and another node, or the same one connected anew,
 *     may take it; in a cluster it waits for news of who serves the slot now, 500 ms at most;
 *   - where the connection was lost behind it (LOST), and it is `repeatable`. Others end with LOST:
 *     they may have been carried out, and a second time would be a wrong answer (a DEL that
 *     answers 0 for what it deleted) or a wrong value (a SET over what somebody else wrote since).
 * What Redis says at last, when there is no time left for another attempt, is passed on as a reply.
 */
#ifndef STA_OPERATION_H
#define STA_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "l2/request.h"

struct sta_node;
struct sta_router;

/* Instead of a slot: there is no key in it, any node will do. */
#define STA_OPERATION_ANY_NODE UINT16_MAX

/* Which of a node's connections it goes by (l2/node.h). */
enum sta_operation_way {
    STA_OPERATION_BY_SIZE, /* the main one, or the bulk one: whatever suits its size */
    STA_OPERATION_MAIN,    /* the main one, however large: in order with all that goes that way */
    STA_OPERATION_PLAIN2,  /* one of RESP2; */
    STA_OPERATION_PLAIN3   /* of RESP3: not tracked, and answers are as such a client gets them */
};

struct sta_operation {
    /* The caller's, set before submit: wire, commands and deadline_ns of `request`, and these. */
    struct sta_request request;
    uint16_t slot;   /* of its keys (l2/slot.h), or STA_OPERATION_ANY_NODE; a single Redis does
                        not ask for it */
    bool repeatable; /* it changes nothing */
    bool splittable; /* of several keys; who has it can ask for each by itself, and is told of a
                        TRYAGAIN that does not pass (STRATA_OK, with that error) */
    bool whole;      /* it is a command about the slot, and a transaction behind it: sent again only
                     where neither was carried out, and never by an ASK (a transaction of which
                     parts are on their way is one that fails) */
    bool hurried; /* refused (UNAVAILABLE) where the node should have proven itself by now and has
                        not (sta_tracking_is_silent()): who has it has something else to answer */
    uint8_t way;  /* of enum sta_operation_way */

    /* On the loop's thread. Status and replies as in l2/request.h. May free the operation or
     * submit it again. */
    void (*done)(struct sta_operation *operation, int status, struct strata_bytes replies);

    /* The router's, from submit to done(). */
    struct sta_router *router;
    struct sta_node *node; /* it is under way there, or was at last */
    uint64_t sent_ns;
    unsigned attempts;
    bool aside; /* it went by another than the node's main connection, which alone is tracked */
    bool asked; /* the answer came by an ASK: the slot is on its way, and nobody may keep it */
};

/* Whether it was answered but for the last of several replies. Where these are a value and its TTL,
 * what is pushed now is newer than the value. */
static inline bool sta_operation_lacks_last(const struct sta_operation *operation)
{
    return operation->request.commands > 1 && operation->request.replies_left == 1;
}

#endif
