/* SPDX-License-Identifier: MIT
 *
 * Three of libuv's signal handles.
 */
#include "daemon/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "strata/status.h"

#define SIGNAL_COUNT 3u

struct sta_signals {
    void (*heard)(void *arg, int number);
    void *arg;
    unsigned open; /* handles that libuv holds */
    uv_signal_t handles[SIGNAL_COUNT];
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct sta_signals *signals = handle->data;
    signals->heard(signals->arg, number);
}

static void on_closed(uv_handle_t *handle)
{
    struct sta_signals *signals = handle->data;
    if (--signals->open == 0)
        free(signals);
}

int sta_signals_create(struct sta_signals **out, struct sta_loop *loop,
                       void (*heard)(void *arg, int number), void *arg)
{
    static const int numbers[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGHUP};
    struct sta_signals *signals = calloc(1, sizeof *signals);
    if (signals == NULL)
        return STRATA_ERR_NOMEM;
    signals->heard = heard;
    signals->arg = arg;
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_t *handle = &signals->handles[i];
        if (uv_signal_init(sta_loop_uv(loop), handle) != 0)
            goto undo;
        handle->data = signals;
        signals->open++;
        if (uv_signal_start(handle, on_signal, numbers[i]) != 0)
            goto undo;
    }
    *out = signals;
    return STRATA_OK;
undo:
    if (signals->open == 0)
        free(signals);
    else
        sta_signals_destroy(&signals);
    return STRATA_ERR_SYSTEM;
}

void sta_signals_destroy(struct sta_signals **pointer)
{
    struct sta_signals *signals = *pointer;
    if (signals == NULL)
        return;
    *pointer = NULL;
    for (unsigned i = signals->open; i-- > 0;)
        uv_close((uv_handle_t *)&signals->handles[i], on_closed);
}
