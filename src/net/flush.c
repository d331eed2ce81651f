/* SPDX-License-Identifier: MIT
 *
 * Flush hooks of a loop: a list of those that were asked for in this tick.
 * Threads: the loop's only. Memory: none; hooks are embedded in their owners.
 */
#include "net/loop_inside.h"

void sta_flush_init(struct sta_flush *flush, void (*run)(struct sta_flush *flush))
{
    sta_list_init(&flush->link);
    flush->run = run;
}

void sta_flush_request(struct sta_loop *loop, struct sta_flush *flush)
{
    if (sta_list_empty(&flush->link))
        sta_list_push_back(&loop->flushes, &flush->link);
}

void sta_flush_cancel(struct sta_flush *flush)
{
    sta_list_remove(&flush->link);
}

void sta_flush_run_all(struct sta_loop *loop)
{
    struct sta_list asked;
    struct sta_list *node;
    sta_list_init(&asked);
    sta_list_splice_back(&asked, &loop->flushes);
    while ((node = sta_list_pop_front(&asked)) != NULL) {
        struct sta_flush *flush = STA_CONTAINER(node, struct sta_flush, link);
        flush->run(flush);
    }
}
