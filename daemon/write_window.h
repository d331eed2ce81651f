/* SPDX-License-Identifier: MIT
 *
 * While a write to a key is under way, nobody knows which value is the current one: a reader
 * that asks Redis may see the old or the new. So nothing is put into L1 for a key between the
 * moment its write is sent and the moment it has ended. Shared by all workers of a daemon.
 *
 *   write    begin(key) -> l1 invalidate -> send ... reply -> l1 publish or invalidate -> end(key)
 *   read     l1 token, epoch() -> send ... reply -> admits_fill(key, epoch) -> l1 fill(token)
 *
 * Without this, two workers could give one client a new value from Redis and then, from L1, the
 * old one that the other worker had read and filled while the write was still unanswered.
 *
 * Why it holds: a token that was read after the write's invalidation sees its begin (l1's
 * generations synchronise), so the fill finds the count raised, or finds it lowered again and
 * then sees the generation that the write's end had advanced before. A token from before the
 * invalidation is refused by l1 itself.
 *
 * A write whose outcome is unknown (timeout, lost connection) may still be carried out. Then the
 * lane calls doubt_begin() and, once it has proof that nothing of it is left, doubt_end(). During
 * doubt nothing is filled, and reads that began in doubt never fill. The same serves commands
 * that change the keyspace as a whole.
 *
 * Keys are told apart by hash only; those that share a counter cost each other fills.
 * Threads: any. Memory: a fixed table of 128 KiB.
 */
#ifndef STA_WRITE_WINDOW_H
#define STA_WRITE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct sta_write_window;

/* STRATA_ERR_NOMEM. */
int sta_write_window_create(struct sta_write_window **out);
void sta_write_window_destroy(struct sta_write_window **window);

/* Around each write of a key: begin before l1 is invalidated for the first time, end after it was
 * published to or invalidated for the last. */
void sta_write_window_begin(struct sta_write_window *window, uint64_t hash);
void sta_write_window_end(struct sta_write_window *window, uint64_t hash);

/* Around a time in which every key is doubtful. They may overlap. */
void sta_write_window_doubt_begin(struct sta_write_window *window);
void sta_write_window_doubt_end(struct sta_write_window *window);

/* For a read: taken with the L1 token, before Redis is asked. */
uint64_t sta_write_window_epoch(const struct sta_write_window *window);
/* For a read: whether what it brought may be given to l1. */
bool sta_write_window_admits_fill(const struct sta_write_window *window, uint64_t hash,
                                  uint64_t epoch);

/* For a write, before its end(): whether it is alone, so that its value may be published. */
bool sta_write_window_admits_publish(const struct sta_write_window *window, uint64_t hash,
                                     uint64_t epoch);

#endif
