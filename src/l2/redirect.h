/* SPDX-License-Identifier: MIT
 *
 * What an error reply of Redis means, and what to do about it. Pure: text and numbers in, a
 * decision out; no clock, no I/O.
 *
 *     error text --parse--> struct sta_redirect --decide--> struct sta_redirect_decision
 *
 *     MOVED        GO to the node that it names; patch the map, refresh it
 *     ASK          ASK the node that it names, once, with ASKING before each command; do not
 *                  cache the answer: the slot is on its way and no push will come
 *     TRYAGAIN     RETRY later; a call with several keys is SPLIT after two of them
 *     CROSSSLOT    SPLIT where there are several keys
 *     CLUSTERDOWN, LOADING, MASTERDOWN, READONLY      RETRY later, with a refresh
 *     anything else                                   GIVE_UP with a status
 *
 * An error reply says that the command was not carried out, so that every one of these is safe to
 * send again. All attempts of a call share its deadline: what could only be sent at or after it
 * is given up at once, not waited for.
 */
#ifndef STA_REDIRECT_H
#define STA_REDIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/endpoint.h"
#include "strata/bytes.h"

enum sta_redirect_kind {
    STA_REDIRECT_MOVED,
    STA_REDIRECT_ASKED, /* ASK */
    STA_REDIRECT_TRYAGAIN,
    STA_REDIRECT_CLUSTERDOWN,
    STA_REDIRECT_LOADING,
    STA_REDIRECT_MASTERDOWN,
    STA_REDIRECT_READONLY,
    STA_REDIRECT_CROSSSLOT,
    STA_REDIRECT_DENIED,    /* NOAUTH, NOPERM, WRONGPASS */
    STA_REDIRECT_MALFORMED, /* MOVED or ASK that says nothing that can be followed */
    STA_REDIRECT_OTHER
};

struct sta_redirect {
    enum sta_redirect_kind kind;
    uint16_t slot;                /* MOVED and ASK */
    struct sta_endpoint endpoint; /* MOVED and ASK; address "": the node has none that is known */
};

/* `text` is an error reply without its '-' (RESP3 bulk errors alike). `answered_by` is the node
 * it came from: a redirect without a host means that one's, with another port. Never fails; what
 * is no valid redirect is MALFORMED. "host:port" splits at the last colon, IPv6 with or without
 * brackets; words after it are let pass. */
void sta_redirect_parse(struct sta_redirect *out, struct strata_bytes text,
                        const struct sta_endpoint *answered_by);

/* Whether the first of these replies is an error: its first byte tells; RESP3 has two kinds. */
static inline bool sta_redirect_is_error(struct strata_bytes replies)
{
    uint8_t first = *(const uint8_t *)replies.data;
    return first == '-' || first == '!';
}

/* As parse(), of whole replies, the first of which is an error. */
void sta_redirect_read(struct sta_redirect *out, struct strata_bytes replies,
                       const struct sta_endpoint *answered_by);

/* ---- deciding ---- */

enum sta_redirect_action {
    STA_REDIRECT_GIVE_UP, /* the call is done with `status` */
    STA_REDIRECT_RETRY,   /* at `at_ns`, to whom the map names by then */
    STA_REDIRECT_GO,      /* at `at_ns`, to the redirect's endpoint */
    STA_REDIRECT_ASK,     /* at `at_ns`, to the redirect's endpoint, with ASKING */
    STA_REDIRECT_SPLIT    /* at `at_ns`, each key by itself, to whom the map names */
};

/* What the decision needs to know of a call; `attempts` belongs to the whole call, also when it
 * is split. */
struct sta_redirect_call {
    uint64_t deadline_ns;
    unsigned attempts; /* times sent so far, the one that was now answered included; >= 1 */
    bool splittable;   /* several keys that may be sent apart */
};

struct sta_redirect_decision {
    enum sta_redirect_action action;
    int status;     /* GIVE_UP: STRATA_ERR_UNAVAILABLE (not carried out, the cluster is not ready),
                       STRATA_ERR_DENIED, STRATA_ERR_PROTOCOL, STRATA_ERR_SERVER */
    uint64_t at_ns; /* the others: not before; `now_ns` is at once */
    /* These hold whatever the action, GIVE_UP included. */
    bool patch;     /* sta_slot_map_patch(slot, endpoint) */
    bool refresh;   /* ask for a refresh of the map, where there is one */
    bool reconnect; /* READONLY: this link leads to a replica. Without a map: connect anew, for
                       the name may lead to another server by now */
};

/* Attempts that a call makes at most, whatever its deadline. */
#define STA_REDIRECT_ATTEMPTS_MAX 64u
/* Redirects that are followed at once; later ones wait like any other retry, for two nodes that
 * send to each other do so until the cluster has agreed. */
#define STA_REDIRECT_AT_ONCE_MAX 4u

/* Waits are drawn from the upper half of a ceiling that doubles from 10 ms to 500 ms; `random`
 * is the generator's state (core/random.h). */
struct sta_redirect_decision sta_redirect_decide(const struct sta_redirect *redirect,
                                                 const struct sta_redirect_call *call,
                                                 uint64_t now_ns, uint64_t *random);

#endif
