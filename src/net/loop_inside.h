/* SPDX-License-Identifier: MIT
 *
 * What this room's own files need of a loop, beyond its door. Loop thread only.
 */
#ifndef STA_LOOP_INSIDE_H
#define STA_LOOP_INSIDE_H

#include "net/loop.h"

/* Bytes of the read area that everything on a loop shares; its content is worth nothing after
 * the callback that filled it. */
#define STA_LOOP_SCRATCH_BYTES (64u * 1024u)

uint8_t *sta_loop_scratch(struct sta_loop *loop);

/* Something that lives on a loop and is closed with it where its owner did not do so. */
struct sta_loop_guest {
    struct sta_list link;
    void (*evict)(struct sta_loop_guest *guest);
};

/* To leave, remove the guest's link. */
void sta_loop_add_guest(struct sta_loop *loop, struct sta_loop_guest *guest);

/* First thing in every libuv callback of this room: the loop is at work and needs no wake-up. */
void sta_loop_enter(struct sta_loop *loop);

#endif
