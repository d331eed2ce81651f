/* SPDX-License-Identifier: MIT
 *
 * See queue.h. A lock and a list; the eventfd is written only when the list stops being empty,
 * so a burst of completions costs one system call.
 */
#include "api/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "strata/status.h"

struct strata_queue {
    int fd; /* fixed at creation */
    pthread_mutex_t lock;
    struct sta_list waiting; /* guarded by lock */
    size_t count;            /* guarded by lock */
};

int strata_queue_open(struct strata_queue **out)
{
    struct strata_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return STRATA_ERR_NOMEM;
    queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->fd < 0) {
        free(queue);
        return STRATA_ERR_SYSTEM;
    }
    pthread_mutex_init(&queue->lock, NULL);
    sta_list_init(&queue->waiting);
    *out = queue;
    return STRATA_OK;
}

void strata_queue_close(struct strata_queue **queue_ptr)
{
    if (queue_ptr == NULL || *queue_ptr == NULL)
        return;
    struct strata_queue *queue = *queue_ptr;
    while (strata_queue_dispatch(queue, 0) > 0)
        continue;
    close(queue->fd);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
    *queue_ptr = NULL;
}

int strata_queue_fd(const struct strata_queue *queue)
{
    return queue->fd;
}

void sta_queue_push(struct strata_queue *queue, struct sta_completed *completed)
{
    pthread_mutex_lock(&queue->lock);
    bool was_empty = sta_list_empty(&queue->waiting);
    sta_list_push_back(&queue->waiting, &completed->link);
    queue->count++;
    if (was_empty)
        (void)eventfd_write(queue->fd, 1); /* under the lock: close() may follow the dispatch */
    pthread_mutex_unlock(&queue->lock);
}

static struct sta_completed *queue_pop(struct strata_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct sta_list *node = sta_list_pop_front(&queue->waiting);
    if (node != NULL)
        queue->count--;
    if (sta_list_empty(&queue->waiting)) {
        eventfd_t ignored;
        (void)eventfd_read(queue->fd, &ignored);
    }
    pthread_mutex_unlock(&queue->lock);
    return node != NULL ? STA_CONTAINER(node, struct sta_completed, link) : NULL;
}

static size_t queue_count(struct strata_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

size_t strata_queue_dispatch(struct strata_queue *queue, size_t most)
{
    /* What waits now, not what callbacks add meanwhile: one call must end. */
    size_t waiting = queue_count(queue);
    size_t limit = most == 0 || most > waiting ? waiting : most;
    size_t ran = 0;
    while (ran < limit) {
        struct sta_completed *completed = queue_pop(queue);
        if (completed == NULL)
            break;
        completed->run(completed);
        ran++;
    }
    return ran;
}
