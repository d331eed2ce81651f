/* SPDX-License-Identifier: MIT
 *
 * "Did you mean ...?": the known name nearest to one that somebody wrote. Candidates are offered
 * one by one, from wherever they are kept:
 *
 *     struct sta_spelling spelling = {.wanted = name};
 *     for each known name: sta_spelling_offer(&spelling, known);
 *     if (spelling.nearest != NULL) ...
 *
 * Distance is the number of inserted, left out, changed or swapped neighbouring characters
 * (optimal string alignment), upper and lower case alike. A name counts as near where that is at
 * most a third of the longer one.
 */
#ifndef STA_SPELLING_H
#define STA_SPELLING_H

/* Longer names are never near. */
#define STA_SPELLING_MAX 63u

struct sta_spelling {
    const char *wanted;  /* borrowed */
    const char *nearest; /* of those offered, the first of the nearest; NULL: none is near */
    unsigned distance;   /* of `nearest` */
};

/* `known` is borrowed for as long as `nearest` is looked at. */
void sta_spelling_offer(struct sta_spelling *spelling, const char *known);

#endif
