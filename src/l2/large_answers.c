/* SPDX-License-Identifier: MIT
 *
 * See large_answers.h. While the table is empty, which it is where nobody has large values, both
 * cost a comparison; else a hash of the question.
 */
#include "l2/large_answers.h"

#include "core/key.h"

#define QUESTION_MOST 1024u

/* 0: not looked at. */
static uint32_t mark_of(struct strata_bytes question)
{
    return question.len > QUESTION_MOST ? 0 : (uint32_t)sta_key_make(question, 0).hash | 1u;
}

static uint32_t place_of(uint32_t mark)
{
    return (mark >> 1) & (STA_LARGE_ANSWERS_PLACES - 1);
}

bool sta_large_answers_expects(const struct sta_large_answers *answers,
                               struct strata_bytes question)
{
    if (answers->count == 0)
        return false;
    uint32_t mark = mark_of(question);
    return mark != 0 && answers->marks[place_of(mark)] == mark;
}

void sta_large_answers_note(struct sta_large_answers *answers, struct strata_bytes question,
                            bool was_large)
{
    if (answers->count == 0 && !was_large)
        return;
    uint32_t mark = mark_of(question);
    uint32_t *at = &answers->marks[place_of(mark)];
    if (mark == 0)
        return;
    if (was_large) {
        answers->count += *at == 0;
        *at = mark;
    } else if (*at == mark) {
        *at = 0;
        answers->count--;
    }
}
