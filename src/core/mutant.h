/* SPDX-License-Identifier: MIT
 *
 * The guards of coherence and of write-behind, each of which the simulator (tests/sim) can take
 * out, one at a time, to show that it would notice. Everywhere else STA_MUTANT() is the constant
 * false.
 */
#ifndef STA_MUTANT_H
#define STA_MUTANT_H

#include <stdbool.h>

/* name, which seeds of the simulator need it, what is missing */
#define STA_MUTANTS(X)                                                                             \
    X(TOKEN, ANY, "a read fills L1 whatever has happened since it began")                          \
    X(LOST, ANY, "a lost connection leaves what came on it unsuspected")                           \
    X(FLUSHED, ANY, "a flush of all leaves what came on the connection unsuspected")               \
    X(WRITE_BEGIN, ANY, "an own write does not take the key out of L1 before it is sent")          \
    X(WRITE_END, ANY, "an own write that is not kept does not take the key out of L1 at its end")  \
    X(READ_BACK, ANY, "an own write is kept without a look at what Redis has")                     \
    X(READ_BACK_TTL, ANY, "an own write is kept without a look at the TTL that Redis has")         \
    X(NEWER, ANY, "an answer that is not kept leaves what is older in L1")                         \
    X(TTL, ANY, "what is filled may outlive its TTL in Redis")                                     \
    X(TRUST, ANY, "what was read is trusted without a proof that pushes come")                     \
    X(ASIDE, ANY, "answers of the other lane are kept")                                            \
    X(NOLOOP, ANY, "reads are tracked with NOLOOP")                                                \
    X(VEIL_HIT, ANY, "L1 answers what a barrier hides")                                            \
    X(VEIL_ANSWER, ANY, "what Redis answers is handed out though a barrier hides it")              \
    X(VEIL_SWEEP, ANY, "what a barrier hides stays in L1 when it leaves")                          \
    X(VEIL_NAMED, ANY, "nobody looks at the barriers when they are named")                         \
    X(VEIL_RENEWED, ANY, "a barrier is not renewed")                                               \
    X(TAG_HIT, TAGS, "L1 answers without a look at the versions of tags")                          \
    X(TAG_ANSWER, TAGS, "what Redis answers is handed out whatever the versions of its tags")      \
    X(TAG_FLAG, TAGS, "an own write with tags is kept as one without")                             \
    X(TAG_LOST, TAGS, "what was read loses its tags in L1")                                        \
    X(TAG_WORD, TAGS, "a tag that fell gets the version again that it had")                        \
    X(TAG_MADE, TAGS, "a version counts that was made, though others were first")                  \
    X(TAG_TOLD, TAGS, "nobody listens where a tag is named")                                       \
    X(TAG_ADMIT, TAGS, "a version is kept whoever answered it, and never doubted")                 \
    X(TAG_FILL, TAGS, "a tag's version fills L1 whatever has happened since it was asked for")     \
    X(TAG_GONE, TAGS, "a version that is gone leaves what is older in L1")                         \
    X(ASKED, CLUSTERS, "answers that came by ASK, or from who does not serve the slot, are kept")  \
    X(SLOTS, CLUSTERS,                                                                             \
      "a slot that has another owner leaves what came from the old one unsuspected")               \
    X(EPOCH, CLUSTERS, "a slot that went and came back leaves what was read before unsuspected")   \
    X(VEIL_CLOSED, CLUSTERS, "L1 stays open though the barriers cannot be read")                   \
    X(VEIL_FILL, CLUSTERS, "what was asked for before a barrier came fills L1")                    \
    X(BEHIND_READ, BEHIND, "what is owed is not read out of the queue")                            \
    X(BEHIND_DELETE, BEHIND, "a delete does not take the place of what waits")                     \
    X(BEHIND_PUSHED, BEHIND, "what came while a write was under way is done with it")              \
    X(BEHIND_RETRY, BEHIND, "a write whose outcome nobody knows counts as done")                   \
    X(BEHIND_UNSURE, BEHIND, "a write whose outcome nobody knows is not repeated to be sure")      \
    X(BEHIND_KEPT, BEHIND, "L1 keeps what was written without a look at what Redis has")           \
    X(BEHIND_KEPT_TTL, BEHIND, "L1 keeps what was written without a look at its TTL in Redis")     \
    X(BEHIND_NAMED, BEHIND,                                                                        \
      "L1 keeps what was written though others changed it since it was read")                      \
    X(BEHIND_GUARD, BEHIND, "what others wrote counts as ours")                                    \
    X(BEHIND_LOOK, BEHIND, "a write is done before it is known what Redis has of its key")         \
    X(BEHIND_SAFE, BEHIND, "a write is done before its journal has it")                            \
    X(BEHIND_AHEAD, BEHIND, "a write goes to Redis before its journal has it")                     \
    X(BEHIND_DONE, BEHIND, "the journal is not told of what Redis has")                            \
    X(BEHIND_TRIM, BEHIND, "segments are deleted that have what is owed")                          \
    X(BEHIND_REPLAY, BEHIND, "of a key's records the first is replayed, and not the last")         \
    X(BEHIND_RESTORED, BEHIND, "what was replayed is not repeated to be sure")

enum sta_mutant {
    STA_MUTANT_NONE,
#define STA_MUTANT_NAME(name, where, text) STA_MUTANT_##name,
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
