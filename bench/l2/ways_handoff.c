/* SPDX-License-Identifier: MIT
 *
 * See ways.h: what threads that share one connection cost at the least.
 *
 * Whoever finds the lead free sends what all have posted, in one send, waits for the replies and
 * wakes those whose they are; the others sleep on a number that changes with each batch. There is
 * no library between them and the system: no deadlines, no event loop, no parsing, and nothing is
 * copied. A leader first lets others run who could post: each thread has to run once for each of
 * its calls, and this way most of them do so before the send.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/l2/ways.h"

#define REPLY_BYTES (VALUE_BYTES + 8u)
#define GATES       4u

static const char get[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

struct posted {
    struct posted *next;
    unsigned gate;
    atomic_bool done;
};

struct handoff {
    int fd; /* -1: nobody is asked, the leader answers by himself */
    _Atomic(struct posted *) stack;
    atomic_bool led;
    atomic_uint batch;
    _Atomic uint32_t turns[GATES];
    unsigned ops; /* of each thread */
    atomic_bool failed;
};

static void gate_wake(struct handoff *handoff, unsigned gate)
{
    (void)atomic_fetch_add(&handoff->turns[gate], 1);
    (void)syscall(SYS_futex, &handoff->turns[gate], FUTEX_WAKE_PRIVATE, THREADS, NULL, NULL, 0);
}

static int ask(struct handoff *handoff, unsigned count)
{
    char area[THREADS * REPLY_BYTES];
    size_t left = (size_t)count * REPLY_BYTES;
    for (unsigned i = 0; i < count; i++)
        memcpy(area + i * (sizeof get - 1), get, sizeof get - 1);
    if (send(handoff->fd, area, count * (sizeof get - 1), MSG_NOSIGNAL) < 0)
        return -1;
    while (left > 0) {
        ssize_t got = recv(handoff->fd, area, left, 0);
        if (got <= 0)
            return -1;
        left -= (size_t)got;
    }
    return 0;
}

/* With the lead, which it gives up. All that were posted are answered, our own among them. */
static void lead(struct handoff *handoff)
{
    unsigned count = 0;
    unsigned gates = 0;
    (void)sched_yield();
    (void)atomic_fetch_add(&handoff->batch, 1);
    struct posted *all = atomic_exchange(&handoff->stack, NULL);
    for (struct posted *each = all; each != NULL; each = each->next)
        count++;
    if (handoff->fd >= 0 && count > 0 && ask(handoff, count) != 0)
        atomic_store(&handoff->failed, true);
    while (all != NULL) {
        struct posted *next = all->next;
        gates |= 1u << all->gate;
        atomic_store(&all->done, true);
        all = next;
    }
    atomic_store(&handoff->led, false);
    if (atomic_load(&handoff->stack) != NULL)
        gates = (1u << GATES) - 1; /* one of them has to lead */
    for (unsigned i = 0; i < GATES; i++)
        if ((gates >> i & 1u) != 0)
            gate_wake(handoff, i);
}

static void call(struct handoff *handoff)
{
    struct posted mine = {.gate = atomic_load(&handoff->batch) % GATES};
    _Atomic uint32_t *word = &handoff->turns[mine.gate];
    mine.next = atomic_load(&handoff->stack);
    while (!atomic_compare_exchange_weak(&handoff->stack, &mine.next, &mine))
        ;
    for (;;) {
        bool free = false;
        uint32_t turn = atomic_load(word);
        if (atomic_load(&mine.done))
            return;
        if (atomic_compare_exchange_strong(&handoff->led, &free, true))
            lead(handoff);
        else
            (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
    }
}

static void *work(void *arg)
{
    struct handoff *handoff = arg;
    for (unsigned i = 0; i < handoff->ops; i++)
        call(handoff);
    return NULL;
}

static int handoff_run(int fd, unsigned ops)
{
    struct handoff handoff = {.fd = fd, .ops = ops / THREADS};
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, &handoff) != 0)
            abort(); /* nothing can be measured on this machine */
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    return handoff.failed ? -1 : 0;
}

int way_threads_handoff(struct rig *rig, unsigned ops)
{
    (void)rig;
    return handoff_run(-1, ops);
}

int way_threads_floor(struct rig *rig, unsigned ops)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(rig->socket) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, rig->socket, strlen(rig->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
                 handoff_run(fd, ops) != 0;
    if (fd >= 0)
        (void)close(fd);
    return failed ? -1 : 0;
}
