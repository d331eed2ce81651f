/* SPDX-License-Identifier: MIT
 *
 * A thousand clients of one Redis that restarts: how they come back.
 */
#ifndef BENCH_CALM_HERD_H
#define BENCH_CALM_HERD_H

/* Once, with the server away for so long and the time that it takes to start; 0: it stays, and only
 * ends its connections. Prints a line. 0, or -1 where something failed. */
int calm_herd_run(unsigned away_ms);

#endif
