/* SPDX-License-Identifier: MIT
 *
 * Who runs a loop that several threads share. At most one thread has the lead, and only it touches
 * the loop, its timers, its streams and libuv. The loop's own thread has it while nobody calls
 * synchronously; a synchronous caller takes it for the time of its call (Leader/Followers, Schmidt
 * et al. 2000). See leader.c for why nothing is lost between two leaders.
 */
#ifndef STA_LEADER_H
#define STA_LEADER_H

#include <stdbool.h>
#include <stdint.h>

struct sta_loop;

/* In `leader`: nobody leads and somebody may; nobody may (the loop is not started, or has
 * ended). */
#define STA_LEADER_NOBODY ((pthread_t)0)
#define STA_LEADER_CLOSED (~(pthread_t)0)

/* A caller takes the lead, where it is free. */
bool sta_leader_try(struct sta_loop *loop);

/* By a caller that has just taken the lead: lets those post who are likely to, where it pays. */
void sta_leader_gather(struct sta_loop *loop);

/* By a caller that leads: one tick, which waits for something to happen. False once the loop is
 * to stop. */
bool sta_leader_turn(struct sta_loop *loop);

/* Gives the lead up: to a follower, else to nobody, with the loop's own thread called where there
 * is something that does not bear waiting for it. */
void sta_leader_leave(struct sta_loop *loop);

bool sta_leader_is_here(const struct sta_loop *loop);

/* keeper.c: the loop's own thread, from start() to the end. */
void sta_keeper_run(struct sta_loop *loop);

/* Any thread: where the loop's own thread rests without the lead, it is called back to it. Returns
 * false where it did not rest. */
bool sta_keeper_call(struct sta_loop *loop);

/* By who leads: whether the loop's own thread watches the loop. Any thread: where it does, it need
 * not go on: there is work for it, or callers lead. */
bool sta_keeper_is_watching(struct sta_loop *loop);
void sta_keeper_end_watch(struct sta_loop *loop, bool work);

#endif
