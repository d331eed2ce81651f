/* SPDX-License-Identifier: MIT
 *
 * An intrusive, circular, doubly linked list. The list and its members are `struct sta_list`
 * nodes inside the caller's structs; nothing is allocated. A node that is in no list points at
 * itself, so remove() may be called twice. One owner at a time: no locking here.
 */
#ifndef STA_LIST_H
#define STA_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct sta_list {
    struct sta_list *next;
    struct sta_list *prev;
};

/* The struct of `type` whose `member` is at `node`. */
#define STA_CONTAINER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void sta_list_init(struct sta_list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool sta_list_empty(const struct sta_list *list)
{
    return list->next == list;
}

static inline void sta_list_push_back(struct sta_list *list, struct sta_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void sta_list_push_front(struct sta_list *list, struct sta_list *node)
{
    sta_list_push_back(list->next, node);
}

static inline void sta_list_remove(struct sta_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sta_list_init(node);
}

/* Takes the first node out, or returns NULL where the list is empty. */
static inline struct sta_list *sta_list_pop_front(struct sta_list *list)
{
    struct sta_list *node = list->next;
    if (node == list)
        return NULL;
    sta_list_remove(node);
    return node;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void sta_list_splice_back(struct sta_list *to, struct sta_list *from)
{
    if (sta_list_empty(from))
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    sta_list_init(from);
}

#endif
