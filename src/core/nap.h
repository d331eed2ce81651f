/* SPDX-License-Identifier: MIT
 *
 * Sleeping, for calls that work at a pace on their caller's thread. Signals do not shorten it.
 */
#ifndef STA_NAP_H
#define STA_NAP_H

#include <errno.h>
#include <time.h>

#include "core/clock.h"

static inline void sta_nap_ns(uint64_t ns)
{
    struct timespec left = {.tv_sec = (time_t)(ns / STA_NS_SEC),
                            .tv_nsec = (long)(ns % STA_NS_SEC)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

#endif
