/* SPDX-License-Identifier: MIT
 *
 * The marks of what departed (departed.h).
 */
#include "l1/departed.h"

#include <stdlib.h>

#include "strata/status.h"

#define PART        512u /* of the tier's bytes */
#define BYTES_LEAST 64u
#define BYTES_MOST  (128u * 1024)

int sta_departed_init(struct sta_departed *departed, uint64_t max_bytes)
{
    uint64_t bytes = BYTES_LEAST;
    while (bytes < BYTES_MOST && bytes < max_bytes / PART)
        bytes *= 2;
    departed->marks = calloc(bytes, 1);
    departed->mask = bytes / sizeof *departed->marks - 1;
    return departed->marks != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
}

void sta_departed_fini(struct sta_departed *departed)
{
    free(departed->marks);
    departed->marks = NULL;
}
