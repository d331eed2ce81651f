/* SPDX-License-Identifier: MIT
 *
 * Drawing the progress bar.
 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

#define BAR_WIDTH   30
#define BAR_STEP_NS (100 * STA_NS_MS)

void cli_progress_begin(struct cli_progress *progress, uint64_t now_ns)
{
    *progress = (struct cli_progress){
        .shown = isatty(STDERR_FILENO) == 1, .begin_ns = now_ns, .next_ns = now_ns + BAR_STEP_NS};
}

void cli_progress_update(struct cli_progress *progress, double fraction, uint64_t count,
                         uint64_t now_ns)
{
    static const char full[] = "==============================";
    static const char empty[] = "                              ";
    _Static_assert(sizeof full == BAR_WIDTH + 1 && sizeof empty == BAR_WIDTH + 1, "bars");
    if (!progress->shown || now_ns < progress->next_ns)
        return;
    progress->next_ns = now_ns + BAR_STEP_NS;
    char rate[CLI_PROGRESS_COUNT_CAP];
    double seconds = (double)(now_ns - progress->begin_ns) / (double)STA_NS_SEC;
    int done = (int)(fraction * BAR_WIDTH);
    done = done < 0 ? 0 : done > BAR_WIDTH ? BAR_WIDTH : done;
    (void)fprintf(stderr, "\r[%.*s>%.*s] %3d %%  %s/s\x1b[K", done, full, BAR_WIDTH - done, empty,
                  (int)(fraction * 100.0),
                  cli_progress_count((uint64_t)((double)count / seconds), rate));
    (void)fflush(stderr);
}

void cli_progress_end(struct cli_progress *progress)
{
    if (progress->shown)
        (void)fprintf(stderr, "\r\x1b[K");
    progress->shown = false;
}

const char *cli_progress_count(uint64_t count, char text[CLI_PROGRESS_COUNT_CAP])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    char *out = text;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}
