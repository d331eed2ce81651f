/* SPDX-License-Identifier: MIT
 *
 * Memory of the process (pages.h), from /proc/self/smaps_rollup.
 */
#include "bench/l1/pages.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

struct pages pages_now(void)
{
    struct pages pages = {0};
    char line[256];
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    if (file == NULL)
        return pages;
    while (fgets(line, sizeof line, file) != NULL) {
        uint64_t kib;
        if (sscanf(line, "Rss: %" SCNu64, &kib) == 1)
            pages.resident = kib * 1024;
        else if (sscanf(line, "AnonHugePages: %" SCNu64, &kib) == 1)
            pages.huge = kib * 1024;
    }
    fclose(file);
    return pages;
}

double pages_huge_since(const struct pages *before)
{
    struct pages now = pages_now();
    if (now.resident <= before->resident || now.huge < before->huge)
        return NAN;
    double part = (double)(now.huge - before->huge) / (double)(now.resident - before->resident);
    return part < 1 ? part : 1;
}
