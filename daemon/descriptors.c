/* SPDX-License-Identifier: MIT
 *
 * RLIMIT_NOFILE: the soft limit is raised, the hard one is the administrator's.
 */
#include "daemon/descriptors.h"

#include <sys/resource.h>

uint64_t sta_descriptors_reserve(uint64_t clients, uint64_t others)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return clients;
    uint64_t wanted = clients + others;
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = limit;
        raised.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    if (limit.rlim_cur >= wanted)
        return clients;
    return limit.rlim_cur > others ? limit.rlim_cur - others : 1;
}
