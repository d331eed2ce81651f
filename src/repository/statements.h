/* SPDX-License-Identifier: MIT
 *
 * Statements that a connection keeps prepared, found by their text: as many as STA_STATEMENTS_MAX,
 * the longest unused goes first. What is kept is the driver's: a pointer.
 * Threads: those of the connection.
 */
#ifndef STA_STATEMENTS_H
#define STA_STATEMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

#define STA_STATEMENTS_MAX 64

struct sta_statement {
    uint64_t hash;
    uint64_t used; /* the larger, the later */
    char *text;    /* NULL: nothing is kept here */
    size_t len;
    void *prepared;
};

struct sta_statements {
    uint64_t clock;
    struct sta_statement kept[STA_STATEMENTS_MAX];
};

/* What is kept for the text, or NULL. */
void *sta_statements_find(struct sta_statements *statements, struct strata_bytes text);

/* Keeps it; what had to go for it, to be ended by the caller, is stored in *gone (else NULL). 0 or
 * STRATA_ERR_NOMEM, with nothing changed. */
int sta_statements_add(struct sta_statements *statements, struct strata_bytes text, void *prepared,
                       void **gone);

/* Forgets all; end(prepared) for each. */
void sta_statements_clear(struct sta_statements *statements, void (*end)(void *prepared));

#endif
