/* SPDX-License-Identifier: MIT
 *
 * The guards of coherence, each of which the simulator (tests/sim) can take out, one at a time, to
 * show that it would notice. Everywhere else STA_MUTANT() is the constant false.
 */
#ifndef STA_MUTANT_H
#define STA_MUTANT_H

#include <stdbool.h>

/* name, what is missing */
#define STA_MUTANTS(X)                                                                             \
    X(TOKEN, "a read fills L1 whatever has happened since it began")                               \
    X(LOST, "a lost connection leaves what came on it unsuspected")                                \
    X(FLUSHED, "a flush of all leaves what came on the connection unsuspected")                    \
    X(WRITE_BEGIN, "an own write does not take the key out of L1 before it is sent")               \
    X(WRITE_END, "an own write that is not kept does not take the key out of L1 at its end")       \
    X(READ_BACK, "an own write is kept without a look at what Redis has")                          \
    X(NEWER, "an answer that is not kept leaves what is older in L1")                              \
    X(TTL, "what is filled may outlive its TTL in Redis")                                          \
    X(TRUST, "what was read is trusted without a proof that pushes come")                          \
    X(ASIDE, "answers of the other lane are kept")                                                 \
    X(NOLOOP, "reads are tracked with NOLOOP")                                                     \
    X(VEIL_HIT, "L1 answers what a barrier hides")                                                 \
    X(VEIL_ANSWER, "what Redis answers is handed out though a barrier hides it")                   \
    X(VEIL_SWEEP, "what a barrier hides stays in L1 when it leaves")                               \
    X(VEIL_NAMED, "nobody looks at the barriers when they are named")                              \
    X(VEIL_RENEWED, "a barrier is not renewed")                                                    \
    X(ASKED, "answers that came by ASK, or from who does not serve the slot, are kept")            \
    X(SLOTS, "a slot that has another owner leaves what came from the old one unsuspected")        \
    X(EPOCH, "a slot that went and came back leaves what was read before unsuspected")             \
    X(VEIL_FILL, "what was asked for before a barrier came fills L1")

enum sta_mutant {
    STA_MUTANT_NONE,
#define STA_MUTANT_NAME(name, text) STA_MUTANT_##name,
    STA_MUTANTS(STA_MUTANT_NAME)
#undef STA_MUTANT_NAME
        STA_MUTANT_COUNT
};

#ifdef STA_SIMULATED
extern enum sta_mutant sta_mutant_now;
#define STA_MUTANT(name) (sta_mutant_now == STA_MUTANT_##name)
#else
#define STA_MUTANT(name) false
#endif

#endif
