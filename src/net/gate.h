/* SPDX-License-Identifier: MIT
 *
 * Where followers sleep: synchronous callers that found another thread leading the loop. Those
 * whose requests leave in one send get their replies in one receive, most of the time; so they
 * sleep at one gate, and one system call wakes them all. Which gate is decided by a number that
 * counts the sends; a few gates suffice for a few sends on their way, and two batches at one gate
 * cost wake-ups for nothing, no more.
 *
 * One more is for those who stand aside: they are told like the others, and never get the lead.
 */
#ifndef STA_GATE_H
#define STA_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STA_GATE_COUNT 4u
#define STA_GATE_ASIDE STA_GATE_COUNT /* its place behind them */

struct sta_loop;

struct sta_gate {
    _Atomic uint32_t turn;    /* changes before every wake-up; what followers sleep on */
    _Atomic uint32_t waiting; /* followers that have neither been told nor taken the lead */
};

/* Any thread. seq_cst, partner: sta_gate_pass_on() of a leader that has just left. */
struct sta_gate *sta_gate_join(struct sta_loop *loop);

/* Any thread. To be told, by note() and tell() as the others, and nothing else. */
struct sta_gate *sta_gate_stand_aside(struct sta_loop *loop);

/* Any thread: does anybody follow? */
bool sta_gate_has_followers(struct sta_loop *loop);

/* By who leads, all that follow. leave(): it takes the lead; sets the pointer to NULL. */
void sta_gate_leave(struct sta_gate **gate);

/* One that sleeps at `gate` is about to be told, and wakes with the next tell(). */
void sta_gate_note(struct sta_loop *loop, struct sta_gate *gate);

/* Wakes all that sleep at the gates that note() named since; take() gives that set to a leader
 * who wants to leave first. */
unsigned sta_gate_take_noted(struct sta_loop *loop);
void sta_gate_tell(struct sta_loop *loop, unsigned noted);

/* By who has just left: wakes one follower, so that it takes the lead. False where none sleeps. */
bool sta_gate_pass_on(struct sta_loop *loop);

#endif
