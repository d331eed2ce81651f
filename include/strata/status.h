/* SPDX-License-Identifier: MIT
 *
 * What a call can answer. Negative is an error, zero is done, positive is an ordinary outcome
 * with a name. Out parameters are untouched where a call fails. This list is the only place
 * where codes, names and texts are written.
 */
#ifndef STRATA_STATUS_H
#define STRATA_STATUS_H

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, text) */
#define STRATA_STATUS_LIST(X)                                                                      \
    X(OK, 0, "done")                                                                               \
    X(MISS, 1, "the key is not there")                                                             \
    X(STALE, 2, "answered with a value past its time")                                             \
    X(SKIPPED, 3, "not stored: overtaken, expired or larger than the cache admits")                \
    X(MORE, 4, "more input is needed")                                                             \
    X(ERR_NOMEM, -1, "out of memory")                                                              \
    X(ERR_INVALID, -2, "an argument is not valid")                                                 \
    X(ERR_TOO_BIG, -3, "larger than the limit")                                                    \
    X(ERR_TIMEOUT, -4, "the time budget of the call ran out; a write may have happened")           \
    X(ERR_UNAVAILABLE, -5, "Redis cannot be reached; nothing was sent")                            \
    X(ERR_LOST, -6, "the connection was lost after sending; a write may have happened")            \
    X(ERR_CLOSED, -7, "the cache is closed or closing")                                            \
    X(ERR_BUSY, -8, "a queue is full; try again later")                                            \
    X(ERR_PROTOCOL, -9, "the peer broke the protocol")                                             \
    X(ERR_SERVER, -10, "Redis answered with an error")                                             \
    X(ERR_DENIED, -11, "Redis refused the user, the password, the certificate or the command")     \
    X(ERR_DISABLED, -12, "switched off by configuration")                                          \
    X(ERR_PARTIAL, -13, "some keys of the batch failed; see the status of each")                   \
    X(ERR_SYSTEM, -14, "the operating system refused")                                             \
    X(ERR_CONFIG, -15, "the configuration is not valid")                                           \
    X(ERR_UNSUPPORTED, -16, "not supported by this build or this version")                         \
    X(ERR_UNTRUSTED, -17, "the server cannot prove who it is")                                     \
    X(ERR_DEADLOCK, -18, "a loader asked for what waits for its own end")                          \
    X(ERR_DATABASE, -19, "the database failed, or refused")                                        \
    X(ERR_CONFLICT, -20, "a unique value is there already, or another change was first")           \
    X(ERR_UNPROVEN, -21, "what memory has is not proven to be current, and Redis does not answer")

enum strata_status {
#define STRATA_STATUS_ENUM(name, value, text) STRATA_##name = (value),
    STRATA_STATUS_LIST(STRATA_STATUS_ENUM)
#undef STRATA_STATUS_ENUM
};

/* The name ("STRATA_ERR_TIMEOUT") and the text of a status; "unknown" for any other number.
 * Both are constants that live for ever. Safe from any thread. */
STRATA_API const char *strata_status_name(int status);
STRATA_API const char *strata_status_text(int status);

/* A failure with its particulars: which variable, which address, what Redis said. Filled where
 * a call takes one and fails; the caller may pass NULL. `text` ends with a zero byte and has no
 * newline. */
struct strata_error {
    int status;
    char text[504];
};

#ifdef __cplusplus
}
#endif

#endif
